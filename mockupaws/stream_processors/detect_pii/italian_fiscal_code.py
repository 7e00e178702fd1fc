"""IT_FISCAL_CODE: the codice fiscale of a person, with its check letter; digits may be letters (omocodia)."""

from __future__ import annotations

from stdnum.it import codicefiscale

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_LENGTH = 16


def check_code(data: bytes, end: int) -> Span | None:
    code = data[end - _LENGTH : end]
    if not any(48 <= character < 58 for character in code):
        return None
    return (end - _LENGTH, end) if codicefiscale.is_valid(code.decode("ascii")) else None


_DIGIT = "[0-9LMNP-V]"

IT_FISCAL_CODE = Detector(
    pii_type="IT_FISCAL_CODE",
    why="Names a person and tells birth date, sex and birth place. Form, date and check letter must agree.",
    expressions=(
        Expression(
            "fiscal_code.it",
            rf"\b[A-Z]{{6}}{_DIGIT}{{2}}[A-EHLMPR-T]{_DIGIT}{{2}}[A-Z]{_DIGIT}{{3}}[A-Z]\b",
            check_code,
            1.0,
            caseless=True,
        ),
    ),
    positives=(
        ("CF RSSMRA85T10A562S verificato", "RSSMRA85T10A562S"),
        ('{"codiceFiscale":"rssmra85t10a562s"}', "rssmra85t10a562s"),
        ("fiscalNumber=TINIT-RSSMRA85T10A562S&x=1", "RSSMRA85T10A562S"),
    ),
    negatives=(
        "CF RSSMRA85T10A562T errato",
        "XRSSMRA85T10A562S",
        "codice [IT_FISCAL_CODE] verificato",
        "CF RSSMRA85T79A562S has a 79th day",
    ),
)
