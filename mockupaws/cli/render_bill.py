"""A bill and what was measured, as tables for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mockupaws.cli.visible_text import visible
from mockupaws.cost_model.bill import Bill
from mockupaws.cost_model.pattern_costs import PatternCost
from mockupaws.cost_model.price_usage import Amounts, Estimate, LineItem, UnpricedItem
from mockupaws.cost_model.profile import ArrivalRate, Profile, Spread
from mockupaws.cost_model.quantities import Quantities

_BAR_CHARACTERS = 30
_CENT = Decimal("0.01")


def render_quantities(quantities: Quantities) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    share = f" ({quantities.pii_entries / quantities.entries:.1%})" if quantities.entries else ""
    for name, value in (
        ("lines", f"{quantities.entries:,}"),
        ("bytes", f"{quantities.size_bytes:,}"),
        ("tokens", f"{quantities.tokens:,}"),
        ("SQS 64 KiB blocks", f"{quantities.sqs_blocks:,}"),
        ("lines with personal data", f"{quantities.pii_entries:,}{share}"),
    ):
        table.add_row(name, value)
    return table


def render_pii(quantities: Quantities) -> RenderableType:
    table = Table("type", "lines", title="Personal data and secrets", title_justify="left")
    table.columns[1].justify = "right"
    for name, lines in sorted(quantities.pii.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{lines:,}")
    return table if quantities.pii else Text("No personal data was found.")


def render_sizes(quantities: Quantities) -> RenderableType:
    table = Table("up to", "lines", "", title="Sizes", title_justify="left")
    table.columns[0].justify = table.columns[1].justify = "right"
    most = max(quantities.sizes.values(), default=1)
    for bound, lines in quantities.sizes.items():
        table.add_row(size_text(bound), f"{lines:,}", "█" * max(1, round(lines / most * _BAR_CHARACTERS)))
    return table


def render_profile(profile: Profile) -> RenderableType:
    """Percentiles by measure; the arrival rate only where the lines name their seconds."""
    table = Table("", "p50", "p95", "p99", "max", title="Spread", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    rows: list[tuple[str, Spread | ArrivalRate]] = [
        ("bytes a line", profile.size_bytes),
        ("tokens a line", profile.tokens),
    ]
    if profile.lines_per_second.max:
        rows.append(("lines a second", profile.lines_per_second))
    for name, spread in rows:
        table.add_row(name, *(f"{value:,}" for value in (spread.p50, spread.p95, spread.p99, spread.max)))
    return table


def render_patterns(patterns: list[PatternCost]) -> RenderableType:
    table = Table("cost", "lines", "tokens", "template", title="What to cut first", title_justify="left")
    for column in table.columns[:3]:
        column.justify = "right"
    for pattern in patterns:
        shares = (pattern.share_of_cost, pattern.share_of_entries, pattern.share_of_tokens)
        table.add_row(*(f"{share:.1%}" for share in shares), Text(visible(pattern.template) or "(all other lines)"))
    return table


def render_bill(bill: Bill) -> RenderableType:
    """The measured lines' bill, and the month's where the lines span more than a minute."""
    parts: list[RenderableType] = [_render_estimate(bill.measured, f"These lines, in {bill.region}")]
    if bill.month.span_seconds and bill.measured.span_seconds > 60:
        parts.append(_render_estimate(bill.month, f"A month like them, in {bill.region}"))
    parts.append(Text(f"Prices: {bill.price_book}, checked {bill.prices_checked}, {bill.currency}."))
    if not bill.complete:
        parts.append(Text("Something has no price here, so the totals are too low.", style="yellow"))
    parts += [Text(f"- {assumption}", style="dim") for assumption in bill.assumptions]
    return Group(*parts)


def _render_estimate(estimate: Estimate, title: str) -> Table:
    table = Table("", "quantity", "unit price", "low", "likely", "high", title=title, title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for item in estimate.items:
        table.add_row(
            f"{item.service} {item.name}",
            f"{item.quantity.likely:,.0f}{_mark(item)}",
            f"{item.unit_price:f} / {item.unit}",
            *_amounts(item.amount),
        )
    for missing in estimate.unpriced:
        quantity = f"{missing.quantity.likely:,.0f}{_mark(missing)}"
        table.add_row(f"{missing.service} {missing.name}", quantity, "unpriced", "", "", "")
    table.add_section()
    table.add_row("total", "", "", *_amounts(estimate.total), style="bold")
    return table


def _mark(item: LineItem | UnpricedItem) -> str:
    return " (estimated)" if item.estimated else ""


def _amounts(amounts: Amounts) -> Iterable[str]:
    return (money_text(amounts.low), money_text(amounts.likely), money_text(amounts.high))


def money_text(amount: Decimal) -> str:
    """To the cent; what is less than ten of them to three significant digits."""
    if amount and abs(amount) < 10 * _CENT:
        return f"{amount:.3g}" if abs(amount) >= Decimal("0.0001") else f"{amount:.1e}"
    return f"{amount:,.2f}"


def size_text(size_bytes: int) -> str:
    if size_bytes >= 1024 * 1024:
        return f"{size_bytes // (1024 * 1024)} MiB"
    return f"{size_bytes // 1024} KiB" if size_bytes >= 1024 else f"{size_bytes} B"
