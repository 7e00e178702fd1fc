"""How the lines of a batch are spread over hours, sources, levels and findings, counted before they are sent. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple
from uuid import UUID

from mockupaws.schemas.analysed import LineColumns
from mockupaws.schemas.pii_types import types_of_mask
from mockupaws.sinks.dead_letters.rows import time_of
from mockupaws.sinks.postgres.decode import PackedRequest

MAX_COMBINATIONS = 500
"""Rows a batch adds for an hour of a scenario: the most frequent combinations. The sources of the others aren't told
apart, since a producer may give each line a source of its own."""
_HOUR_US = 3_600_000_000


class FacetRow(NamedTuple):
    tenant_id: UUID
    scenario_id: UUID
    hour: datetime
    source: str | None
    """None: of the lines beyond MAX_COMBINATIONS."""
    level: str
    pii_types: str
    """Separated by commas."""
    entries: int


def count_facets(requests: Iterable[PackedRequest]) -> list[FacetRow]:
    groups: defaultdict[tuple[bytes, bytes, int], list[LineColumns]] = defaultdict(list)
    for packed in requests:
        request = packed.request
        groups[request.scenario_id, request.tenant_id, request.received_at_us // _HOUR_US].append(request.lines)
    return [
        FacetRow(
            UUID(bytes=tenant_id),
            UUID(bytes=scenario_id),
            time_of(hour * _HOUR_US),
            source,
            level,
            ",".join(types_of_mask(mask)),
            entries,
        )
        for (scenario_id, tenant_id, hour), lines in groups.items()
        for (source, level, mask), entries in _bounded(_combinations(lines)).items()
    ]


def _combinations(lines: Sequence[LineColumns]) -> Counter[tuple[str, str, int]]:
    return Counter(
        zip(
            chain.from_iterable([columns.source for columns in lines]),
            chain.from_iterable([columns.level for columns in lines]),
            chain.from_iterable([columns.pii_mask for columns in lines]),
            strict=True,
        )
    )


def _bounded(combinations: Counter[tuple[str, str, int]]) -> dict[tuple[str | None, str, int], int]:
    bounded: dict[tuple[str | None, str, int], int] = {}
    for place, ((source, level, mask), entries) in enumerate(combinations.most_common()):
        key = (source if place < MAX_COMBINATIONS else None, level, mask)
        bounded[key] = bounded.get(key, 0) + entries
    return bounded
