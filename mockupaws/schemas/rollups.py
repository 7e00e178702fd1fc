"""The metrics kept per scenario and minute in `scenario_metrics`: names, units, meaning. A closed catalogue."""

from __future__ import annotations

from typing import NamedTuple

from mockupaws.schemas.pii_types import PII_TYPES


class RollupMetric(NamedTuple):
    metric_type: str
    metric_name: str
    unit: str
    meaning: str


SIZE_BUCKETS: tuple[int, ...] = tuple(1 << power for power in range(6, 22))
"""Upper bounds in bytes (inclusive) of the size histogram: 64 B, 128 B, ... 2 MiB."""

ROLLUP_METRICS: tuple[RollupMetric, ...] = (
    RollupMetric("ingest", "requests", "requests", "HTTP requests with at least one stored entry"),
    RollupMetric("ingest", "entries", "entries", "stored log entries"),
    RollupMetric("ingest", "bytes", "bytes", "payload bytes as sent"),
    RollupMetric("bedrock", "tokens", "tokens", "input tokens of the payloads"),
    RollupMetric("sqs", "blocks", "requests", "64 KiB chunks SQS bills when each payload is one message"),
    RollupMetric("pii", "entries", "entries", "entries with at least one finding"),
    *(RollupMetric("pii", name, "entries", f"entries with at least one {name}") for name in PII_TYPES),
    *(
        RollupMetric("size", str(bound), "entries", f"entries of at most {bound} bytes and more than half of it")
        for bound in SIZE_BUCKETS
    ),
)

UNIT_OF: dict[tuple[str, str], str] = {(m.metric_type, m.metric_name): m.unit for m in ROLLUP_METRICS}
