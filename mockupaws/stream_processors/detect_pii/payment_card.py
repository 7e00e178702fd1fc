"""CREDIT_CARD: issuer ranges in the expression, then length, separators and the Luhn sum."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_SIXTEEN = (
    r"(?:4[0-9]{3}|5[1-5][0-9]{2}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)"
    r"|5(?:0[0-9]{2}|[6-8][0-9]{2})|6(?:[025][0-9]{2}|4[4-9][0-9]|304|334|390|7[015-7][0-9])|35(?:2[89]|[3-8][0-9])|9792)"
)
_FIFTEEN = r"3[47][0-9]{2}"
_FOURTEEN = r"3(?:0[0-5]|[68][0-9])[0-9]"
_CARDS = tuple(
    (length, re.compile(form.encode()))
    for length, form in (
        (16, rf"{_SIXTEEN}[0-9]{{12}}"),
        (19, rf"{_SIXTEEN}([ +-])[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}"),
        (15, rf"{_FIFTEEN}[0-9]{{11}}"),
        (17, rf"{_FIFTEEN}([ -])[0-9]{{6}}\1[0-9]{{5}}"),
        (14, rf"{_FOURTEEN}[0-9]{{10}}"),
        (16, rf"{_FOURTEEN}([ -])[0-9]{{6}}\1[0-9]{{4}}"),
    )
)
"""Length with separators, and form: told here, since they would make the whole scan dearer by a seventh."""
_PART_OF_LONGER_BEFORE = re.compile(rb"(?:[0-9]\.|(?<![0-9])0,|[0-9A-Fa-f_]-)\Z")
_PART_OF_LONGER_AFTER = re.compile(rb"\.[0-9]|-[0-9A-Fa-f]")
_GROUP_BEFORE = re.compile(rb"(?<![0-9A-Za-z-])[0-9]{4} \Z")
_GROUP_AFTER = re.compile(rb" [0-9]{4}(?![0-9])")
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")
"""Each digit doubled, and the digits of the result added."""


def passes_luhn(digits: bytes) -> bool:
    """ISO/IEC 7812-1: the sum of all digits, every second one doubled from the right, ends in 0."""
    plain, doubled = digits[::-2], digits[-2::-2].translate(_DOUBLED)
    return (sum(plain) + sum(doubled) - 48 * len(digits)) % 10 == 0


def check_card(data: bytes, end: int) -> Span | None:
    for length, form in _CARDS:
        start = end - length
        if start >= 0 and not data[start - 1 : start].isalnum() and form.fullmatch(data, start, end):
            break
    else:
        return None
    if _PART_OF_LONGER_BEFORE.search(data, max(0, start - 2), start) or _PART_OF_LONGER_AFTER.match(data, end):
        return None
    number = data[start:end]
    if b" " in number and (_GROUP_BEFORE.search(data, max(0, start - 6), start) or _GROUP_AFTER.match(data, end)):
        return None
    digits = number.translate(None, b" +-")
    return (start, end) if passes_luhn(digits) and len(set(digits)) > 1 else None


_NAMED_HEAD_LONGEST = 24
_NAMED = re.compile(rb"[0-9](?:[ -]?[0-9]){11,18}(?![0-9A-Za-z]|[ -][0-9]|\.[0-9])")
_NAMED_ISSUER = re.compile(rb"4|5[0-8]|2[1-7]|6|3[0-9]|1800|9[27]")


def check_named(data: bytes, end: int) -> Span | None:
    """The hit ends with the twelfth digit after a name such as `card`: less common issuers and lengths count too."""
    floor = max(0, end - _NAMED_HEAD_LONGEST)
    start = floor + len(data[floor:end].rstrip(b"0123456789 -"))
    while data[start] in b" -":
        start += 1
    number = _NAMED.match(data, start)
    if number is None or data[start - 1 : start].isalnum() or not _NAMED_ISSUER.match(number[0]):
        return None
    digits = number[0].translate(None, b" -")
    return number.span() if passes_luhn(digits) and len(set(digits)) > 1 else None


CREDIT_CARD = Detector(
    pii_type="CREDIT_CARD",
    why="Payment data (PCI DSS). Issuer range, length of that issuer, one kind of separator and the Luhn sum must "
    "agree, and the digits must not be part of a longer number, version or id.",
    expressions=(
        Expression(
            "card.issuer",
            r"\b[2-69][0-9]{3}[ +-]?[0-9]{4}[ +-]?[0-9]{2}[ +-]?[0-9]{2}[ +-]?[0-9]{2,4}\b",
            check_card,
            0.95,
        ),
        Expression(
            "card.named",
            r"(?:\bcards?|card[_-]?(?:no|num|number)?|\bcc|\bpan|credit|debit|visa|master|maestro|amex|carta|karte|tarjeta|carte)"
            r"[^0-9A-Za-z\x00\n][^0-9\x00\n,;]{0,24}[0-9](?:[ -]?[0-9]){11}",
            check_named,
            0.9,
            caseless=True,
        ),
    ),
    positives=(
        ("card 4111 1111 1111 1111 declined", "4111 1111 1111 1111"),
        ('{"pan":"5555555555554444"}', "5555555555554444"),
        ("amex=3782-822463-10005;", "3782-822463-10005"),
        ("diners 30569309025904.", "30569309025904"),
        ("my card 4222222222222 is lost", "4222222222222"),
    ),
    negatives=(
        "order 4111111111111112 shipped",
        "id 4111-1111-1111-1111-1111",
        "ratio 0.4111111111111111",
        "trace 41111111-1111-1111-1111-111111111111",
        "span 4111111111111111abcd",
        "card [CREDIT_CARD:1111] declined",
        "masked **** **** **** 1111",
    ),
)
