"""What was measured of a scenario's traffic, folded from rollups: one fold for a file and for the served scenario."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, Self

from mockupaws.schemas.analysed import Delta
from mockupaws.schemas.distributions import add_counts

MONTH_SECONDS = 30 * 86_400 + 4 * 8_640
"""A month is 30.4 days."""

HOURLY_FROM_SECONDS = 6 * 3600
"""Span from which on volumes are looked at by the hour."""
_MINUTE_SECONDS = 60


class MetricTotal(NamedTuple):
    """The sum of one metric over some minutes."""

    metric_type: str
    metric_name: str
    value: int


class TokenTotals(NamedTuple):
    """Input tokens by how they are known; they add up to all of them."""

    cl100k: int
    """Counted with cl100k_base."""
    o200k: int
    """Counted with o200k_base."""
    reported_input: int
    """By the producers of `reported_entries` lines."""
    reported_output: int
    reported_entries: int


@dataclass(frozen=True, slots=True)
class Quantities:
    """Exact totals. Sizes count the entries of each bucket of schemas.rollups.SIZE_BUCKETS by its upper bound."""

    requests: int = 0
    entries: int = 0
    size_bytes: int = 0
    tokens: int = 0
    """Input tokens: reported by the producer, else counted."""
    o200k_tokens: int = 0
    """Those counted with o200k_base."""
    reported_input_tokens: int = 0
    reported_output_tokens: int = 0
    reported_entries: int = 0
    sqs_blocks: int = 0
    """sum(ceil(size / 64 KiB)) over the entries."""
    sqs_batched: dict[int, int] = field(default_factory=dict)
    """The same where the entries of each ingest request are sent in calls of up to 2 … 10 messages, by that number."""
    pii_entries: int = 0
    pii: dict[str, int] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    first_minute: int | None = None
    """Start of the first minute with traffic, epoch s."""
    last_minute: int | None = None
    active_minutes: int = 0
    """Minutes with at least one entry."""
    volumes: dict[int, int] = field(default_factory=dict)
    """Entries by the start (epoch s) of the stretch of `volume_seconds` they came in; empty stretches are left out."""
    volume_seconds: int = 3600

    @property
    def token_totals(self) -> TokenTotals:
        return TokenTotals(
            self.tokens - self.o200k_tokens - self.reported_input_tokens,
            self.o200k_tokens,
            self.reported_input_tokens,
            self.reported_output_tokens,
            self.reported_entries,
        )

    @property
    def span_seconds(self) -> int:
        """From the start of the first to the end of the last minute with traffic: whole minutes, 0 without traffic."""
        if self.first_minute is None or self.last_minute is None:
            return 0
        return self.last_minute - self.first_minute + _MINUTE_SECONDS

    @classmethod
    def of_totals(
        cls,
        totals: Iterable[MetricTotal],
        first_minute: int | None,
        last_minute: int | None,
        active_minutes: int,
        sqs_batched: Mapping[int, int] | None = None,
        volumes: Mapping[int, int] | None = None,
        volume_seconds: int = 3600,
    ) -> Self:
        """From sums over all minutes, as SQL makes them of `scenario_metrics`."""
        sums: dict[tuple[str, str], int] = {}
        for metric_type, metric_name, value in totals:
            sums[metric_type, metric_name] = sums.get((metric_type, metric_name), 0) + value
        return cls(
            requests=sums.get(("ingest", "requests"), 0),
            entries=sums.get(("ingest", "entries"), 0),
            size_bytes=sums.get(("ingest", "bytes"), 0),
            tokens=sums.get(("bedrock", "tokens"), 0),
            o200k_tokens=sums.get(("bedrock", "o200k_tokens"), 0),
            reported_input_tokens=sums.get(("bedrock", "reported_input_tokens"), 0),
            reported_output_tokens=sums.get(("bedrock", "reported_output_tokens"), 0),
            reported_entries=sums.get(("bedrock", "reported_entries"), 0),
            sqs_blocks=sums.get(("sqs", "blocks"), 0),
            sqs_batched=dict(sqs_batched or {}),
            pii_entries=sums.get(("pii", "entries"), 0),
            pii={name: value for (kind, name), value in sorted(sums.items()) if kind == "pii" and name != "entries"},
            sizes={bound: sums["size", str(bound)] for bound in sorted(int(n) for k, n in sums if k == "size")},
            first_minute=first_minute,
            last_minute=last_minute,
            active_minutes=active_minutes,
            volumes=dict(sorted((volumes or {}).items())),
            volume_seconds=volume_seconds,
        )


def volume_step(first_minute: int | None, last_minute: int | None) -> int:
    """Seconds of the stretches volumes are kept by: hours, or minutes where there are only a few hours."""
    spanned = (last_minute or 0) - (first_minute or 0) + _MINUTE_SECONDS
    return 3600 if spanned >= HOURLY_FROM_SECONDS else _MINUTE_SECONDS


def volumes_of_minutes(entries: Mapping[int, int], step: int) -> dict[int, int]:
    """Entries by minute, summed by stretch."""
    volumes: dict[int, int] = {}
    for minute, count in entries.items():
        start = minute - minute % step
        volumes[start] = volumes.get(start, 0) + count
    return dict(sorted(volumes.items()))


def quantities_of_deltas(deltas: Iterable[Delta]) -> Quantities:
    """The same totals as `Quantities.of_totals` gives for the rows these deltas add up to."""
    totals: dict[tuple[str, str], int] = {}
    batched = []
    minutes: dict[int, int] = {}
    for delta in deltas:
        name = (delta.metric_type, delta.metric_name)
        totals[name] = totals.get(name, 0) + delta.value
        if name == ("ingest", "entries"):
            minutes[delta.minute] = minutes.get(delta.minute, 0) + delta.value
        if name == ("sqs", "blocks") and delta.counts:
            batched.append(delta.counts)
    first, last = min(minutes, default=None), max(minutes, default=None)
    step = volume_step(first, last)
    return Quantities.of_totals(
        (MetricTotal(kind, name, value) for (kind, name), value in totals.items()),
        first,
        last,
        len(minutes),
        add_counts(batched),
        volumes_of_minutes(minutes, step),
        step,
    )


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is billed: the measured quantities over a span, as they are or scaled to a month."""

    requests: int
    entries: int
    size_bytes: int
    tokens: TokenTotals
    sqs_blocks: int
    sqs_batched: Mapping[int, int]
    active_seconds: int
    """Seconds of the minutes with traffic."""
    span_seconds: int


def measured_traffic(quantities: Quantities) -> Traffic:
    return Traffic(
        requests=quantities.requests,
        entries=quantities.entries,
        size_bytes=quantities.size_bytes,
        tokens=quantities.token_totals,
        sqs_blocks=quantities.sqs_blocks,
        sqs_batched=quantities.sqs_batched,
        active_seconds=quantities.active_minutes * _MINUTE_SECONDS,
        span_seconds=quantities.span_seconds,
    )


def scaled_traffic(quantities: Quantities, factor: Fraction, span_seconds: int) -> Traffic:
    """The measured traffic `factor` times over, each count rounded up."""

    def scaled(count: int) -> int:
        return -(-count * factor.numerator // factor.denominator)

    active = scaled(quantities.active_minutes * _MINUTE_SECONDS)
    return Traffic(
        requests=scaled(quantities.requests),
        entries=scaled(quantities.entries),
        size_bytes=scaled(quantities.size_bytes),
        tokens=TokenTotals(*map(scaled, quantities.token_totals)),
        sqs_blocks=scaled(quantities.sqs_blocks),
        sqs_batched={batch: scaled(requests) for batch, requests in quantities.sqs_batched.items()},
        active_seconds=min(active, span_seconds),
        span_seconds=span_seconds,
    )
