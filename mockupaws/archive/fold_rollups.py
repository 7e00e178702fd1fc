"""Folds rollups: minutes into hours, hours into days, and what sinks append to facets into one row a combination.

Reads from and writes to Postgres as the owner, once a minute in the process `maintenance`. Promises that no summary is
taken for more than it holds: each carries the number of changes of its hours it was made of, and readers pass by one
whose hours have changed since (late lines, a replay). Whatever is not folded yet is read from the minutes: exact at
once, only slower.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import asyncpg

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.postgres import load_queries, owner_connection
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import FOLD_FAILURES, get_logger
from mockupaws.runtime.upkeep import DaysToLookAt, repeat

INTERVAL_SECONDS = 60
_HOURS_AT_ONCE = 500
_DAYS_AT_ONCE = 500
_ROUNDS = 200
"""Of one run: what is left is for the next."""
_STATEMENT_SECONDS = 60
_QUERIES = load_queries("mockupaws.archive", "fold_rollups.sql")

_HOUR = timedelta(hours=1)
_Fold = Callable[["asyncpg.Connection[asyncpg.Record]", datetime, int], Awaitable[int]]

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Folded:
    hours: int
    days: int
    facet_hours: int


async def fold_rollups(settings: Settings, now: datetime, since: datetime | None = None) -> Folded:
    """One run, which looks for days to fold from `since` on, or for any. Safe to repeat, and to run twice at once: one
    folds, the other finds nothing to do."""
    async with owner_connection(settings, "mockupaws-fold", _STATEMENT_SECONDS) as connection:
        hours = await _repeat(connection, _fold_hours, now, _HOURS_AT_ONCE)
        days = await _repeat(connection, partial(_fold_days, since), now, _DAYS_AT_ONCE)
        facet_hours = await _repeat(connection, _fold_facets, now, _HOURS_AT_ONCE)
        return Folded(hours, days, facet_hours)


class Folding:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = SystemClock()
        self._days = DaysToLookAt()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. What fails is counted, logged and tried again: readers are slower meanwhile, never wrong."""
        await repeat(stop, INTERVAL_SECONDS, self._clock, self._fold, _note_failure)

    async def _fold(self, now: datetime) -> None:
        done = await fold_rollups(self._settings, now, self._days.since(now))
        self._days.looked(now)
        if done.hours or done.days:
            log.info("rollups_folded", **dataclasses.asdict(done))


def _note_failure(error: Exception) -> None:
    FOLD_FAILURES.labels(type(error).__name__).inc()
    log.warning("rollups_not_folded", error=type(error).__name__)


async def _repeat(connection: asyncpg.Connection[asyncpg.Record], fold: _Fold, now: datetime, at_once: int) -> int:
    total = 0
    for _ in range(_ROUNDS):
        async with connection.transaction():
            if not await connection.fetchval(_QUERIES["lock_folding"]):
                return total
            count = await fold(connection, now, at_once)
        total += count
        if count < at_once:
            break
    return total


async def _fold_hours(connection: asyncpg.Connection[asyncpg.Record], now: datetime, at_once: int) -> int:
    due = await connection.fetch(_QUERIES["hours_due"], now, at_once)
    if due:
        scenarios, hours = [row["scenario_id"] for row in due], [row["hour"] for row in due]
        await connection.execute(_QUERIES["clear_hours"], scenarios, hours)
        await connection.execute(_QUERIES["fold_hours"], scenarios, hours, min(hours), max(hours) + _HOUR)
        await connection.execute(_QUERIES["mark_hours"], scenarios, hours, [row["changes"] for row in due])
    return len(due)


async def _fold_days(
    since: datetime | None, connection: asyncpg.Connection[asyncpg.Record], now: datetime, at_once: int
) -> int:
    due = await connection.fetch(_QUERIES["days_due"], now, at_once, since)
    if due:
        scenarios, days = [row["scenario_id"] for row in due], [row["day"] for row in due]
        await connection.execute(_QUERIES["clear_days"], scenarios, days)
        await connection.execute(_QUERIES["fold_days"], scenarios, days)
        tenants, changes = [row["tenant_id"] for row in due], [row["changes"] for row in due]
        await connection.execute(_QUERIES["mark_days"], tenants, scenarios, days, changes)
    return len(due)


async def _fold_facets(connection: asyncpg.Connection[asyncpg.Record], now: datetime, at_once: int) -> int:
    count: int = await connection.fetchval(_QUERIES["fold_facets"], at_once)
    return count
