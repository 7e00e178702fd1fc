"""What a batch adds to rollups and receipts, summed before it is sent. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from mockupaws.schemas.distributions import Counts, add_counts
from mockupaws.schemas.rollups import unit_of
from mockupaws.sinks.dead_letters.rows import ReceiptCounts, time_of
from mockupaws.sinks.postgres.decode import PackedRequest


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


_encode_json = msgspec.json.Encoder().encode


def sum_deltas(requests: Iterable[PackedRequest]) -> list[RollupRow]:
    """One row a key, sorted by key."""
    sums: dict[tuple[bytes, bytes, int, str, str], int] = {}
    counts: defaultdict[tuple[bytes, bytes, int, str, str], list[Counts]] = defaultdict(list)
    for packed in requests:
        request = packed.request
        for delta in request.deltas:
            key = (request.scenario_id, request.tenant_id, delta.minute, delta.metric_type, delta.metric_name)
            sums[key] = sums.get(key, 0) + delta.value
            if delta.counts:
                counts[key].append(delta.counts)
    return [
        RollupRow(
            UUID(bytes=tenant_id),
            UUID(bytes=scenario_id),
            time_of(minute * 1_000_000),
            metric_type,
            metric_name,
            value,
            unit_of(metric_type, metric_name) or "",
            _encode_json(add_counts(counts[key])).decode() if key in counts else None,
        )
        for key, value in sorted(sums.items())
        for scenario_id, tenant_id, minute, metric_type, metric_name in (key,)
    ]


def sum_receipts(receipts: Iterable[ReceiptCounts]) -> list[ReceiptCounts]:
    """One a request, sorted by its id: a statement may touch a row once only."""
    sums: dict[UUID, ReceiptCounts] = {}
    for receipt in receipts:
        known = sums.get(receipt.request_id)
        if known is not None:
            receipt = known._replace(
                accepted=max(known.accepted, receipt.accepted),
                stored=known.stored + receipt.stored,
                dead_lettered=known.dead_lettered + receipt.dead_lettered,
                reused=known.reused + receipt.reused,
            )
        sums[receipt.request_id] = receipt
    return [sums[request_id] for request_id in sorted(sums)]


def receipts_of_stored(requests: Iterable[PackedRequest]) -> list[ReceiptCounts]:
    return [
        ReceiptCounts(
            tenant_id=UUID(bytes=packed.request.tenant_id),
            request_id=packed.request_id,
            scenario_id=UUID(bytes=packed.request.scenario_id),
            accepted=packed.request.accepted,
            stored=packed.line_count,
            dead_lettered=0,
            reused=0,
            received_at=time_of(packed.request.received_at_us),
        )
        for packed in requests
    ]
