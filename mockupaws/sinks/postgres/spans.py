"""Sets of offsets as ascending spans that don't touch, and their text in Postgres (int8multirange). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

Span = tuple[int, int]
"""Offsets from the first up to, without, the second."""

_RANGE = re.compile(r"\[(\d+),(\d+)\)")


def spans_of(offsets: Iterable[int]) -> list[Span]:
    """Repeats and any order are fine."""
    return union([(offset, offset + 1) for offset in offsets])


def union(*sets: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in sorted(span for spans in sets for span in spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        elif start < end:
            joined.append((start, end))
    return joined


def complement(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    """What lies from `start` up to, without, `end` and in none of the spans."""
    gaps: list[Span] = []
    for span_start, span_end in union(spans):
        if start < min(span_start, end):
            gaps.append((start, min(span_start, end)))
        start = max(start, span_end)
    if start < end:
        gaps.append((start, end))
    return gaps


def subtract(spans: Iterable[Span], minus: Iterable[Span]) -> list[Span]:
    minus = union(minus)
    return [rest for start, end in union(spans) for rest in complement(minus, start, end)]


def intersect(left: Iterable[Span], right: Iterable[Span]) -> list[Span]:
    left = union(left)
    return subtract(left, subtract(left, right))


def to_multirange(spans: Iterable[Span]) -> str:
    return "{" + ",".join(f"[{start},{end})" for start, end in spans) + "}"


def from_multirange(text: str) -> list[Span]:
    return [(int(start), int(end)) for start, end in _RANGE.findall(text)]
