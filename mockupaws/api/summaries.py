"""Figures of a scenario over a window: from summaries where they are up to date, from the minutes for the rest.

All take a connection of `Databases.read`, whose statements see one snapshot: between them a summary may go out of date.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from mockupaws.api.queries import SQL
from mockupaws.cost_model.budgets import Peaks
from mockupaws.cost_model.quantities import MetricTotal, Quantities, volume_step
from mockupaws.runtime.postgres import Connection
from mockupaws.schemas.distributions import Counts
from mockupaws.schemas.rollups import ROLLUP_METRICS, RollupMetric

_HOUR = timedelta(hours=1)
_HOUR_SECONDS = 3600
_BATCHES = ("sqs", "blocks")
_ENTRIES = next(metric for metric in ROLLUP_METRICS if metric[:2] == ("ingest", "entries"))


@dataclass(frozen=True, slots=True)
class Window:
    scenario_id: UUID
    since: datetime | None = None
    """Inclusive; None: from the first line on."""
    to: datetime | None = None
    """Exclusive."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What to read of a window: summaries of these days and hours, and the minutes of these hours."""

    window: Window
    days: list[datetime]
    hours: list[datetime]
    hours_by_minute: list[datetime]

    @property
    def minute_ranges(self) -> list[tuple[datetime, datetime]]:
        """The minutes of `hours_by_minute` that belong to the window; each range holds hours that follow each other."""
        ranges: list[tuple[datetime, datetime]] = []
        for hour in self.hours_by_minute:
            since = max(hour, self.window.since or hour)
            to = min(hour + _HOUR, self.window.to or hour + _HOUR)
            if ranges and ranges[-1][1] == since:
                since = ranges.pop()[0]
            ranges.append((since, to))
        return ranges


async def find_coverage(connection: Connection, window: Window, *, days: bool = True) -> Coverage:
    row = await connection.fetchrow(SQL["coverage"], window.scenario_id, window.since, window.to, days)
    assert row is not None
    return Coverage(window, row["days"], row["hours"], row["hours_by_minute"])


async def measured_quantities(
    connection: Connection, scenario_id: UUID, since: datetime | None = None, to: datetime | None = None
) -> Quantities:
    return await quantities_of(connection, await find_coverage(connection, Window(scenario_id, since, to)))


async def quantities_of(connection: Connection, coverage: Coverage) -> Quantities:
    totals = await totals_of(connection, coverage)
    batched = await measured_counts(connection, coverage, [_BATCHES])
    step = volume_step(totals.first_minute, totals.last_minute)
    volumes = await _volumes(connection, coverage, step) if totals.first_minute is not None else {}
    return replace(totals, sqs_batched=dict(sorted(batched[_BATCHES].items())), volumes=volumes, volume_seconds=step)


async def totals_of(connection: Connection, coverage: Coverage) -> Quantities:
    """Without how the lines came in: no batches, and no volumes. What a bill needs is in `quantities_of`."""
    scenario_id = coverage.window.scenario_id
    rows = await connection.fetch(SQL["summary_totals"], scenario_id, coverage.days, coverage.hours)
    for minutes in coverage.minute_ranges:
        rows += await connection.fetch(SQL["minute_totals"], scenario_id, *minutes)
    entries = [row for row in rows if (row["metric_type"], row["metric_name"]) == ("ingest", "entries")]
    return Quantities.of_totals(
        (MetricTotal(row["metric_type"], row["metric_name"], row["value"]) for row in rows),
        min((_epoch(row["first_minute"]) for row in entries), default=None),
        max((_epoch(row["last_minute"]) for row in entries), default=None),
        sum(row["minutes"] for row in entries),
        {},
        {},
    )


async def _volumes(connection: Connection, coverage: Coverage, step_seconds: int) -> dict[int, int]:
    """Lines by the second their stretch begins at, in order."""
    window = coverage.window
    if step_seconds != _HOUR_SECONDS:
        return dict(await measured_series(connection, window, _ENTRIES, step_seconds))
    wanted = _ENTRIES.metric_type, _ENTRIES.metric_name
    row = await connection.fetchrow(SQL["hour_series"], window.scenario_id, window.since, window.to, *wanted)
    assert row is not None
    sums = Counter(dict(zip(row["hours"], row["sums"], strict=True)))
    for minutes in coverage.minute_ranges:  # of all hours without a summary that serves: days serve only if theirs do
        rows = await connection.fetch(SQL["minute_series"], window.scenario_id, *minutes, *wanted, float(step_seconds))
        for start, count in rows:
            sums[start] += count
    return dict(sorted(sums.items()))


async def measured_counts(
    connection: Connection, coverage: Coverage, metrics: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Counts]:
    """The distribution of each metric; of ingest.entries: entries of a second → seconds."""
    scenario_id = coverage.window.scenario_id
    names = [kind for kind, _ in metrics], [name for _, name in metrics]
    rows = await connection.fetch(SQL["summary_counts"], scenario_id, coverage.days, coverage.hours, *names)
    for minutes in coverage.minute_ranges:
        rows += await connection.fetch(SQL["minute_counts"], scenario_id, *minutes, *names)
    counts: defaultdict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for row in rows:
        counts[row["metric_type"], row["metric_name"]][row["key"]] += row["count"]
    return {metric: counts[metric] for metric in metrics}


async def measured_series(
    connection: Connection, window: Window, metric: RollupMetric, step_seconds: int
) -> list[tuple[int, int]]:
    """Sums by the start of their steps (epoch s), in order; steps without traffic are left out."""
    coverage = await find_coverage(connection, window, days=step_seconds % 86_400 == 0)
    if step_seconds % 3600:
        hours = sorted(coverage.hours_by_minute + coverage.hours)
        coverage = Coverage(window, [], [], hours)
    wanted = (metric.metric_type, metric.metric_name, float(step_seconds))
    rows = []
    if coverage.days or coverage.hours:
        rows = await connection.fetch(SQL["summary_series"], window.scenario_id, coverage.days, coverage.hours, *wanted)
    for minutes in coverage.minute_ranges:
        rows += await connection.fetch(SQL["minute_series"], window.scenario_id, *minutes, *wanted)
    sums: dict[int, int] = {}
    for start, value in rows:
        sums[start] = sums.get(start, 0) + value
    return sorted(sums.items())


async def measured_peaks(
    connection: Connection, scenario_id: UUID, since: datetime | None = None, to: datetime | None = None
) -> Peaks:
    """Of the minutes: summaries hold no minute's sum."""
    row = await connection.fetchrow(SQL["peaks"], scenario_id, since, to)
    assert row is not None
    return Peaks(*(row[name] or 0 for name in Peaks._fields))


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())
