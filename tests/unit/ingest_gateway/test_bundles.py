from __future__ import annotations

from mockupaws.ingest_gateway.bundles import Bundle, BundleLimits
from mockupaws.schemas.requests import Entry, IngestRequest, decode_bundle, encode_request

LIMITS = BundleLimits(max_lines=10, max_bytes=1000)


def encoded(lines: int) -> bytes:
    entries = [Entry("m")] * lines
    return encode_request(IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h" * 16, entries))


def test_an_empty_bundle_takes_any_request() -> None:
    bundle = Bundle(0)
    assert bundle.has_room(bytes(5000), 500, LIMITS)
    bundle.add(bytes(5000), 500)
    assert bundle.is_full(LIMITS)
    assert not bundle.has_room(b"", 0, LIMITS)


def test_bounds_of_lines_and_bytes() -> None:
    bundle = Bundle(0)
    bundle.add(bytes(100), 9)
    assert not bundle.is_full(LIMITS)
    assert bundle.has_room(bytes(900), 1, LIMITS)
    assert not bundle.has_room(bytes(901), 1, LIMITS)
    assert not bundle.has_room(b"", 2, LIMITS)


def test_its_value_holds_the_requests_in_order() -> None:
    bundle = Bundle(3)
    for lines in (1, 2, 3):
        bundle.add(encoded(lines), lines)
    assert [len(request.entries) for request in decode_bundle(bundle.value())] == [1, 2, 3]
    assert bundle.lines == 6
