"""The price book: dated rows, each with where it was taken and when. A missing row is unknown, never free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache, cached_property
from importlib import resources
from typing import NamedTuple

import msgspec


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
    to_quantity: int | None = None
    """Where its tier ends, if what follows has no row here: beyond, the price is unknown."""
    price: Decimal
    """US dollars for one unit."""
    source: str
    """Where the price is published."""
    usage_type: str = ""
    """What AWS calls the meter in its price list and on its bills, where the row is of the price list."""
    taken_from: str
    """The public data it was read from."""
    agrees_with: tuple[str, ...] = ()
    """Other public data that states the same price; none: nothing independent was found to check it against."""
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


Tiers = tuple[PriceRow, ...]
"""Rows of one meter in one region, by where they start."""


class PriceBook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    name: str
    checked_date: str
    currency: str
    rows: list[PriceRow]
    free: list[FreeQuantity]

    def tiers(self, meter: str, region: str) -> Tiers:
        """Empty where there is no price."""
        return self._tiers.get((meter, region), ())

    def with_free_quantity(self, tiers: Tiers) -> Tiers:
        """These tiers with the month's free quantity of their meter, where there is one, as a first tier of price 0."""
        for free in self.free:
            if tiers and tiers[0].meter in free.meters:
                first = msgspec.structs.replace(
                    tiers[0],
                    id=free.id,
                    price=Decimal(0),
                    to_quantity=None,
                    source=free.source,
                    taken_from=free.taken_from,
                    effective_date=free.effective_date,
                    checked_date=free.checked_date,
                )
                return (first, msgspec.structs.replace(tiers[0], from_quantity=free.quantity), *tiers[1:])
        return tiers

    def regions(self) -> tuple[str, ...]:
        return tuple(sorted({row.region for row in self.rows}))

    def models(self, region: str) -> tuple[str, ...]:
        """Ids of the Bedrock models whose input and output have a price there."""
        kinds = {"input_tokens", "output_tokens"}
        priced: dict[str, set[str]] = {}
        for row in self.rows:
            if row.region == region and row.meter.startswith("bedrock."):
                model_id, _, kind = row.meter.removeprefix("bedrock.").rpartition(".")
                priced.setdefault(model_id, set()).add(kind)
        return tuple(sorted(model_id for model_id, found in priced.items() if kinds <= found))

    @cached_property
    def _tiers(self) -> dict[tuple[str, str], Tiers]:
        found: dict[tuple[str, str], Tiers] = {}
        for row in sorted(self.rows, key=lambda row: row.from_quantity):
            found[row.meter, row.region] = (*found.get((row.meter, row.region), ()), row)
        return found


def charges(tiers: Iterable[PriceRow], start: Decimal, quantity: Decimal) -> Iterator[Charge]:
    """Splits `quantity`, the part of a month's use that begins at `start`, over the tiers it falls into.

    What lies beyond the last tier that is known is in no charge: see `unpriced_part`.
    """
    for row, end in _ends(tiers):
        low = max(start, Decimal(row.from_quantity))
        high = start + quantity if end is None else min(start + quantity, Decimal(end))
        if high > low:
            part = high - low
            yield Charge(row, part, part * row.price / row.unit_quantity)


def unpriced_part(tiers: Iterable[PriceRow], start: Decimal, quantity: Decimal) -> Decimal:
    """How much of it no tier has a price for."""
    return quantity - sum((charge.quantity for charge in charges(tiers, start, quantity)), Decimal(0))


def _ends(tiers: Iterable[PriceRow]) -> Iterator[tuple[PriceRow, int | None]]:
    """Each row with where it ends: where its own source says, or where the next begins."""
    rows = list(tiers)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        ends = [end for end in (row.to_quantity, following.from_quantity if following else None) if end is not None]
        yield row, min(ends, default=None)


def decode_price_book(document: bytes) -> PriceBook:
    """Raises msgspec.ValidationError where a row lacks a field or has an unknown one."""
    return msgspec.json.decode(document, type=PriceBook)


@cache
def shipped_book_names() -> tuple[str, ...]:
    """The versions that ship with this release, oldest first."""
    files = resources.files("mockupaws.cost_model").joinpath("price_book").iterdir()
    return tuple(sorted(file.name.removesuffix(".json") for file in files if file.name.endswith(".json")))


@cache
def shipped_book(name: str) -> PriceBook:
    """One of `shipped_book_names`."""
    path = resources.files("mockupaws.cost_model").joinpath("price_book", f"{name}.json")
    return decode_price_book(path.read_bytes())


def current_prices() -> PriceBook:
    """The newest price book of this release."""
    return shipped_book(shipped_book_names()[-1])
