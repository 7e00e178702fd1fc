"""Differences between estimates, influences and suggestions, as tables for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mockupaws.cli.render_bill import money_text
from mockupaws.cost_model.compare_estimates import Comparison
from mockupaws.cost_model.price_usage import Amounts
from mockupaws.cost_model.sensitivity import Influence
from mockupaws.cost_model.suggestions import Suggestion

_INFLUENCES = 8


def render_comparison(comparison: Comparison) -> RenderableType:
    basis = "a month" if comparison.basis == "month" else "a million lines"
    table = Table("", "before", "after", "change", title=f"{basis}, likely, in {comparison.currency}",
                  title_justify="left")  # fmt: skip
    for column in table.columns[1:]:
        column.justify = "right"
    for item in comparison.change.items:
        mark = " (estimated)" if item.estimated else ""
        table.add_row(f"{item.service} {item.name}{mark}", *_likely(item.before, item.after, item.change))
    table.add_section()
    percent = "" if comparison.percent is None else f" ({comparison.percent:+} %)"
    before, after, change = _likely(comparison.before, comparison.after, comparison.change.total)
    table.add_row("total", before, after, change + percent, style="bold")
    lines = [f"range: {_range(comparison.before)} → {_range(comparison.after)}"]
    if comparison.prices_moved:
        lines.append(f"of the change, prices alone: {_signed(comparison.prices_moved)}")
    lines += [f"no price: {what}" for what in comparison.newly_unpriced]
    if comparison.allowed_percent is not None:
        verdict = "MORE THAN ALLOWED" if comparison.exceeded else "within what is allowed"
        lines.append(f"{verdict}: up to {comparison.allowed_percent:f} % more")
    return Group(table, *map(Text, lines))


def render_influences(influences: Sequence[Influence]) -> RenderableType:
    table = Table("input", "from", "to", "a month", "% for each %", title="What moves it most", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for influence in influences[:_INFLUENCES]:
        table.add_row(
            influence.input,
            f"{influence.before.normalize():,f}"[:16],
            f"{influence.after.normalize():,f}"[:16],
            _signed(influence.month_change),
            f"{influence.elasticity:+}",
        )
    return table


def render_suggestions(suggestions: Sequence[Suggestion]) -> RenderableType:
    if not suggestions:
        return Text("Nothing to change was found that would save something.")
    table = Table("saves a month", "share", "change", title="What to change", title_justify="left")
    table.columns[0].justify = table.columns[1].justify = "right"
    for suggestion in suggestions:
        notes = [*suggestion.arithmetic, *([f"({suggestion.caution})"] if suggestion.caution else [])]
        told = Text(suggestion.title)
        for note in notes:
            told.append(f"\n  {note}", style="dim")
        table.add_row(money_text(suggestion.saves.likely), f"{suggestion.share:.1%}", told)
    return table


def _likely(*amounts: Amounts) -> tuple[str, str, str]:
    before, after, change = amounts
    return money_text(before.likely), money_text(after.likely), _signed(change.likely)


def _range(amounts: Amounts) -> str:
    return f"{money_text(amounts.low)} to {money_text(amounts.high)}"


def _signed(amount: Decimal) -> str:
    text = money_text(amount)
    return text if text.startswith("-") else f"+{text}"
