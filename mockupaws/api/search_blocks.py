"""Which parts of a scenario's time a search has to look at, line by line: where its lines stand in no block, or in one
whose filter says that it may hold what is searched for (archive/text_filter.py)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from mockupaws.api.cursor import Position
from mockupaws.api.queries import SQL
from mockupaws.archive.text_filter import places_of
from mockupaws.runtime.postgres import Connection

MAX_BLOCKS = 5_000
"""A page asks so many filters: of some five million lines."""
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_BYTES_AS_DEAR = 8
"""Bytes of filters are asked in the time in which one byte of text is looked at."""
_FIRST_ID, _LAST_ID = UUID(int=0), UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` to before `until`."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """What lines have to hold: all `places`, and those of one of the `marks`, if there are any."""

    places: list[int]
    marks: list[list[int]]


@dataclass(frozen=True, slots=True)
class SearchPlan:
    spans: list[Span]
    """In the order of the search; no line outside of them has what is wanted."""
    end: Position | None
    """Where the plan ends before all blocks were asked."""
    looked_bytes: int
    """What asking the filters cost, in bytes of text that are as dear to look at."""


def wanted_of(text: str | None, attributes: str | None, marks: Sequence[str] | None) -> Wanted | None:
    """None where filters can't tell. `attributes`: JSON of an object, whose texts the line's attributes hold."""
    texts = [text or ""]
    if attributes is not None:
        texts += _strings_in(msgspec.json.decode(attributes))
    places = sorted({place for each in texts for place in places_of(each)})
    of_marks = [places_of(mark) for mark in marks or ()]
    if not all(of_marks):
        of_marks = []
    return Wanted(places, of_marks) if places or of_marks else None


def _strings_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, each in value.items() for text in (key, *_strings_in(each))]
    return [text for each in value for text in _strings_in(each)] if isinstance(value, list) else []


async def plan_search(
    connection: Connection, scenario_id: UUID, wanted: Wanted, asked: Span, *, newest_first: bool
) -> SearchPlan:
    """Statements of one snapshot with the search itself: between them a block may go out of date."""
    window = asked
    first = _day_of(window.since)  # the block that holds a moment begins on its day
    end = None
    if newest_first:
        bound = await connection.fetchval(SQL["text_bound_newest_first"], scenario_id, first, window.until, MAX_BLOCKS)
        if bound is not None and bound > window.since:
            first, window = bound, Span(bound, window.until)
            end = Position(bound, _FIRST_ID)
    else:
        bound = await connection.fetchval(SQL["text_bound_oldest_first"], scenario_id, first, window.until, MAX_BLOCKS)
        if bound is not None:
            window = Span(window.since, bound)
            end = Position(bound - INSTANT, _LAST_ID)
    if window.since >= window.until:  # more blocks in one minute than a page asks
        return SearchPlan([asked], None, 0)
    days = [row["day"] for row in await connection.fetch(SQL["text_days"], scenario_id, _day_of(first), window.until)]
    found = await connection.fetchrow(
        SQL["text_blocks"], scenario_id, first, window.until, days, *_arguments_of(wanted)
    )
    assert found is not None
    covered = [Span(day, day + _DAY) for day in days]
    candidates = _spans(found["first_at"] or (), found["last_at"] or ())
    if found["since"]:
        minutes = dict(zip(found["since"], zip(found["until"], found["entries"], strict=True), strict=True))
        valid = await _unchanged(connection, scenario_id, minutes)
        covered += [Span(since, minutes[since][0]) for since in valid]
        unchecked = _spans(found["unchecked_first_at"], found["unchecked_last_at"])
        candidates += [
            span
            for since, span, may_hold in zip(found["since"], unchecked, found["may_hold"], strict=True)
            if may_hold and since in valid
        ]
    spans = spans_to_look_at(window, covered, candidates)
    return SearchPlan(spans if not newest_first else spans[::-1], end, found["bytes"] // _BYTES_AS_DEAR)


async def _unchanged(
    connection: Connection, scenario_id: UUID, minutes: dict[datetime, tuple[datetime, int]]
) -> set[datetime]:
    untils = [until for until, _ in minutes.values()]
    rows = await connection.fetch(SQL["entries_between"], scenario_id, list(minutes), untils, min(minutes), max(untils))
    return {row["since"] for row in rows if row["entries"] == minutes[row["since"]][1]}


def spans_to_look_at(window: Span, covered: Iterable[Span], candidates: Iterable[Span]) -> list[Span]:
    """All of the window but what is covered and no candidate; oldest first, none touches the next. Pure."""
    gaps = []
    since = window.since
    for span in sorted(covered, key=lambda span: span.since):
        if span.since > since:
            gaps.append(Span(since, span.since))
        since = max(since, span.until)
    gaps.append(Span(since, window.until))
    merged: list[Span] = []
    for span in sorted([*gaps, *candidates], key=lambda span: span.since):
        since, until = max(span.since, window.since), min(span.until, window.until)
        if since >= until:
            continue
        if merged and merged[-1].until >= since:
            merged[-1] = Span(merged[-1].since, max(merged[-1].until, until))
        else:
            merged.append(Span(since, until))
    return merged


def _arguments_of(wanted: Wanted) -> tuple[list[int], list[int], list[int], list[int]]:
    flat: list[int] = []
    firsts, lasts = [], []
    for mark in wanted.marks:
        firsts.append(len(flat) + 1)
        flat += mark
        lasts.append(len(flat))
    return wanted.places, flat, firsts, lasts


def _spans(first_at: Iterable[datetime], last_at: Iterable[datetime]) -> list[Span]:
    """Of lines received from the one to the other, both included."""
    return [Span(first, last + INSTANT) for first, last in zip(first_at, last_at, strict=True)]


def _day_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
