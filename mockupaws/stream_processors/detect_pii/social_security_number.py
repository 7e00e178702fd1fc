"""US_SSN: dashed anywhere, other forms only after a name that says so; never-issued areas are refused."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_LENGTH = 11
_NAMED_AT_END = re.compile(rb"[0-9]{3}([ .-]?)[0-9]{2}\1[0-9]{4}\Z")
_BEFORE = re.compile(rb"[0-9A-Za-z_][-./]\Z")
_GROUP_BEFORE = re.compile(rb"[0-9][ ,:]\Z")
_AFTER = re.compile(rb"[-./]?[0-9A-Za-z_]")
_GROUP_AFTER = re.compile(rb"[ ,:][0-9]")
_NEVER_ISSUED = (b"078051120", b"219099999", b"111111111", b"222222222", b"333333333", b"444444444", b"555555555")
"""Printed on sample cards and forms, or made up by whoever types."""


def _was_issued(digits: bytes) -> bool:
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    if area in (b"000", b"666") or digits[0:1] == b"9" or group == b"00" or serial == b"0000":
        return False
    return digits not in _NEVER_ISSUED


def check_dashed(data: bytes, end: int) -> Span | None:
    start = end - _LENGTH
    if _BEFORE.search(data, max(0, start - 2), start) or _AFTER.match(data, end):
        return None
    return (start, end) if _was_issued(data[start:end].translate(None, b"-")) else None


def check_grouped(data: bytes, end: int) -> Span | None:
    """Three, two and four digits with dots or spaces, and no further group of digits beside them."""
    start = end - _LENGTH
    if data[start + 3] != data[start + 6] or _GROUP_BEFORE.search(data, max(0, start - 2), start):
        return None
    if _GROUP_AFTER.match(data, end) or _BEFORE.search(data, max(0, start - 2), start) or _AFTER.match(data, end):
        return None
    return (start, end) if _was_issued(data[start:end].translate(None, b" .")) else None


def check_named(data: bytes, end: int) -> Span | None:
    number = _NAMED_AT_END.search(data, end - _LENGTH, end)
    if number is None or _AFTER.match(data, end) or not _was_issued(number[0].translate(None, b" .-")):
        return None
    return number.span()


US_SSN = Detector(
    pii_type="US_SSN",
    why="Identifies a US person for life. Areas 000, 666 and 9xx, group 00 and serial 0000 were never issued.",
    expressions=(
        Expression("ssn.dashed", r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", check_dashed, 0.95),
        Expression("ssn.grouped", r"\b[0-9]{3}[ .][0-9]{2}[ .][0-9]{4}\b", check_grouped, 0.7),
        Expression(
            "ssn.named",
            r"(?:\bssn|_ssn|ssn\b|ssn_|ss#|soc(?:ial)?[ ._-]?sec(?:urity)?)[^0-9\x00\n,;]{0,24}[^0-9A-Za-z_\x00][0-9]{3}[ .-]?[0-9]{2}[ .-]?[0-9]{4}\b",
            check_named,
            0.95,
            caseless=True,
            version=2,
        ),
    ),
    positives=(
        ("applicant 536-22-1234 verified", "536-22-1234"),
        ('{"ssn":"536221234"}', "536221234"),
        ("SSN: 536 22 1234", "536 22 1234"),
        ("applicant 536.22.1234 verified", "536.22.1234"),
    ),
    negatives=(
        "part 000-12-3456 and 666-12-3456 and 912-12-3456",
        "range 536-22-1234-9",
        "ticket AB-536-22-1234",
        "ssn=[US_SSN]",
        "serial 536221234 of the printer",
    ),
)
