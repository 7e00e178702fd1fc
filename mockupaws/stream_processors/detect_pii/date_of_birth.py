"""DATE_OF_BIRTH: a date after a word that says so."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span, last_match

_WORDS = (
    rb"birth[_ -]?(?:date|day)?|\bdob\b|_dob\b|dob(?=[\"'=:_])|d\.o\.b\.?|\bborn\b|nascita|\bnat[oa]\b|naissance|\bn\xc3\xa9e?(?![A-Za-z])"
    rb"|\bnee? le\b|geboren|geburt[a-z]{0,12}|\bgeb\.|nacid[oa]|nacimiento|\bb-?day\b|nascimento|geboortedatum"
)
_WORD = re.compile(_WORDS, re.IGNORECASE)
_MONTH = (
    rb"(?:jan|feb|f\xc3\xa9v|mar|m\xc3\xa4r|apr|avr|abr|may|mai|mag|maj|jun|juin|giu|jul|juil|lug|aug|ago|ao\xc3\xbb|sep|set"
    rb"|oct|okt|ott|out|nov|dec|dez|dic|d\xc3\xa9c|gen|ene|fev)[a-z\xc3\xa9\xbb\xa4]{0,7}\.?"
)
_YEAR = rb"(?:19[0-9]{2}|20[0-2][0-9])"
_DATE = (
    rb"(?:%(y)b(?P<a>[-/.])(?:0?[1-9]|1[0-2])(?P=a)(?:0?[1-9]|[12][0-9]|3[01])"
    rb"|(?:0?[1-9]|[12][0-9]|3[01])(?P<b>[-/. ])(?:0?[1-9]|[12][0-9]|3[01])(?P=b)(?:%(y)b|(?P<short>[0-9]{2}))"
    rb"|(?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th|er|\.|\xc2\xba)?[ -]?(?:of |de |di )?%(m)b[ ,-]{1,2}(?:de |del )?%(y)b"
    rb"|%(m)b[ -](?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)?,?[ -]%(y)b"
    rb"|%(y)b[ -]%(m)b[ -](?:0?[1-9]|[12][0-9]|3[01])"
    rb"|%(y)b(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01]))" % {b"y": _YEAR, b"m": _MONTH}
)
_AFTER = re.compile(
    rb"[^0-9\x00\n;{}]{0,30}?(?<![0-9A-Za-z])(?P<date>%b)(?![0-9A-Za-su-z]|[-/.][0-9])" % _DATE, re.IGNORECASE
)
_TIGHT_GAP = re.compile(
    rb"[^A-Za-z]{0,6}(?:(?:on|is|was|il|am|le|el|di|de|date|day)[^A-Za-z]{1,3}){0,2}", re.IGNORECASE
)
_OTHER_EVENT = re.compile(
    rb"\b(?:cake|party|gift|voucher|coupon|discount|reminder|order|sent|created|updated|expire|schedul|book)",
    re.IGNORECASE,
)
_LOOK_BACK = 64


def check_named(data: bytes, end: int) -> Span | None:
    """The hit ends with the first digit after the word."""
    word = last_match(_WORD, data, max(0, end - _LOOK_BACK), end)
    if word is None:
        return None
    date = _AFTER.match(data, word.end())
    if date is None or _OTHER_EVENT.search(data, word.end(), date.start("date")):
        return None
    if date["short"] and not _TIGHT_GAP.fullmatch(data, word.end(), date.start("date")):  # it may be a version as well
        return None
    return date.span("date")


DATE_OF_BIRTH = Detector(
    pii_type="DATE_OF_BIRTH",
    why="Narrows down who a person is, and opens accounts by telephone. A date is one only after a word for birth.",
    expressions=(
        Expression(
            "birth.named",
            r"(?:birth|\bdob\b|_dob\b|\bdob_|d\.o\.b|\bborn\b|nascita|\bnat[oa]\b|naissance|\bn\xc3\xa9e?|\bnee? le\b|geboren|geburt|\bgeb\."
            r"|nacid[oa]|nacimiento|bday|nascimento|geboortedatum)[^0-9\x00\n;]{0,30}[0-9]",
            check_named,
            0.9,
            caseless=True,
        ),
    ),
    positives=(
        ("dob=1985-03-12 ok", "1985-03-12"),
        ('{"birthDate":"12/03/1985"}', "12/03/1985"),
        ("born on March 3, 1985 in Leeds", "March 3, 1985"),
        ("nato il 12 marzo 1985 a Roma", "12 marzo 1985"),
        ("Geburtsdatum: 12.03.1985", "12.03.1985"),
    ),
    negatives=(
        "created 1985-03-12",
        "birthday party of 12",
        "dob=[DATE_OF_BIRTH]",
        "process born at 08:12:01",
    ),
)
