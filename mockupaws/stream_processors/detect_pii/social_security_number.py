"""US_SSN: dashed anywhere, other forms only after a name that says so; never-issued areas are refused."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_DASHED_LENGTH = 11
_NAMED_AT_END = re.compile(rb"[0-9]{3}([ .-]?)[0-9]{2}\1[0-9]{4}\Z")
_BEFORE = re.compile(rb"[0-9A-Za-z_][-./]\Z")
_AFTER = re.compile(rb"[-./]?[0-9A-Za-z_]")


def _was_issued(digits: bytes) -> bool:
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in (b"000", b"666") and digits[0:1] != b"9" and group != b"00" and serial != b"0000"


def check_dashed(data: bytes, end: int) -> Span | None:
    start = end - _DASHED_LENGTH
    if _BEFORE.search(data, max(0, start - 2), start) or _AFTER.match(data, end):
        return None
    return (start, end) if _was_issued(data[start:end].translate(None, b"-")) else None


def check_named(data: bytes, end: int) -> Span | None:
    number = _NAMED_AT_END.search(data, end - _DASHED_LENGTH, end)
    if number is None or _AFTER.match(data, end) or not _was_issued(number[0].translate(None, b" .-")):
        return None
    return number.span()


US_SSN = Detector(
    pii_type="US_SSN",
    why="Identifies a US person for life. Areas 000, 666 and 9xx, group 00 and serial 0000 were never issued.",
    expressions=(
        Expression("ssn.dashed", r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", check_dashed, 0.95),
        Expression(
            "ssn.named",
            r"(ssn|social.security.(number|no\.?|num)?)[^0-9A-Za-z\x00]{1,6}[0-9]{3}[ .-]?[0-9]{2}[ .-]?[0-9]{4}\b",
            check_named,
            0.95,
            caseless=True,
        ),
    ),
    positives=(
        ("applicant 536-22-1234 verified", "536-22-1234"),
        ('{"ssn":"536221234"}', "536221234"),
        ("SSN: 536 22 1234", "536 22 1234"),
    ),
    negatives=(
        "part 000-12-3456 and 666-12-3456 and 912-12-3456",
        "range 536-22-1234-9",
        "ticket AB-536-22-1234",
        "ssn=[US_SSN]",
        "serial 536221234 of the printer",
    ),
)
