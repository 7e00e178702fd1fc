"""IPV4 and IPV6: shape in the expression, then what stands around (versions, times, C++ names) and inet_pton."""

from __future__ import annotations

import re
import socket

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}".encode())
_IPV4_LONGEST = 15
_RUN_REVERSED = re.compile(rb"[0-9A-Za-z_.]*")
_VERSION_WORDS = (
    b"v ver version release rev revision build firmware fw kernel driver chrome chromium crios headlesschrome edg edga "
    b"edgios opr vivaldi yabrowser electron samsungbrowser firefox fxios safari"
).split()
_VERSION_BEFORE_REVERSED = re.compile(
    rb"[\"']?[ =:/]{1,3}[\"']?\.?(?:" + b"|".join(word[::-1] for word in _VERSION_WORDS) + rb")(?![0-9A-Za-z_])",
    re.IGNORECASE,
)
"""Read backwards from the number, so that it fails at the first character that fits no version."""
_LONGEST_VERSION_WORD = 24
_NUMBER_AFTER = re.compile(rb"\.?[0-9A-Za-z_]|-(?![0-9]{1,3}\.[0-9]{1,3}\.)[0-9A-Za-z]")

_IPV6_REVERSED = re.compile(rb"[0-9A-Fa-f:.]{1,45}")
_IPV6_REST = re.compile(rb"[0-9A-Fa-f:.]{0,45}")
_DIGIT = re.compile(rb"[0-9]")
_IPV6_TRAILING = b".:"


def check_ipv4(data: bytes, end: int) -> Span | None:
    before = data[max(0, end - _IPV4_LONGEST - _LONGEST_VERSION_WORD) : end][::-1]
    run = _RUN_REVERSED.match(before)
    length = run.end() if run is not None else 0
    start = end - length
    if _IPV4.fullmatch(data, start, end) is None or _NUMBER_AFTER.match(data, end):
        return None
    return None if _VERSION_BEFORE_REVERSED.match(before, length) else (start, end)


def check_ipv6(data: bytes, end: int) -> Span | None:
    before = _IPV6_REVERSED.match(data[max(0, end - 45) : end][::-1])
    rest = _IPV6_REST.match(data, end)
    if before is None or rest is None:
        return None
    start, stop = end - before.end(), rest.end()
    if data[stop : stop + 1].isalnum() or (start > 0 and (data[start - 1 : start].isalnum() or data[start - 1] == 95)):
        return None
    while stop > end and data[stop - 1] in _IPV6_TRAILING and data[stop - 2 : stop] != b"::":
        stop -= 1
    if data[start] == 58 and data[start : start + 2] != b"::":
        start += 1
    if not _DIGIT.search(data, start, stop):
        return None
    try:
        packed = socket.inet_pton(socket.AF_INET6, data[start:stop].decode("ascii"))
    except OSError:
        return None
    return (start, stop) if any(packed) else None


IPV4 = Detector(
    pii_type="IPV4",
    why="Online identifier (GDPR recital 30). Four octets that stand alone: no version, no part of a longer number.",
    expressions=(Expression("ipv4.dotted", r"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b", check_ipv4, 0.95),),
    positives=(
        ("client=203.0.113.7:51324 connected", "203.0.113.7"),
        ("from 10.1.2.3, 192.0.2.1", "192.0.2.1"),
        ("http://198.51.100.23/login", "198.51.100.23"),
        ("peer localhost/127.0.0.1:9092", "127.0.0.1"),
    ),
    negatives=(
        "Mozilla/5.0 Chrome/120.0.0.0 Safari/537.36",
        "version 10.0.19.41 installed",
        "oid 1.3.6.1.4.1",
        "octets 256.1.2.3 and 1.2.3.999",
        "released v1.2.3.4",
        "from [IPV4] port 22",
    ),
)

IPV6 = Detector(
    pii_type="IPV6",
    why="Online identifier. Accepted only where inet_pton accepts the whole run of hex digits, colons and dots.",
    expressions=(
        Expression(
            "ipv6.full", r"\b[0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4}){5}:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]", check_ipv6, 1.0
        ),
        Expression("ipv6.compressed", r"\b[0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4}){0,6}::", check_ipv6, 1.0),
        Expression("ipv6.leading", r"[^0-9A-Za-z_:\x00]::[0-9A-Fa-f]", check_ipv6, 0.95),
    ),
    positives=(
        ("peer 2001:db8:85a3:0:0:8a2e:370:7334 up", "2001:db8:85a3:0:0:8a2e:370:7334"),
        ("listening on [fe80::1ff:fe23:4567:890a]:443", "fe80::1ff:fe23:4567:890a"),
        ("remote ::ffff:192.0.2.128 closed", "::ffff:192.0.2.128"),
        ("route 2001:db8::/32", "2001:db8::"),
    ),
    negatives=(
        "at 12:34:56:78 and 2026-11-23T08:12:01",
        "mac aa:bb:cc:dd:ee:ff",
        "std::vector<int> add::face",
        "ready on [::]:8080",
        "peer [IPV6] up",
    ),
)
