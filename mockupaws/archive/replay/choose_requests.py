"""Which requests a replay takes, and how they are bundled again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from mockupaws.schemas.requests import IngestRequest, encode_request, join_bundle


@dataclass(frozen=True, slots=True)
class ReplayRange:
    """Requests of one scenario received from `from_us` up to, without, `to_us` (epoch µs)."""

    scenario_id: UUID
    from_us: int
    to_us: int

    def holds(self, request: IngestRequest) -> bool:
        return request.scenario_id == self.scenario_id.bytes and self.from_us <= request.received_at_us < self.to_us


@dataclass(slots=True)
class Selection:
    """Takes each request of the range once, however often an earlier replay has published it."""

    range: ReplayRange
    _seen: set[bytes] = field(default_factory=set)

    def choose(self, requests: Iterable[IngestRequest]) -> list[IngestRequest]:
        chosen = []
        for request in requests:
            if self.range.holds(request) and request.request_id + request.body_hash not in self._seen:
                self._seen.add(request.request_id + request.body_hash)
                chosen.append(request)
        return chosen


@dataclass(frozen=True, slots=True)
class Bundle:
    value: bytes
    request_count: int
    line_count: int


def bundle_requests(requests: Iterable[IngestRequest], max_lines: int, max_bytes: int) -> Iterator[Bundle]:
    """Record values within the limits, in order; a request above them goes alone."""
    encoded: list[bytes] = []
    lines = size = 0
    for request in requests:
        piece = encode_request(request)
        if encoded and (lines + len(request.entries) > max_lines or size + len(piece) > max_bytes):
            yield Bundle(join_bundle(encoded), len(encoded), lines)
            encoded, lines, size = [], 0, 0
        encoded.append(piece)
        lines += len(request.entries)
        size += len(piece)
    if encoded:
        yield Bundle(join_bundle(encoded), len(encoded), lines)
