"""Rows of the price book and what changed in it, as tables for a terminal. Pure."""

from __future__ import annotations

from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mockupaws.cost_model.compare_books import BookAudit
from mockupaws.cost_model.prices import PriceRow

_SHOWN = 50


def render_audit(audit: BookAudit) -> RenderableType:
    changed = [c for c in audit.changes if c.before is not None and c.after is not None]
    added = sum(1 for c in audit.changes if c.before is None)
    gone = [c for c in audit.changes if c.after is None]
    table = Table("meter", "region", "before", "after", "change", title=f"{audit.before} → {audit.after}",
                  title_justify="left")  # fmt: skip
    for column in table.columns[2:]:
        column.justify = "right"
    for change in (*changed, *gone)[:_SHOWN]:
        table.add_row(
            change.meter,
            change.region,
            _price(change.before),
            _price(change.after) if change.after is not None else "unpriced",
            "" if change.percent is None else f"{change.percent:+} %",
        )
    share = f"{audit.agreed} of {audit.rows} rows are stated by other public data too"
    lines = [
        f"{len(changed)} changed, {added} new, {len(gone)} gone"
        + (f" (the first {_SHOWN} are shown)" if len(changed) + len(gone) > _SHOWN else ""),
        f"{share}; {len(audit.old)} were checked too long ago; {audit.regions} regions",
    ]
    parts: list[RenderableType] = [table] if changed or gone else []
    return Group(*parts, *map(Text, lines))


def render_rows(name: str, rows: list[PriceRow]) -> RenderableType:
    table = Table("meter", "region", "from", "price", "unit", "effective", "checked", "sources", title=name,
                  title_justify="left")  # fmt: skip
    for row in rows:
        end = f" to {row.to_quantity:,}" if row.to_quantity is not None else ""
        table.add_row(
            row.meter,
            row.region,
            f"{row.from_quantity:,}{end}",
            f"{row.price:f}",
            row.unit,
            row.effective_date,
            row.checked_date,
            str(1 + len(row.agrees_with)),
        )
    return table if rows else Text("No such row: what it would price is unpriced.")


def _price(price: Decimal | None) -> str:
    return "" if price is None else f"{price:f}"
