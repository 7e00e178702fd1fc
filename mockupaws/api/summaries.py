"""Figures of a scenario over a window: from summaries where they are up to date, from the minutes for the rest.

All take a connection of `Databases.read`, whose statements see one snapshot: between them a summary may go out of date.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

from mockupaws.api.queries import SQL
from mockupaws.cost_model.budgets import Peaks
from mockupaws.cost_model.quantities import MetricTotal, Quantities, volume_step
from mockupaws.runtime.postgres import Connection
from mockupaws.schemas.distributions import Counts
from mockupaws.schemas.rollups import ROLLUP_METRICS, RollupMetric

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_HOUR_SECONDS, _DAY_SECONDS = 3600, 86_400
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
_BATCHES = ("sqs", "blocks")
_ENTRIES = next(metric for metric in ROLLUP_METRICS if metric[:2] == ("ingest", "entries"))


@dataclass(frozen=True, slots=True)
class Window:
    scenario_id: UUID
    since: datetime | None = None
    """Inclusive; None: from the first line on."""
    to: datetime | None = None
    """Exclusive."""

    def arguments(
        self, *, days: bool = True
    ) -> tuple[UUID, datetime, datetime, datetime, datetime, datetime, datetime]:
        """What the statements that begin with `covered` take first. `days`: whether summaries of days may serve."""
        since, to = self.since or _EARLIEST, self.to or _LATEST
        first_day, end_day = _up(since, _DAY), _down(to, _DAY)
        return self.scenario_id, _down(since, _HOUR), to, first_day, end_day if days else first_day, since, to

    def minutes_of(self, hour: datetime) -> slice:
        """Which of the hour's 60 minutes begin in the window."""
        first = 0 if self.since is None else max(0, -((hour - self.since) // _MINUTE))
        end = 60 if self.to is None else min(60, -((hour - self.to) // _MINUTE))
        return slice(first, max(first, end))

    def ranges_of(self, hours: Iterable[datetime]) -> list[tuple[datetime, datetime]]:
        """The minutes of these hours that belong to the window; each range holds hours that follow each other."""
        ranges: list[tuple[datetime, datetime]] = []
        for hour in sorted(hours):
            since = max(hour, self.since or hour)
            to = min(hour + _HOUR, self.to or hour + _HOUR)
            if ranges and ranges[-1][1] == since:
                since = ranges.pop()[0]
            ranges.append((since, to))
        return ranges


@dataclass(frozen=True, slots=True)
class Coverage:
    """What to read of a window: summaries of these days and hours, and the minutes of these hours."""

    window: Window
    days: list[datetime]
    hours: list[datetime]
    hours_by_minute: list[datetime]


async def find_coverage(connection: Connection, window: Window) -> Coverage:
    row = await connection.fetchrow(SQL["coverage"], *window.arguments())
    assert row is not None
    return Coverage(window, row["days"], row["hours"], row["hours_by_minute"])


async def measured_quantities(
    connection: Connection, scenario_id: UUID, since: datetime | None = None, to: datetime | None = None
) -> Quantities:
    return await quantities_of(connection, await find_coverage(connection, Window(scenario_id, since, to)))


async def quantities_of(connection: Connection, coverage: Coverage) -> Quantities:
    totals = await totals_of(connection, coverage.window)
    batched = await measured_counts(connection, coverage, [_BATCHES])
    volumes: dict[int, int] = {}
    step = volume_step(totals.first_minute, totals.last_minute)
    if totals.first_minute is not None:
        volumes = dict(await measured_series(connection, coverage.window, _ENTRIES, step))
    return replace(totals, sqs_batched=dict(sorted(batched[_BATCHES].items())), volumes=volumes, volume_seconds=step)


async def totals_of(connection: Connection, window: Window) -> Quantities:
    """Without how the lines came in: no batches, and no volumes. What a bill needs is in `quantities_of`."""
    totals: list[MetricTotal] = []
    spans: list[tuple[datetime, datetime, int]] = []
    """First, last and number of minutes with entries."""
    unsettled: set[datetime] = set()

    def add(kind: str, name: str, value: int, first: datetime, last: datetime, minutes: int) -> None:
        totals.append(MetricTotal(kind, name, value))
        if (kind, name) == _ENTRIES[:2]:
            spans.append((first, last, minutes))

    for kind, name, value, minutes, first, last, parts in await connection.fetch(SQL["totals"], *window.arguments()):
        if value is None and parts is None:
            unsettled.add(first)
        elif value is not None:
            add(kind, name, value, first, last, minutes)
        else:
            held = window.minutes_of(first)
            places = [place for place, part in enumerate(parts[held], held.start) if part is not None]
            if places:
                value = sum(filter(None, parts[held]))
                add(kind, name, value, first + places[0] * _MINUTE, first + places[-1] * _MINUTE, len(places))
    for since, to in window.ranges_of(unsettled):
        for kind, name, value, minutes, first, last in await connection.fetch(
            SQL["minute_totals"], window.scenario_id, since, to
        ):
            add(kind, name, value, first, last, minutes)
    return Quantities.of_totals(
        totals,
        min((_epoch(first) for first, _, _ in spans), default=None),
        max((_epoch(last) for _, last, _ in spans), default=None),
        sum(minutes for _, _, minutes in spans),
        {},
        {},
    )


async def measured_counts(
    connection: Connection, coverage: Coverage, metrics: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Counts]:
    """The distribution of each metric; of ingest.entries: entries of a second → seconds."""
    scenario_id = coverage.window.scenario_id
    names = [kind for kind, _ in metrics], [name for _, name in metrics]
    rows = await connection.fetch(SQL["summary_counts"], scenario_id, coverage.days, coverage.hours, *names)
    for minutes in coverage.window.ranges_of(coverage.hours_by_minute):
        rows += await connection.fetch(SQL["minute_counts"], scenario_id, *minutes, *names)
    counts: defaultdict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for row in rows:
        counts[row["metric_type"], row["metric_name"]][row["key"]] += row["count"]
    return {metric: counts[metric] for metric in metrics}


async def measured_series(
    connection: Connection, window: Window, metric: RollupMetric, step_seconds: int
) -> list[tuple[int, int]]:
    """Sums by the start of their steps (epoch s), in order; steps without traffic are left out."""
    by_minute = step_seconds % _HOUR_SECONDS != 0
    wanted = metric.metric_type, metric.metric_name
    rows = await connection.fetch(SQL["series"], *window.arguments(days=not by_minute), *wanted, by_minute)
    if any(is_day and parts is None for _, is_day, _, parts in rows):  # of a day folded by an older release
        rows = await connection.fetch(SQL["series"], *window.arguments(days=False), *wanted, by_minute)
    sums: dict[int, int] = {}
    unsettled: list[datetime] = []
    for start, is_day, value, parts in rows:
        epoch = _epoch(start)
        if value is None:
            unsettled.append(start)
        elif parts is None or (is_day and step_seconds % _DAY_SECONDS == 0):
            _add(sums, step_seconds, range(epoch, epoch + 1), [value])
        elif is_day:
            _add(sums, step_seconds, range(epoch, epoch + _DAY_SECONDS, _HOUR_SECONDS), parts)
        else:
            held = window.minutes_of(start)
            _add(sums, step_seconds, range(epoch, epoch + _HOUR_SECONDS, 60)[held], parts[held])
    for since, to in window.ranges_of(unsettled):
        arguments = window.scenario_id, since, to, *wanted, float(step_seconds)
        for start, value in await connection.fetch(SQL["minute_series"], *arguments):
            sums[start] = sums.get(start, 0) + value
    return sorted(sums.items())


def _add(sums: dict[int, int], step_seconds: int, starts: range, values: Sequence[int | None]) -> None:
    """What comes from each of `starts` on, to the steps they fall in; no start comes twice."""
    if step_seconds == starts.step and None not in values:
        sums.update(zip(starts, cast("Sequence[int]", values), strict=True))
        return
    for start, value in zip(starts, values, strict=True):
        if value is not None:
            step = start - start % step_seconds
            sums[step] = sums.get(step, 0) + value


async def measured_peaks(
    connection: Connection, scenario_id: UUID, since: datetime | None = None, to: datetime | None = None
) -> Peaks:
    """Of the minutes: summaries hold no minute's sum."""
    row = await connection.fetchrow(SQL["peaks"], scenario_id, since, to)
    assert row is not None
    return Peaks(*(row[name] or 0 for name in Peaks._fields))


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def _down(moment: datetime, span: timedelta) -> datetime:
    return moment - (moment - _EARLIEST) % span


def _up(moment: datetime, span: timedelta) -> datetime:
    return moment + (_EARLIEST - moment) % span
