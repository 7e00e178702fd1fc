"""The metrics kept per scenario and minute in `scenario_metrics`: names, units, meaning. A closed catalogue.

Some keep, beside their sum, how it is distributed: counts by key in `extra_data`, added key by key
(schemas.distributions).
"""

from __future__ import annotations

from typing import NamedTuple

from mockupaws.schemas.pii_types import PII_TYPES


class RollupMetric(NamedTuple):
    metric_type: str
    metric_name: str
    unit: str
    meaning: str
    distribution: str = ""
    """What the counts in `extra_data` say, where there are any: key → count."""


SIZE_BUCKETS: tuple[int, ...] = tuple(1 << power for power in range(6, 22))
"""Upper bounds in bytes (inclusive) of the size histogram: 64 B, 128 B, ... 2 MiB."""

SHADOW_RULE = "shadow_rule"
"""Type of the metrics of shadow rules, which the table below leaves out."""

ROLLUP_METRICS: tuple[RollupMetric, ...] = (
    RollupMetric("ingest", "requests", "requests", "HTTP requests with at least one stored entry"),
    RollupMetric("ingest", "entries", "entries", "stored log entries",
                 "second of the minute → entries received in it"),
    RollupMetric("ingest", "bytes", "bytes", "payload bytes as sent",
                 "bucket of the payload's size → entries"),
    RollupMetric("bedrock", "tokens", "tokens", "input tokens: reported by the producer, else counted",
                 "bucket of the payload's tokens → entries"),
    RollupMetric("bedrock", "o200k_tokens", "tokens", "those of `tokens` counted with o200k_base, not cl100k_base"),
    RollupMetric("bedrock", "reported_entries", "entries", "entries whose producer reports what a model used"),
    RollupMetric("bedrock", "reported_input_tokens", "tokens", "those of `tokens` that were reported, not counted"),
    RollupMetric("bedrock", "reported_output_tokens", "tokens", "reported output tokens"),
    RollupMetric("sqs", "blocks", "requests", "64 KiB chunks SQS bills when each payload is one message",
                 "messages a call, from 2 to 10 → chunks SQS bills when an ingest request's payloads are sent so"),
    RollupMetric("pii", "entries", "entries", "entries with at least one finding"),
    *(RollupMetric("pii", name, "entries", f"entries with at least one {name}") for name in PII_TYPES),
    *(
        metric
        for name in PII_TYPES
        for metric in (
            RollupMetric("shadow", f"{name}.lines", "entries", f"entries the shadow action of {name} would act on"),
            RollupMetric("shadow", f"{name}.findings", "findings", f"findings it would act on ({name})"),
        )
    ),
    *(
        RollupMetric("size", str(bound), "entries", f"entries of at most {bound} bytes and more than half of it")
        for bound in SIZE_BUCKETS
    ),
)  # fmt: skip

UNIT_OF: dict[tuple[str, str], str] = {(m.metric_type, m.metric_name): m.unit for m in ROLLUP_METRICS}

_SHADOW_RULE_UNITS = {"lines": "entries", "findings": "findings"}


def unit_of(metric_type: str, metric_name: str) -> str | None:
    """Of a metric of the catalogue, or of a shadow rule: `shadow_rule`, `<rule>@<version>.lines` or `.findings`.

    Rules come and go with releases, so these names alone are open. None: there is no such metric.
    """
    if metric_type == SHADOW_RULE:
        rule, _, what = metric_name.rpartition(".")
        return _SHADOW_RULE_UNITS.get(what) if "@" in rule else None
    return UNIT_OF.get((metric_type, metric_name))
