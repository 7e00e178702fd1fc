"""What a batch adds to rollups and receipts, summed before it is sent. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from mockupaws.schemas.distributions import add_counts
from mockupaws.schemas.rollups import unit_of
from mockupaws.sinks.dead_letters.rows import ReceiptCounts, time_of
from mockupaws.sinks.postgres.decode import PackedRequest

_Metric = tuple[int, str, str]


class RollupRow(NamedTuple):
    tenant_id: UUID
    scenario_id: UUID
    timestamp: datetime
    metric_type: str
    metric_name: str
    value: int
    unit: str
    extra_data: str | None
    """The distribution's counts as JSON."""


class _Sums(NamedTuple):
    """Of one scenario, by minute, type and name of the metric."""

    values: defaultdict[_Metric, int]
    counts: defaultdict[_Metric, dict[int, int]]


_encode_json = msgspec.json.Encoder().encode


def _no_sums() -> _Sums:
    return _Sums(defaultdict(int), defaultdict(dict))


def sum_deltas(requests: Iterable[PackedRequest]) -> list[RollupRow]:
    """One row a key, sorted by key."""
    scenarios: defaultdict[tuple[bytes, bytes], _Sums] = defaultdict(_no_sums)
    for packed in requests:
        request = packed.request
        values, counts = scenarios[request.scenario_id, request.tenant_id]
        for delta in request.deltas:
            key = (delta.minute, delta.metric_type, delta.metric_name)
            values[key] += delta.value
            if delta.counts:
                counted = counts[key]
                for bucket, count in delta.counts.items():
                    counted[bucket] = counted.get(bucket, 0) + count
    return [
        RollupRow(
            UUID(bytes=tenant_id),
            UUID(bytes=scenario_id),
            time_of(minute * 1_000_000),
            metric_type,
            metric_name,
            value,
            unit_of(metric_type, metric_name) or "",
            _encode_json(add_counts([counts[key]])).decode() if key in counts else None,
        )
        for (scenario_id, tenant_id), (values, counts) in sorted(scenarios.items())
        for key, value in sorted(values.items())
        for minute, metric_type, metric_name in (key,)
    ]


def sum_receipts(receipts: Iterable[ReceiptCounts]) -> list[ReceiptCounts]:
    """One a request, sorted by its id: a statement may touch a row once only."""
    sums: dict[bytes, ReceiptCounts] = {}
    for receipt in receipts:
        known = sums.setdefault(receipt.request_id, receipt)
        if known is not receipt:
            sums[receipt.request_id] = known._replace(
                accepted=max(known.accepted, receipt.accepted),
                stored=known.stored + receipt.stored,
                dead_lettered=known.dead_lettered + receipt.dead_lettered,
                reused=known.reused + receipt.reused,
            )
    return [sums[request_id] for request_id in sorted(sums)]


def receipts_of_stored(requests: Iterable[PackedRequest]) -> list[ReceiptCounts]:
    return [
        ReceiptCounts(
            tenant_id=request.tenant_id,
            request_id=request.request_id,
            scenario_id=request.scenario_id,
            accepted=request.accepted,
            stored=len(request.lines.index),
            dead_lettered=0,
            reused=0,
            received_at_us=request.received_at_us,
        )
        for request, *_ in requests
    ]
