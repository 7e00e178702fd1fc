"""What a step of the architecture uses: three quantities of one meter, with the formula that made them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Range:
    """low ≤ likely ≤ high."""

    low: Decimal
    likely: Decimal
    high: Decimal

    @classmethod
    def of(cls, low: int | Decimal, likely: int | Decimal, high: int | Decimal) -> Range:
        return cls(Decimal(low), Decimal(likely), Decimal(high))

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.likely + other.likely, self.high + other.high)


NOTHING = Range(Decimal(0), Decimal(0), Decimal(0))


@dataclass(frozen=True, slots=True)
class Usage:
    service: str
    name: str
    meter: str
    quantity: Range
    formula: str
    """How the likely quantity comes about, with its numbers."""
    estimated: bool = False
    """Whether it rests on tokens that are not the model's own count."""


def ceil_div(count: int, divisor: int) -> int:
    return -(-count // divisor)


def calls(entries: int, requests: int, batch_size: int) -> Range:
    """How many batches the lines travel in.

    low: every batch is full. likely: as full as can be, yet no batch spans two of the HTTP requests the lines came
    in: those were sent apart. high: each line alone.
    """
    full = ceil_div(entries, batch_size)
    return Range.of(full, max(full, min(requests, entries)), entries)
