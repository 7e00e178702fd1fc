"""What a step of the architecture uses: three quantities of one meter, with the formula that made them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from mockupaws.cost_model.architecture import Function

GIB = 1024**3
"""What AWS calls a GB of storage, transfer and logs: 2^30 bytes."""


@dataclass(frozen=True, slots=True)
class Range:
    """low ≤ likely ≤ high."""

    low: Decimal
    likely: Decimal
    high: Decimal

    @classmethod
    def of(cls, low: int | Decimal, likely: int | Decimal, high: int | Decimal) -> Range:
        return cls(Decimal(low), Decimal(likely), Decimal(high))

    @classmethod
    def exactly(cls, quantity: int | Decimal) -> Range:
        return cls.of(quantity, quantity, quantity)

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def times(self, factor: Decimal) -> Range:
        return Range(self.low * factor, self.likely * factor, self.high * factor)


NOTHING = Range.exactly(0)


@dataclass(frozen=True, slots=True)
class Usage:
    service: str
    name: str
    meter: str
    quantity: Range
    formula: str
    """How the likely quantity comes about, with its numbers."""
    estimated: bool = False
    """Whether it rests on tokens that are not the model's own count, or on a ratio that was assumed."""


def ceil_div(count: int, divisor: int) -> int:
    return -(-count // divisor)


def rounded_up(quantity: Range) -> Range:
    return Range(*(part.to_integral_value(ROUND_CEILING) for part in (quantity.low, quantity.likely, quantity.high)))


def calls(entries: int, requests: int, batch_size: int) -> Range:
    """How many batches the lines travel in.

    low: every batch is full. likely: as full as can be, yet no batch spans two of the HTTP requests the lines came
    in: those were sent apart. high: each line alone.
    """
    full = ceil_div(entries, batch_size)
    return Range.of(full, max(full, min(requests, entries)), entries)


def attempts(function: Function) -> Decimal:
    """How often an invocation is made on average: once, and again where it failed, up to `max_retries` times."""
    return sum((function.failure_share**repeat for repeat in range(1, function.max_retries + 1)), Decimal(1))


def between(low: list[Usage], likely: list[Usage], high: list[Usage]) -> list[Usage]:
    """Of less, the likely and more traffic: the first's low end, the second's likely, the third's high end."""
    lows = {(usage.service, usage.name): usage.quantity.low for usage in low}
    highs = {(usage.service, usage.name): usage.quantity.high for usage in high}
    return [
        Usage(
            usage.service,
            usage.name,
            usage.meter,
            Range(
                min(lows.get((usage.service, usage.name), Decimal(0)), usage.quantity.likely),
                usage.quantity.likely,
                max(highs.get((usage.service, usage.name), Decimal(0)), usage.quantity.likely),
            ),
            usage.formula,
            usage.estimated,
        )
        for usage in likely
    ]
