"""An estimate beside an earlier one: what changed, by how much, and whether that is more than allowed. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from mockupaws.cost_model.bill import Bill, bill
from mockupaws.cost_model.price_usage import Amounts, Estimate
from mockupaws.cost_model.prices import PriceBook
from mockupaws.cost_model.snapshot import Snapshot
from mockupaws.cost_model.what_if import Difference, difference

Basis = Literal["month", "million_lines"]
_MILLION = 1_000_000
_PLACES = Decimal("0.01")
_NOTHING = Decimal(0)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    baseline_id: str
    estimate_id: str
    basis: Basis
    """`month`: of a month; `million_lines`: for each million of the month's lines, or of the lines alone where they
    tell no span of time."""
    currency: str
    before: Amounts
    after: Amounts
    change: Difference
    percent: Decimal | None
    """Of the likely total; None where the baseline costs nothing."""
    prices_moved: Decimal
    """Part of the likely change that is due to prices alone: the baseline's usage at today's prices."""
    newly_unpriced: list[str]
    """What has no price now and had one, or wasn't there: the change is too low by it."""
    allowed_percent: Decimal | None
    exceeded: bool
    """More than allowed; or allowed at all only up to a limit, while something has no price."""


def compare_estimates(
    before: Snapshot, after: Snapshot, prices: PriceBook, *, per_million_lines: bool, allowed_percent: Decimal | None
) -> Comparison:
    """`prices`: today's book, which `after` was made with."""
    old, new = before.bill(), after.bill()
    repriced = bill(before.quantities, before.architecture, prices)
    spans = all(costs.measured.span_seconds > 60 for costs in (old, new))
    basis: Basis = "million_lines" if per_million_lines or not spans else "month"
    one, other, moved = (_estimate(costs, basis, spans) for costs in (old, new, repriced))
    change = difference(one, other)
    percent = (change.total.likely / one.total.likely * 100).quantize(_PLACES) if one.total.likely else None
    known = {(item.service, item.name) for item in one.unpriced}
    unpriced = [f"{i.service} {i.name}: {i.reason}" for i in other.unpriced if (i.service, i.name) not in known]
    exceeded = False
    if allowed_percent is not None:
        allowed = one.total.likely * allowed_percent / 100
        exceeded = change.total.likely > allowed or bool(unpriced)
    return Comparison(
        baseline_id=before.estimate_id,
        estimate_id=after.estimate_id,
        basis=basis,
        currency=new.currency,
        before=one.total,
        after=other.total,
        change=change,
        percent=percent,
        prices_moved=moved.total.likely - one.total.likely,
        newly_unpriced=unpriced,
        allowed_percent=allowed_percent,
        exceeded=exceeded,
    )


def _estimate(costs: Bill, basis: Basis, spans: bool) -> Estimate:
    if basis == "month":
        return costs.month
    estimate = costs.month if spans else costs.measured
    lines = costs.projection.lines_likely if spans else costs.projection.measured_lines
    factor = Decimal(_MILLION) / lines if lines else _NOTHING
    items = [msgspec.structs.replace(item, amount=item.amount.times(factor)) for item in estimate.items]
    return msgspec.structs.replace(estimate, items=items, total=estimate.total.times(factor))
