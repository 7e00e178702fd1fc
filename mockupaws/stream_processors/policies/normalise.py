"""One form for each value, so that `Bob@Example.com` and `bob%40example.com` are hashed and allowed as one. Pure."""

from __future__ import annotations

import html
import ipaddress
import re
from urllib.parse import unquote

_DIGITS_ONLY = frozenset(("CREDIT_CARD", "US_SSN", "DE_TAX_ID"))
_LETTERS_AND_DIGITS = frozenset(("IBAN", "IT_FISCAL_CODE", "UK_NINO", "FR_NIR", "ES_ID", "PASSPORT"))
_ESCAPE = re.compile(r"\\{1,3}u([0-9A-Fa-f]{4})")
_NO_DIGIT = re.compile(r"[^0-9]")
_NO_LETTER_OR_DIGIT = re.compile(r"[\W_]")


def normalise(pii_type: str, value: str) -> str:
    """The value as its type is compared: spaces, separators and case that carry no meaning are gone."""
    value = value.strip()
    if pii_type == "EMAIL":
        return html.unescape(unquote(_ESCAPE.sub(lambda found: chr(int(found[1], 16)), value))).casefold()
    if pii_type in _DIGITS_ONLY:
        return _NO_DIGIT.sub("", value)
    if pii_type in _LETTERS_AND_DIGITS:
        return _NO_LETTER_OR_DIGIT.sub("", value).upper()
    if pii_type == "PHONE":
        digits = _NO_DIGIT.sub("", value)
        return "+" + digits.removeprefix("00") if value.startswith(("+", "00", "%2B", "%2b")) else digits
    if pii_type == "MAC":
        return _NO_LETTER_OR_DIGIT.sub("", value).lower()
    if pii_type == "IPV6":
        try:
            return str(ipaddress.IPv6Address(value))
        except ValueError:
            return value.lower()
    if pii_type == "PERSON":
        return " ".join(value.split()).casefold()
    return value
