"""MAC: six octets with one kind of separator, no part of a longer run."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_OCTETS_LENGTH = 17
_DOTTED_LENGTH = 14
_PART_BEFORE = re.compile(rb"[0-9A-Za-z_][:.-]\Z|[0-9A-Za-z_]\Z")
_PART_AFTER = re.compile(rb"[:-][0-9A-Fa-f]|\.[0-9A-Fa-f]{4}|[0-9A-Za-z_]")
_TIMES = re.compile(
    rb"(?:[01][0-9]|2[0-3])[:-][0-5][0-9][:-][0-5][0-9][:-](?:[01][0-9]|2[0-3])[:-][0-5][0-9][:-][0-5][0-9]"
)
_NOBODY = (b"000000000000", b"ffffffffffff")


def check_octets(data: bytes, end: int) -> Span | None:
    return _check(data, end - _OCTETS_LENGTH, end)


def check_dotted(data: bytes, end: int) -> Span | None:
    return _check(data, end - _DOTTED_LENGTH, end)


def _check(data: bytes, start: int, end: int) -> Span | None:
    text = data[start:end]
    if len(set(text.translate(None, b"0123456789abcdefABCDEF"))) != 1 or _PART_AFTER.match(data, end):
        return None
    if _PART_BEFORE.search(data, max(0, start - 2), start) and not _NAME_BEFORE.search(data, max(0, start - 8), start):
        return None
    return None if text.translate(None, b":.-").lower() in _NOBODY or _TIMES.fullmatch(text) else (start, end)


_NAME_BEFORE = re.compile(rb"(?:mac|addr|ether|bssid|hw)[:.-]\Z", re.IGNORECASE)

MAC = Detector(
    pii_type="MAC",
    why="Names a device, and with it who carries it. Broadcast and all zeros name none; fingerprints are longer.",
    expressions=(
        Expression("mac.octets", r"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b", check_octets, 0.95),
        Expression("mac.dotted", r"\b[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\b", check_dotted, 0.9),
    ),
    positives=(
        ("device 3c:22:fb:0a:1b:2c joined", "3c:22:fb:0a:1b:2c"),
        ('{"mac":"3C-22-FB-0A-1B-2C"}', "3C-22-FB-0A-1B-2C"),
        ("client 3c22.fb0a.1b2c left", "3c22.fb0a.1b2c"),
    ),
    negatives=(
        "brd ff:ff:ff:ff:ff:ff",
        "SHA1 3c:22:fb:0a:1b:2c:3d:4e:5f:60:71:82:93:a4:b5:c6:d7:e8:f9:00",
        "peer [MAC] joined",
        "uuid 3c22fb0a-1b2c-3d4e-5f60-718293a4b5c6",
    ),
)
