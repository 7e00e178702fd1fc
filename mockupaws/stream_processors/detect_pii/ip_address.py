"""IPV4 and IPV6: shape in the expression, then what stands around (versions, times, C++ names) and inet_pton."""

from __future__ import annotations

import re
import socket

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_OCTET_REVERSED = rb"(?:[0-5]52|[0-9][0-4]2|[0-9][0-9]1|[0-9][1-9]|[0-9])"
_NAMES_VERSION = b"version versions release firmware driver build kernel section chapter clause paragraph".split()
_PRODUCTS = (
    b"v ver rev revision fw assembly chrome chromium crios headlesschrome edg edga edgios opr vivaldi yabrowser electron "
    b"samsungbrowser firefox fxios safari"
).split()
_CHANGES = b"upgraded upgrading upgrade downgraded downgrading downgrade installed installing updated updating".split()
_NOT_CHANGED = b"on by with for via in host node server client peer ip address at from to".split()


def _reversed(words: list[bytes]) -> bytes:
    return b"|".join(word[::-1] for word in words)


_VERSION_BEFORE = (
    rb"[~_$]|-[A-Za-z]"
    rb"|v?[\"']?(?:[ =:/]{1,3}[\"']?\.?(?:(?:%b)(?![0-9A-Za-z_])|(?:%b))"
    rb"| (?:(?:morf|ot) )?(?:(?!(?:%b) )[^ \x00]{2,30} )?(?:%b)(?![0-9A-Za-z_]))"
    % (_reversed(_PRODUCTS), _reversed(_NAMES_VERSION), _reversed(_NOT_CHANGED), _reversed(_CHANGES))
)
_IPV4_REVERSED = re.compile(
    rb"%(octet)b(?:\.%(octet)b){3}(?![0-9A-Za-z_.])"
    rb"(?:(?P<version>%(version)b)|(?P<product>/(?-i:(?!(?:[A-Z]{2,16}(?:_[A-Z]{2,16}){1,3}|TCERID)(?![A-Za-z0-9._/-]))[A-Za-z0-9_.-]{1,24}[A-Z])(?![A-Za-z0-9._/-]))"
    rb"|(?P<range>(?: ot | >- | >= |>-)(?=(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z.])))|)"
    % {b"octet": _OCTET_REVERSED, b"version": _VERSION_BEFORE},
    re.IGNORECASE,
)
"""An address, and what makes it a version, read backwards from its end: it fails at the first character that fits not."""
_LOOK_BACK = 80
_LONGEST_RANGE = 3
_REDUCED_VERSION = b".0.0.0"
_NUMBER_AFTER = re.compile(
    rb" (?:runtime|sdk|(?:is |was )?(?:installed|released|available) (?:on|for|in|at)?)\b|\.?[0-9A-Za-z_]|-(?![0-9]{1,3}\.[0-9]{1,3}\.)[0-9A-Za-z]"
)

_IPV6_REVERSED = re.compile(rb"[0-9A-Fa-f:.]{1,45}")
_IPV6_REST = re.compile(rb"[0-9A-Fa-f:.]{0,45}")
_SHORT_GROUPS = re.compile(
    rb"[0-9A-Fa-f]{1,2}(?::[0-9A-Fa-f]{1,2}){0,2}::(?:[0-9A-Fa-f]{1,2}(?::[0-9A-Fa-f]{1,2}){0,2})?"
)
"""Two or three short groups are more often a time, a ratio or a scope than an address."""
_OCTETS_ONLY = re.compile(rb"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){7}")
"""Eight octets: an EUI-64, a world wide name, the head of a fingerprint."""
_DIGIT = re.compile(rb"[0-9]")
_IPV6_TRAILING = b".:"
_PORT_AT_END = re.compile(rb":[0-9]{2,7}\Z")


def check_ipv4(data: bytes, end: int) -> Span | None:
    return _address(data, end, _LONGEST_RANGE)


def _address(data: bytes, end: int, steps: int) -> Span | None:
    if (data.endswith(_REDUCED_VERSION, 0, end) and _is_product(data, end)) or _NUMBER_AFTER.match(data, end):
        return None
    found = _IPV4_REVERSED.match(data[max(0, end - _LOOK_BACK) : end][::-1])
    if found is None:
        return None
    kind = found.lastgroup
    if kind is None:
        return end - found.end(), end
    if kind == "version" or (kind == "product" and data[end : end + 1] != b":"):
        return None
    if kind == "range" and steps and _address(data, end - found.end(), steps - 1) is None:
        return None  # of `1.2.3.4 to 1.2.3.5` both are versions, or none is
    return end - found.start(kind), end


def _is_product(data: bytes, end: int) -> bool:
    """`Chrome/141.0.0.0`, as each browser says of itself in each line of an access log: told at a glance."""
    slash = data.rfind(b"/", max(0, end - 10), end)
    return slash > 0 and data[slash - 1 : slash].isalpha()


_IPV4_KINDS = (("ipv4.public", 0.95), ("ipv4.private", 0.9), ("ipv4.reserved", 0.8))
"""All addresses but those of private networks (RFC 1918) and those of the host itself, its link and groups."""
_IPV6_KINDS = (("ipv6.public", 1.0), ("ipv6.private", 0.95), ("ipv6.reserved", 0.9))
"""All addresses but the unique local ones and those of the host itself, its link and groups."""
_OCTETS = re.compile(rb"(?<![0-9A-Fa-f%])[0-9]{1,3}")
_PUBLIC_FIRST_OCTETS = frozenset(b"%d" % first for first in range(1, 224) if first not in (10, 127, 169, 172, 192))
"""Those that tell alone that an address is a public one, as nearly all do."""


def kind_of_ipv4(address: bytes) -> int:
    """The place in _IPV4_KINDS."""
    if address[: address.find(b".")] in _PUBLIC_FIRST_OCTETS:
        return 0
    octets = _OCTETS.findall(address)
    first, second = int(octets[0]), int(octets[1])
    if first == 10 or (first == 192 and second == 168) or (first == 172 and 16 <= second < 32):
        return 1
    return 2 if first in (0, 127) or (first == 169 and second == 254) or first >= 224 else 0


def kind_of_ipv6(address: bytes) -> int:
    """The place in _IPV6_KINDS."""
    lowered = address.lower()
    if lowered.startswith((b"fc", b"fd")):
        return 1
    return 2 if lowered.startswith((b"fe8", b"fe9", b"fea", b"feb", b"ff")) or lowered == b"::1" else 0


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
    if _SHORT_GROUPS.fullmatch(data, start, stop) or _OCTETS_ONLY.fullmatch(data, start, stop):
        return None
    if _is_ipv6(data[start:stop]):
        return start, stop
    port = _PORT_AT_END.search(data, start, stop)  # without brackets, as some servers write it
    return (start, port.start()) if port is not None and _is_ipv6(data[start : port.start()]) else None


def _is_ipv6(address: bytes) -> bool:
    """Whether it is written as one, and is not the unspecified address."""
    try:
        return any(socket.inet_pton(socket.AF_INET6, address.decode("ascii")))
    except OSError:
        return False


IPV4 = Detector(
    pii_type="IPV4",
    why="Online identifier (GDPR recital 30). Four octets that stand alone: no version, no part of a longer number.",
    expressions=(
        Expression(
            "ipv4.dotted",
            r"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b",
            check_ipv4,
            0.95,
            version=3,
            kinds=_IPV4_KINDS,
            kind_of=kind_of_ipv4,
        ),
    ),
    positives=(
        ("client=203.0.113.7:51324 connected", "203.0.113.7"),
        ("from 10.1.2.3, 192.0.2.1", "192.0.2.1"),
        ("http://198.51.100.23/login", "198.51.100.23"),
        ("peer localhost/127.0.0.1:9092", "127.0.0.1"),
        ("CONNECT example.com:443 - HIER_DIRECT/203.0.113.9 -", "203.0.113.9"),
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
            "ipv6.full",
            r"\b[0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4}){5}:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]",
            check_ipv6,
            1.0,
            version=3,
            kinds=_IPV6_KINDS,
            kind_of=kind_of_ipv6,
        ),
        Expression(
            "ipv6.compressed",
            r"\b[0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4}){0,6}::",
            check_ipv6,
            1.0,
            version=3,
            kinds=_IPV6_KINDS,
            kind_of=kind_of_ipv6,
        ),
        Expression(
            "ipv6.leading",
            r"(?:^|[^0-9A-Za-z_:])::[0-9A-Fa-f]",
            check_ipv6,
            0.95,
            version=3,
            kinds=_IPV6_KINDS,
            kind_of=kind_of_ipv6,
        ),
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
        "wwn 50:06:01:60:3b:a0:11:2c",
        "std::vector<int> add::face",
        "ready on [::]:8080",
        "peer [IPV6] up",
    ),
)
