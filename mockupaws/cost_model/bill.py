"""The bill: what the measured traffic costs, and what a month of it would, as a range.

The range is of usage, not of prices. low: every batch full, no receive in vain, fewer tokens by the model's count.
likely: batches as full as the way the lines arrived allows, pollers idle while no line came. high: one line a call
and an invocation, pollers idle all the time, more tokens. Each step's module says so for its quantities.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby
from typing import Any

import msgspec

from mockupaws.cost_model.architecture import Architecture, Model
from mockupaws.cost_model.bedrock import bedrock_usage
from mockupaws.cost_model.lambda_ import lambda_usage
from mockupaws.cost_model.prices import PriceBook, PriceRow, charges, unpriced_part
from mockupaws.cost_model.quantities import MONTH_SECONDS, Quantities, Traffic, measured_traffic, monthly_traffic
from mockupaws.cost_model.sqs import sqs_usage
from mockupaws.cost_model.tokenizers import is_estimated, tokenizer_of
from mockupaws.cost_model.usage import NOTHING, Range, Usage


class Amounts(msgspec.Struct, frozen=True):
    low: Decimal
    likely: Decimal
    high: Decimal


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


class Bill(msgspec.Struct, frozen=True):
    currency: str
    region: str
    price_book: str
    prices_checked: str
    measured: Estimate
    """What was seen, over the span it was seen in."""
    month: Estimate
    """30.4 days of it."""
    complete: bool
    """False where something is unpriced: the totals are then too low."""
    assumptions: list[str]


def bill(quantities: Quantities, architecture: Architecture, prices: PriceBook) -> Bill:
    measured = _estimate(measured_traffic(quantities), architecture, prices, free=False)
    month = _estimate(monthly_traffic(quantities), architecture, prices, free=architecture.free_tier)
    return Bill(
        currency=prices.currency,
        region=architecture.region,
        price_book=prices.name,
        prices_checked=prices.checked_date,
        measured=measured,
        month=month,
        complete=not (measured.unpriced or month.unpriced),
        assumptions=_assumptions(quantities, architecture),
    )


def bill_document(subject: msgspec.Struct) -> dict[str, Any]:
    """The bill as JSON values, each Decimal as a plain decimal string without exponent."""
    document: dict[str, Any] = _plain(msgspec.to_builtins(subject, builtin_types=(Decimal,)))
    return document


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            text = format(value, "f")
            return text.rstrip("0").rstrip(".") if "." in text else text
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
    return value


def _estimate(traffic: Traffic, architecture: Architecture, prices: PriceBook, *, free: bool) -> Estimate:
    usages = [
        *sqs_usage(traffic, architecture.queue),
        *lambda_usage(traffic, architecture.function),
        *bedrock_usage(traffic, architecture.model),
    ]
    items: list[LineItem] = []
    unpriced: list[UnpricedItem] = []
    for meter, group in groupby(usages, key=lambda usage: usage.meter):
        tiers = prices.tiers(meter, architecture.region)
        if tiers and free:
            tiers = prices.with_free_quantity(tiers)
        used = NOTHING
        for usage in group:
            if tiers:
                items.extend(_line_items(usage, tiers, used))
                unpriced.extend(_beyond_known_tiers(usage, tiers, used, architecture.region))
            else:
                unpriced.append(_unpriced(usage, architecture.region))
            used += usage.quantity
    total = Amounts(
        sum((item.amount.low for item in items), Decimal(0)),
        sum((item.amount.likely for item in items), Decimal(0)),
        sum((item.amount.high for item in items), Decimal(0)),
    )
    return Estimate(traffic.span_seconds, items, unpriced, total)


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


def _token_assumptions(quantities: Quantities, model: Model) -> list[str]:
    tokenizer, totals = tokenizer_of(model.id), quantities.token_totals
    lines = []
    if totals.reported_entries:
        lines.append(f"{totals.reported_entries:,} lines report their tokens: these are taken as they are.")
    if is_estimated(totals, tokenizer):
        spread = _plain(model.token_spread * 100)
        lines.append(
            f"Tokens of {model.id} are estimated: {_plain(tokenizer.factor)} × those of {tokenizer.encoding} "
            f"({tokenizer.source}); it may count up to {spread} % less (low) or more (high)."
        )
    elif not totals.reported_entries or totals.cl100k or totals.o200k:
        lines.append(f"Tokens are counted exactly as {model.id} does, with {tokenizer.encoding}.")
    return lines


def _assumptions(quantities: Quantities, architecture: Architecture) -> list[str]:
    span = quantities.span_seconds
    lines = [
        "Each log line is one SQS message and is handled by the function once; failed invocations are not repeated.",
        "Low: every batch is full and no receive comes back empty. Likely: no batch spans two ingest requests, and "
        "pollers receive in vain only in minutes without traffic. High: one line per call and per invocation, and "
        "pollers receive in vain all the time.",
        *_token_assumptions(quantities, architecture.model),
        f"A month is {MONTH_SECONDS:,} s (30.4 days) of the traffic measured over {span:,} s (whole minutes).",
        "Free tier: " + ("taken off the month." if architecture.free_tier else "not taken off."),
    ]
    if not quantities.entries:
        lines.append("No traffic was measured yet: the bill is of nothing.")
    elif span <= 60:
        lines.append("All traffic fell within one minute: the month supposes that every minute is like it.")
    return lines
