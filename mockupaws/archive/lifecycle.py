"""Maintenance: partitions are made before rows need them, and applied requests are forgotten once Kafka has.

Reads from nothing, writes to Postgres as the owner, puts anchors of the audit log into the archive, and deletes objects
there that no manifest row names. Promises that a row received now, in the month before or in the months ahead finds its
partition, and that a request id is remembered for longer than Kafka can bring it again. Run by the process
`maintenance` once at start, then hourly; `maintain` is one run.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import asyncpg

from mockupaws.archive.anchor_audit import anchor_chains
from mockupaws.archive.object_store import open_store
from mockupaws.archive.sweep_orphans import sweep_orphans
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.health import HealthReport
from mockupaws.runtime.postgres import is_retriable, load_queries, owner_connection
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import AUDIT_ANCHOR_FAILURES, get_logger
from mockupaws.runtime.upkeep import rest

INTERVAL_SECONDS = 3600
RETRY_SECONDS = 5
METRIC_DAYS_BACK = 8
"""A day more than the topics' retention: the oldest request a sink may still see finds its rollup's partition."""
PATTERN_DAYS = 90
"""How long patterns of a scenario's lines are kept."""
_DELETE_AT_ONCE = 10_000
_LOCK_TIMEOUT_MS = 5_000
_TIMEOUT_SECONDS = 60

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """What one run changed."""

    partitions_made: int
    requests_forgotten: int
    patterns_forgotten: int
    orphans_deleted: int


NOTHING_DONE = Done(0, 0, 0, 0)


def plan_months(today: date, ahead: int) -> list[date]:
    """First days of the month before `today`'s, its own, and `ahead` more."""
    first = today.year * 12 + today.month - 2
    return [date(month // 12, month % 12 + 1, 1) for month in range(first, first + ahead + 2)]


def plan_days(today: date, ahead: int) -> list[date]:
    """`METRIC_DAYS_BACK` days before `today`, itself, and `ahead` more."""
    return [today + timedelta(days=offset) for offset in range(-METRIC_DAYS_BACK, ahead + 1)]


async def maintain(settings: Settings, now: datetime) -> Done:
    """One run of maintenance. Safe to repeat and to run twice at once."""
    queries = load_queries("mockupaws.archive", "lifecycle.sql")
    async with owner_connection(
        settings, "mockupaws-maintenance", _TIMEOUT_SECONDS, lock_timeout=str(_LOCK_TIMEOUT_MS)
    ) as connection:
        made = await _make_partitions(connection, queries, settings, now.astimezone(UTC).date())
        forgotten = await _forget(connection, queries, now - timedelta(days=settings.applied_request_days))
        await connection.execute(queries["forget_sign_ins"])
        await connection.execute(
            queries["forget_text_blocks"], await connection.fetchval(queries["first_day_of_lines"])
        )
        patterns = await connection.fetchval(queries["forget_patterns"], now - timedelta(days=PATTERN_DAYS))
        await _anchor_audit(connection, settings, now)
        return Done(made, forgotten, patterns, await _sweep_orphans(connection, settings, now))


async def _make_partitions(
    connection: asyncpg.Connection, queries: dict[str, str], settings: Settings, today: date
) -> int:
    months = plan_months(today, settings.log_partitions_ahead_months)
    days = plan_days(today, settings.metric_partitions_ahead_days)
    made = 0
    async with connection.transaction():
        await connection.execute(queries["lock_partitions"])
        for month in months:
            made += await connection.fetchval(queries["make_log_partition"], month)
        for day in days:
            made += await connection.fetchval(queries["make_metric_partition"], day)
    return made


async def _forget(connection: asyncpg.Connection, queries: dict[str, str], before: datetime) -> int:
    forgotten = 0
    while True:
        count: int = await connection.fetchval(queries["forget_applied_requests"], before, _DELETE_AT_ONCE)
        forgotten += count
        if count < _DELETE_AT_ONCE:
            return forgotten


async def _anchor_audit(connection: asyncpg.Connection, settings: Settings, now: datetime) -> None:
    """An archive that can't be reached now is tried again in the next run: the chain itself goes on."""
    if not (settings.archive_url and settings.audit_key):
        return
    try:
        await anchor_chains(connection, open_store(settings), settings.audit_key, now)
    except (asyncpg.PostgresError, asyncpg.InterfaceError):
        raise
    except Exception as error:  # the archive's libraries have no root of their own
        AUDIT_ANCHOR_FAILURES.labels("unreachable").inc()
        log.warning("audit_not_anchored", error=type(error).__name__)


async def _sweep_orphans(connection: asyncpg.Connection, settings: Settings, now: datetime) -> int:
    """An archive that can't be reached now is swept in a later run."""
    if not settings.archive_url:
        return 0
    try:
        return await sweep_orphans(connection, open_store(settings), now)
    except (asyncpg.PostgresError, asyncpg.InterfaceError):
        raise
    except Exception as error:  # the archive's libraries have no root of their own
        log.warning("orphans_not_swept", error=type(error).__name__)
        return 0


class Maintenance:
    """Runs `maintain` every hour; a failed run is reported as not ready and tried again soon."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = SystemClock()
        self._report = HealthReport(ready=False, lag_seconds=None, detail={"last_run": "none yet"})

    def report(self) -> HealthReport:
        return self._report

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await rest(stop, INTERVAL_SECONDS if await self._run_once() else RETRY_SECONDS)

    async def _run_once(self) -> bool:
        now = datetime.fromtimestamp(self._clock.now_us() / 1e6, UTC)
        try:
            done = await maintain(self._settings, now)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not is_retriable(error):
                raise
            log.warning("maintenance_failed", error=type(error).__name__)
            self._report = HealthReport(ready=False, lag_seconds=None, detail={"last_run": type(error).__name__})
            return False
        if done != NOTHING_DONE:
            log.info("maintained", **dataclasses.asdict(done))
        self._report = HealthReport(ready=True, lag_seconds=None, detail={"last_run": now.isoformat()})
        return True
