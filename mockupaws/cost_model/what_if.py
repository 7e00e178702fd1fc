"""What changes in the bill when the architecture changes."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from mockupaws.cost_model.price_usage import Amounts, Estimate


class ChangedItem(msgspec.Struct, frozen=True):
    service: str
    name: str
    before: Amounts
    after: Amounts
    change: Amounts
    estimated: bool
    """Whether before or after rests on tokens that are not the model's own count."""


class Difference(msgspec.Struct, frozen=True):
    total: Amounts
    """After less before: negative is a saving."""
    items: list[ChangedItem]
    """Items whose amount changes, largest likely change first."""


def difference(before: Estimate, after: Estimate) -> Difference:
    old, new = _by_item(before), _by_item(after)
    items = [
        ChangedItem(
            *name,
            old.get(name, _NOTHING),
            new.get(name, _NOTHING),
            _less(new, old, name),
            any(item.estimated for item in (*before.items, *after.items) if (item.service, item.name) == name),
        )
        for name in sorted({*old, *new})
    ]
    changed = [item for item in items if item.before != item.after]
    changed.sort(key=lambda item: -abs(item.change.likely))
    return Difference(_minus(after.total, before.total), changed)


_NOTHING = Amounts(Decimal(0), Decimal(0), Decimal(0))


def _by_item(estimate: Estimate) -> dict[tuple[str, str], Amounts]:
    """Amounts by service and name, summed over price tiers."""
    sums: dict[tuple[str, str], Amounts] = {}
    for item in estimate.items:
        so_far = sums.get((item.service, item.name), _NOTHING)
        sums[item.service, item.name] = Amounts(
            so_far.low + item.amount.low, so_far.likely + item.amount.likely, so_far.high + item.amount.high
        )
    return sums


def _less(new: dict[tuple[str, str], Amounts], old: dict[tuple[str, str], Amounts], name: tuple[str, str]) -> Amounts:
    return _minus(new.get(name, _NOTHING), old.get(name, _NOTHING))


def _minus(left: Amounts, right: Amounts) -> Amounts:
    return Amounts(left.low - right.low, left.likely - right.likely, left.high - right.high)
