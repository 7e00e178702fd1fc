"""IBAN: country codes in the expression, then the country's length and mod 97 (ISO 13616)."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

LENGTH_OF_COUNTRY: dict[str, int] = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip
"""SWIFT's IBAN registry, release 99."""

_COUNTRIES = "|".join(LENGTH_OF_COUNTRY)
_HEAD = rf"(?:{_COUNTRIES})[0-9]{{2}}[ -]?[A-Z0-9]{{4}}[ -]?[A-Z0-9]{{4}}[ -]?[A-Z0-9]{{3}}"
_HEAD_LENGTHS = (15, 18, 16, 17)
"""Compact, in groups of four, and what is neither: tried in this order."""
_REST_OF_HEAD = re.compile(rb"[0-9]{2}[ -]?[A-Z0-9]{4}[ -]?[A-Z0-9]{4}[ -]?[A-Z0-9]{3}", re.IGNORECASE)
_WHOLE = {
    country.encode(): re.compile(
        rf"[A-Z]{{2}}[0-9]{{2}}(?:[ -]?[A-Z0-9]){{{length - 4}}}(?![A-Za-z0-9])".encode(), re.IGNORECASE
    )
    for country, length in LENGTH_OF_COUNTRY.items()
}
_LEAST_DIGITS = 8
_VALUE_OF_LETTER = {ord(letter): str(value) for value, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 10)}


def passes_mod_97(iban: bytes) -> bool:
    """ISO 7064: country and check digits moved to the end, letters as 10 to 35, the number is 1 modulo 97."""
    moved = (iban[4:] + iban[:4]).decode("ascii")
    return int(moved.translate(_VALUE_OF_LETTER)) % 97 == 1


def check_iban(data: bytes, end: int) -> Span | None:
    """The hit ends with the fifteenth letter or digit."""
    for length in _HEAD_LENGTHS:
        start = end - length
        form = _WHOLE.get(data[start : start + 2].upper()) if start >= 0 else None
        if form is not None and _REST_OF_HEAD.fullmatch(data, start + 2, end):
            break
    else:
        return None
    whole = form.match(data, start)
    if whole is None or data[start - 1 : start].isalnum():
        return None
    compact = whole[0].translate(None, b" -").upper()
    if len(compact.translate(None, b"0123456789")) > len(compact) - _LEAST_DIGITS or not passes_mod_97(compact):
        return None
    return start, whole.end()


IBAN = Detector(
    pii_type="IBAN",
    why="Names a bank account. Country of the registry, that country's length and the check digits must agree.",
    expressions=(Expression("iban.country", rf"\b{_HEAD}", check_iban, 1.0, caseless=True, version=2),),
    positives=(
        ("transfer to DE89370400440532013000 done", "DE89370400440532013000"),
        ("iban=GB82 WEST 1234 5698 7654 32, ok", "GB82 WEST 1234 5698 7654 32"),
        ('{"iban":"IT60X0542811101000000123456"}', "IT60X0542811101000000123456"),
        ("NO9386011117947 credited", "NO9386011117947"),
        ("iban=de89370400440532013000&x=1", "de89370400440532013000"),
    ),
    negatives=(
        "transfer to DE89370400440532013001 done",
        "digest DE89370400440532013000AB12",
        "build FR12ABCD3456EF78",
        "to [IBAN] done",
    ),
)
