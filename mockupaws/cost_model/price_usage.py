"""Quantities × prices → line items: each amount with its price row, what has no price apart. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from mockupaws.cost_model.prices import PriceBook, PriceRow, charges, unpriced_part
from mockupaws.cost_model.usage import NOTHING, Range, Usage


class Amounts(msgspec.Struct, frozen=True):
    low: Decimal
    likely: Decimal
    high: Decimal

    def times(self, factor: Decimal) -> Amounts:
        return Amounts(self.low * factor, self.likely * factor, self.high * factor)


class PriceReference(msgspec.Struct, frozen=True):
    row: str
    source: str
    taken_from: str
    effective_date: str
    checked_date: str


class LineItem(msgspec.Struct, frozen=True):
    service: str
    name: str
    quantity: Amounts
    """Counted singly: requests, GB-seconds, tokens."""
    formula: str
    unit: str
    unit_price: Decimal
    price: PriceReference
    amount: Amounts
    """quantity / units in `unit` × unit_price, in the bill's currency, not rounded."""
    estimated: bool = False
    """Whether the quantity rests on tokens that are not the model's own count."""


class UnpricedItem(msgspec.Struct, frozen=True):
    service: str
    name: str
    quantity: Amounts
    formula: str
    reason: str
    estimated: bool = False


class Estimate(msgspec.Struct, frozen=True):
    span_seconds: int
    items: list[LineItem]
    unpriced: list[UnpricedItem]
    """What has no price: not in the total."""
    total: Amounts


def price_usage(usages: Sequence[Usage], region: str, prices: PriceBook, span_seconds: int, *, free: bool) -> Estimate:
    """`free`: with the month's free quantities as a first tier. Usages of one meter share its tiers, in their order."""
    items: list[LineItem] = []
    unpriced: list[UnpricedItem] = []
    used: dict[str, Range] = {}
    for usage in usages:
        tiers = prices.tiers(usage.meter, region)
        if tiers and free:
            tiers = prices.with_free_quantity(tiers)
        before = used.get(usage.meter, NOTHING)
        if tiers:
            items.extend(_line_items(usage, tiers, before))
            unpriced.extend(_beyond_known_tiers(usage, tiers, before, region))
        else:
            unpriced.append(_unpriced(usage, region))
        used[usage.meter] = before + usage.quantity
    total = Amounts(
        sum((item.amount.low for item in items), Decimal(0)),
        sum((item.amount.likely for item in items), Decimal(0)),
        sum((item.amount.high for item in items), Decimal(0)),
    )
    return Estimate(span_seconds, items, unpriced, total)


def _line_items(usage: Usage, tiers: tuple[PriceRow, ...], used: Range) -> list[LineItem]:
    """One item per tier the usage reaches; `used` is what earlier items of the same meter took of the tiers."""
    low = {charge.row.id: charge for charge in charges(tiers, used.low, usage.quantity.low)}
    likely = {charge.row.id: charge for charge in charges(tiers, used.likely, usage.quantity.likely)}
    high = {charge.row.id: charge for charge in charges(tiers, used.high, usage.quantity.high)}
    reached = [row for row in tiers if row.id in low or row.id in likely or row.id in high] or [tiers[0]]
    zero = Decimal(0)
    return [
        LineItem(
            service=usage.service,
            name=usage.name,
            quantity=Amounts(*(part[row.id].quantity if row.id in part else zero for part in (low, likely, high))),
            formula=usage.formula,
            unit=row.unit,
            unit_price=row.price,
            price=PriceReference(row.id, row.source, row.taken_from, row.effective_date, row.checked_date),
            amount=Amounts(*(part[row.id].amount if row.id in part else zero for part in (low, likely, high))),
            estimated=usage.estimated,
        )
        for row in reached
    ]


def _beyond_known_tiers(usage: Usage, tiers: tuple[PriceRow, ...], used: Range, region: str) -> list[UnpricedItem]:
    if tiers[-1].to_quantity is None:
        return []
    beyond = Amounts(
        unpriced_part(tiers, used.low, usage.quantity.low),
        unpriced_part(tiers, used.likely, usage.quantity.likely),
        unpriced_part(tiers, used.high, usage.quantity.high),
    )
    if not beyond.high:
        return []
    reason = f"no price of {usage.meter} in {region} from {tiers[-1].to_quantity:,} a month on"
    return [UnpricedItem(usage.service, usage.name, beyond, usage.formula, reason, usage.estimated)]


def _unpriced(usage: Usage, region: str) -> UnpricedItem:
    quantity = Amounts(usage.quantity.low, usage.quantity.likely, usage.quantity.high)
    reason = f"no price of {usage.meter} in {region}"
    return UnpricedItem(usage.service, usage.name, quantity, usage.formula, reason, usage.estimated)
