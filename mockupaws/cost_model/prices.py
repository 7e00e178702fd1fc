"""The price book: dated rows, each with where it was taken and when. A missing row is unknown, never free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import NamedTuple

import msgspec

CURRENT_PRICE_BOOK = "2026-11-24.json"


class PriceRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one unit costs from a monthly quantity on, in one region."""

    id: str
    meter: str
    """What is counted, for example `sqs.standard.requests` or `bedrock.<model id>.input_tokens`."""
    region: str
    unit: str
    unit_quantity: int = 1
    """How many are one unit: 1,000,000 where `unit` is `1M requests`."""
    from_quantity: int = 0
    """First quantity of the month (counted singly) at this price: the start of its tier."""
    price: Decimal
    """US dollars for one unit."""
    source: str
    """Where the price is published."""
    taken_from: str
    """The public data it was read from or checked against."""
    effective_date: str
    """A day on which the source had this price in force; AWS may have introduced it earlier."""
    checked_date: str


class FreeQuantity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an account gets free each month, in all regions together."""

    id: str
    meters: list[str]
    """Meters that share it."""
    quantity: int
    source: str
    taken_from: str
    effective_date: str
    checked_date: str


class Charge(NamedTuple):
    """A part of a quantity that falls under one price."""

    row: PriceRow
    quantity: Decimal
    amount: Decimal


class PriceBook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: str
    checked_date: str
    currency: str
    rows: list[PriceRow]
    free: list[FreeQuantity]

    def tiers(self, meter: str, region: str) -> tuple[PriceRow, ...]:
        """The rows of a meter in a region, by tier; empty where there is no price."""
        rows = (row for row in self.rows if row.meter == meter and row.region == region)
        return tuple(sorted(rows, key=lambda row: row.from_quantity))

    def with_free_quantity(self, tiers: tuple[PriceRow, ...]) -> tuple[PriceRow, ...]:
        """These tiers with the month's free quantity of their meter, where there is one, as a first tier of price 0."""
        for free in self.free:
            if tiers and tiers[0].meter in free.meters:
                first = msgspec.structs.replace(
                    tiers[0],
                    id=free.id,
                    price=Decimal(0),
                    source=free.source,
                    taken_from=free.taken_from,
                    effective_date=free.effective_date,
                    checked_date=free.checked_date,
                )
                return (first, msgspec.structs.replace(tiers[0], from_quantity=free.quantity), *tiers[1:])
        return tiers

    def regions(self) -> tuple[str, ...]:
        return tuple(sorted({row.region for row in self.rows}))


def charges(tiers: Iterable[PriceRow], start: Decimal, quantity: Decimal) -> Iterator[Charge]:
    """Splits `quantity`, the part of a month's use that begins at `start`, over the tiers it falls into."""
    rows = list(tiers)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        low = max(start, Decimal(row.from_quantity))
        high = start + quantity if following is None else min(start + quantity, Decimal(following.from_quantity))
        if high > low:
            part = high - low
            yield Charge(row, part, part * row.price / row.unit_quantity)


def decode_price_book(document: bytes) -> PriceBook:
    """Raises msgspec.ValidationError where a row lacks a field or has an unknown one."""
    return msgspec.json.decode(document, type=PriceBook)


@cache
def current_prices() -> PriceBook:
    """The price book of this release."""
    return decode_price_book(
        resources.files("mockupaws.cost_model").joinpath("price_book", CURRENT_PRICE_BOOK).read_bytes()
    )
