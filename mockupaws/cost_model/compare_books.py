"""What changed between two versions of the price book, and which of its rows rest on little. Pure."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from mockupaws.cost_model.prices import PriceBook, PriceRow

_PERCENT_PLACES = Decimal("0.01")


class PriceChange(msgspec.Struct, frozen=True, kw_only=True):
    row: str
    meter: str
    region: str
    before: Decimal | None
    """None: the row is new."""
    after: Decimal | None
    """None: the row is gone, and what it priced is `unpriced` from now on."""
    percent: Decimal | None
    unit: str


class BookAudit(msgspec.Struct, frozen=True, kw_only=True):
    before: str
    after: str
    changes: list[PriceChange]
    """Largest change first; then new rows, then those gone."""
    rows: int
    regions: int
    agreed: int
    """Rows whose price other public data states too."""
    single: list[str]
    """Ids of rows with no second source."""
    old: list[str]
    """Ids of rows that were checked longer ago than asked for."""


def audit_books(before: PriceBook, after: PriceBook, today: date, max_age_days: int) -> BookAudit:
    old_rows, new_rows = _by_tier(before), _by_tier(after)
    changes = []
    for key in sorted({*old_rows, *new_rows}):
        old, new = old_rows.get(key), new_rows.get(key)
        change = _change(old, new)
        if change is not None:
            changes.append(change)
    changes.sort(key=lambda change: (change.before is None, change.after is None, -abs(change.percent or Decimal(0))))
    return BookAudit(
        before=before.name,
        after=after.name,
        changes=changes,
        rows=len(after.rows),
        regions=len(after.regions()),
        agreed=sum(1 for row in after.rows if row.agrees_with),
        single=[row.id for row in after.rows if not row.agrees_with],
        old=[row.id for row in after.rows if (today - date.fromisoformat(row.checked_date)).days > max_age_days],
    )


def _by_tier(book: PriceBook) -> dict[tuple[str, str, int], PriceRow]:
    return {(row.meter, row.region, row.from_quantity): row for row in book.rows}


def _change(old: PriceRow | None, new: PriceRow | None) -> PriceChange | None:
    """Prices of one unit are compared, whatever number of them each book calls a unit."""
    row = new or old
    assert row is not None
    before = None if old is None else old.price / old.unit_quantity
    after = None if new is None else new.price / new.unit_quantity
    if before == after:
        return None
    percent = ((after / before - 1) * 100).quantize(_PERCENT_PLACES) if before and after is not None else None
    scale = row.unit_quantity
    return PriceChange(
        row=row.id,
        meter=row.meter,
        region=row.region,
        before=None if before is None else before * scale,
        after=None if after is None else after * scale,
        percent=percent,
        unit=row.unit,
    )
