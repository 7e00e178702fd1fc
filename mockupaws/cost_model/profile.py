"""How a scenario's lines are spread: sizes, tokens, when they arrive, how SQS would bill them in batches. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

import msgspec

from mockupaws.cost_model.quantities import Quantities
from mockupaws.schemas.distributions import RELATIVE_ERROR, Counts, bounds_of, percentile, value_of

MAX_OPEN_SECONDS = 100_000
"""Seconds of a file's lines kept apart: lines of one second that stand further apart than this count as two seconds."""
_PLACES = Decimal("0.001")


class Bucket(msgspec.Struct, frozen=True):
    at_least: int
    at_most: int
    entries: int


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Of one measure of the lines. Percentiles are by nearest rank, from a sketch."""

    entries: int
    sum: int
    """Exact."""
    mean: Decimal
    p50: int
    p90: int
    p95: int
    p99: int
    max: int
    relative_error: Decimal
    """By which a percentile or the maximum may be off; values below 32 are exact."""
    buckets: list[Bucket]


class ArrivalRate(msgspec.Struct, frozen=True, kw_only=True):
    """Lines a second, over all seconds of the minutes with traffic: a second without a line counts as 0. Exact."""

    seconds: int
    mean: Decimal
    p50: int
    p95: int
    p99: int
    max: int
    peak_to_mean: Decimal
    """Burstiness: max / mean; 1 where lines come evenly, 0 where none came."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    size_bytes: Spread
    tokens: Spread
    lines_per_second: ArrivalRate
    sqs_requests: dict[int, int]
    """Requests SQS bills for sending the lines in calls of up to so many messages, each ingest request's lines in their
    order: exact sums."""


def profile_of(quantities: Quantities, sizes: Counts, tokens: Counts, rates: Counts) -> Profile:
    """`sizes` and `tokens`: entries by bucket. `rates`: seconds by the lines in them, without empty seconds."""
    return Profile(
        size_bytes=_spread(sizes, quantities.size_bytes),
        tokens=_spread(tokens, quantities.tokens),
        lines_per_second=_arrival_rate(rates, quantities.active_minutes * 60),
        sqs_requests={1: quantities.sqs_blocks, **dict(sorted(quantities.sqs_batched.items()))},
    )


@dataclass(slots=True)
class Arrivals:
    """Folds the seconds of lines read from files into rates, in bounded memory."""

    open: Counter[int] = field(default_factory=Counter)
    """Lines by second (epoch s)."""
    closed: Counter[int] = field(default_factory=Counter)
    """Of the oldest seconds beyond the bound: seconds by the number of lines in them."""

    def add(self, other: Arrivals) -> None:
        self.open.update(other.open)
        self.closed.update(other.closed)
        if len(self.open) > MAX_OPEN_SECONDS:
            for second in sorted(self.open)[: MAX_OPEN_SECONDS // 2]:
                self.closed[self.open.pop(second)] += 1

    def rates(self) -> dict[int, int]:
        """Seconds by the number of lines in them."""
        return dict(self.closed + Counter(self.open.values()))


def _spread(counts: Counts, total: int) -> Spread:
    entries = sum(counts.values())
    quantiles = {f"p{percent}": value_of(percentile(counts, Fraction(percent, 100))) for percent in (50, 90, 95, 99)}
    return Spread(
        entries=entries,
        sum=total,
        mean=_ratio(total, entries),
        max=value_of(max(counts, default=0)),
        relative_error=Decimal(RELATIVE_ERROR.numerator) / RELATIVE_ERROR.denominator,
        buckets=[Bucket(*bounds_of(bucket), counts[bucket]) for bucket in sorted(counts)],
        **quantiles,
    )


def _arrival_rate(rates: Counts, active_seconds: int) -> ArrivalRate:
    busy = sum(rates.values())
    seconds = max(active_seconds, busy)
    lines = sum(rate * count for rate, count in rates.items())
    all_rates = {0: seconds - busy, **rates}
    most = max(rates, default=0)
    return ArrivalRate(
        seconds=seconds,
        mean=_ratio(lines, seconds),
        p50=percentile(all_rates, Fraction(50, 100)),
        p95=percentile(all_rates, Fraction(95, 100)),
        p99=percentile(all_rates, Fraction(99, 100)),
        max=most,
        peak_to_mean=_ratio(most * seconds, lines),
    )


def _ratio(dividend: int, divisor: int) -> Decimal:
    return (Decimal(dividend) / divisor).quantize(_PLACES) if divisor else Decimal(0)
