"""Panels of lines over time as one SVG: all that a soak's memory, descriptors and lags need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, PANEL_HEIGHT, GAP = 960, 180, 46
LEFT, RIGHT, TOP = 64, 150, 40
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f")

Series = Mapping[str, Sequence[tuple[float, float | None]]]
"""Name → points (minutes, value); None where there was nothing to measure, which breaks the line."""


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    unit: str
    series: Series


@dataclass(frozen=True, slots=True)
class Mark:
    """A thin vertical line in each panel."""

    at: float
    what: str


def draw(title: str, panels: Sequence[Panel], marks: Sequence[Mark]) -> str:
    """The SVG's text."""
    minutes = max((x for panel in panels for points in panel.series.values() for x, _ in points), default=1.0) or 1.0
    height = TOP + len(panels) * (PANEL_HEIGHT + GAP)
    pieces = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="20" font-size="15">{escape(title)}</text>',
    ]
    names = list(dict.fromkeys(name for panel in panels for name in panel.series))
    colour = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}
    for number, panel in enumerate(panels):
        pieces += _draw_panel(panel, TOP + number * (PANEL_HEIGHT + GAP), minutes, colour, marks)
    return "\n".join([*pieces, "</svg>", ""])


def _draw_panel(
    panel: Panel, top: float, minutes: float, colour: Mapping[str, str], marks: Sequence[Mark]
) -> list[str]:
    values = [y for points in panel.series.values() for _, y in points if y is not None]
    highest = max(max(values, default=0.0) * 1.05, 1.0)
    right = WIDTH - RIGHT

    def across(x: float) -> float:
        return LEFT + x / minutes * (right - LEFT)

    def down(y: float) -> float:
        return top + PANEL_HEIGHT - y / highest * (PANEL_HEIGHT - 20)

    title = f"{panel.title} ({panel.unit})" if panel.unit else panel.title
    pieces = [f'<text x="{LEFT}" y="{top + 10:.0f}" font-weight="bold">{escape(title)}</text>']
    for share in (0.0, 0.5, 1.0):
        y = down(highest * share)
        pieces.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#ddd"/>')
        pieces.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{highest * share:,.0f}</text>')
    for mark in marks:
        x = across(mark.at)
        pieces.append(
            f'<path d="M{x:.1f} {top + 16:.0f}V{top + PANEL_HEIGHT:.0f}" stroke="#bbb" stroke-dasharray="2 3">'
            f"<title>{escape(mark.what)}</title></path>"
        )
    for tick in range(5):
        x = minutes * tick / 4
        pieces.append(
            f'<text x="{across(x):.1f}" y="{top + PANEL_HEIGHT + 14:.0f}" text-anchor="middle">{x:.1f} min</text>'
        )
    for number, (name, points) in enumerate(panel.series.items()):
        pieces.append(
            f'<path d="{_path(points, across, down)}" fill="none" stroke="{colour[name]}" stroke-width="1.4"/>'
        )
        y = top + 24 + 15 * number
        pieces.append(f'<path d="M{right + 8} {y - 4:.0f}h14" stroke="{colour[name]}" stroke-width="2"/>')
        pieces.append(f'<text x="{right + 26}" y="{y:.0f}">{escape(name)}</text>')
    return pieces


def _path(points: Sequence[tuple[float, float | None]], across: object, down: object) -> str:
    assert callable(across)
    assert callable(down)
    steps, pen = [], "M"
    for x, y in points:
        if y is None:
            pen = "M"
            continue
        steps.append(f"{pen}{across(x):.1f} {down(y):.1f}")
        pen = "L"
    return "".join(steps) or "M0 0"
