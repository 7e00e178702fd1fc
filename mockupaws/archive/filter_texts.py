"""Makes blocks of lines, each with a filter of what it may hold, so that searches pass by those that lack a text.

Reads from and writes to Postgres as the owner, once a minute in the process `maintenance`. Promises that no filter is
taken for more than it read: each block carries the lines its minutes had, each finished day the changes of its hours,
and readers look at the lines themselves where there are more now. Lines that no block holds yet, the newest above all,
are looked at one by one: searches are exact at once, only slower.

Lines are read and filtered between two short transactions: one plans, the other adds the blocks. What is read between
them holds at least the lines that were counted when it was planned, so a block is true of as many lines as it tells. It
works for `SHARE` of the time at most, by the clock: where others want the processor, that is less.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from mockupaws.archive.cut_text_blocks import INSTANT, TextBlock, cut_text_blocks
from mockupaws.archive.plan_text_blocks import BlockPlan, Minutes, plan_text_blocks
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.postgres import Connection, load_queries, owner_connection
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import TEXT_BLOCK_FAILURES, get_logger
from mockupaws.runtime.upkeep import DaysToLookAt, repeat, rest

INTERVAL_SECONDS = 60
SHARE = 0.25
"""Of the time, for the server's work and its own, which take turns: a quarter of a core."""
_LINES_AT_ONCE = 50_000
"""Between plan and blocks; at least a minute's."""
_READ_LINES = 8192
"""In a statement: fewer cost more for planning, more for memory that is asked for and given back."""
_SECONDS_A_RUN = 45.0
"""What is left is for the next run; the newest days come first in each."""
_STATEMENT_SECONDS = 60
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_QUERIES = load_queries("mockupaws.archive", "filter_texts.sql")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Filtered:
    blocks: int = 0
    lines: int = 0


@dataclass(frozen=True, slots=True)
class _Day:
    tenant_id: UUID
    scenario_id: UUID
    day: datetime


@dataclass(frozen=True, slots=True)
class _Look:
    changes: dict[datetime, int]
    """Of its hours: where they are the same, so are the minutes."""
    counted: dict[datetime, int]
    """Lines by minute."""
    is_done: bool
    """It left no minute for the next look."""


class TextFiltering:
    """Keeps in memory what it has seen: a minute goes into a block once it has got no line for a whole interval."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = SystemClock()
        self._seen: dict[_Day, _Look] = {}
        """Days that are not over, or got lines lately."""
        self._days = DaysToLookAt()
        self._stop = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. What fails is counted, logged and tried again: searches are slower meanwhile, never wrong."""
        self._stop = stop
        await repeat(stop, INTERVAL_SECONDS, self._clock, self._filter, _note_failure)

    async def _filter(self, now: datetime) -> None:
        done = await self.run_once(now, since=self._days.since(now))
        self._days.looked(now)
        if done.blocks:
            log.info("texts_filtered", **dataclasses.asdict(done))

    async def run_once(self, now: datetime, seconds: float = _SECONDS_A_RUN, since: datetime | None = None) -> Filtered:
        """Of the days from `since` on, or all. Safe to repeat, and to run twice at once: one makes blocks, the other
        finds nothing to do."""
        total = Filtered()
        async with owner_connection(self._settings, "mockupaws-texts", _STATEMENT_SECONDS) as connection:
            until = asyncio.get_running_loop().time() + seconds
            due = await connection.fetch(_QUERIES["text_days_due"], since)
            days = {_Day(row["tenant_id"], row["scenario_id"], row["day"]): row["changes"] for row in due}
            self._seen = {day: seen for day, seen in self._seen.items() if day in days or (since and day.day < since)}
            for day, changes in days.items():
                seen = self._seen.get(day)
                if seen is not None and seen.is_done and sum(seen.changes.values()) == changes and day.day + _DAY > now:
                    continue
                while asyncio.get_running_loop().time() < until and not self._stop.is_set():
                    done, is_left = await self._filter_day(connection, day, now)
                    total = Filtered(total.blocks + done.blocks, total.lines + done.lines)
                    if not is_left:
                        break
        return total

    async def _filter_day(self, connection: Connection, day: _Day, now: datetime) -> tuple[Filtered, bool]:
        """One plan, or as much of it as is made at once; and whether there is more to do."""
        async with connection.transaction(isolation="repeatable_read"):
            if not await connection.fetchval(_QUERIES["lock_text_blocks"]):
                return Filtered(), False
            await connection.execute(_QUERIES["walk_key"])
            look, plan = await self._plan(connection, day, now)
            if plan.stale:
                await connection.execute(_QUERIES["drop_blocks"], day.scenario_id, plan.stale)
        taken = _as_many_as(plan.wanted, _LINES_AT_ONCE)
        is_left = len(taken) < len(plan.wanted)
        changes = sum(look.changes.values()) if plan.whole and not is_left else None
        blocks: list[TextBlock] = []
        lines = 0
        for run in _runs_of(taken):
            made, count = await self._make_blocks(connection, day, run)
            blocks += made
            lines += count
        if (blocks or changes is not None) and not await self._add_blocks(connection, day, plan, blocks, changes):
            return Filtered(), False
        if not is_left:
            self._seen[day] = look
        return Filtered(len(blocks), lines), is_left

    async def _plan(self, connection: Connection, day: _Day, now: datetime) -> tuple[_Look, BlockPlan]:
        """Of one snapshot."""
        window = day.scenario_id, day.day, day.day + _DAY
        seen = self._seen.get(day, _Look({}, {}, False))
        hours = await connection.fetch(_QUERIES["hour_changes"], *window)
        changes = {row["hour"]: row["changes"] for row in hours}
        changed = [hour for hour, count in changes.items() if seen.changes.get(hour) != count]
        counted = seen.counted
        if changed:
            since, until = min(changed), max(changed) + _HOUR
            rows = await connection.fetch(_QUERIES["minute_entries"], day.scenario_id, since, until)
            counted = {minute: count for minute, count in counted.items() if not since <= minute < until}
            counted |= {row["timestamp"]: row["value"] for row in rows}
        blocks = [Minutes(*row) for row in await connection.fetch(_QUERIES["day_blocks"], *window)]
        is_old = day.day + 2 * _DAY < now
        plan = plan_text_blocks(day.day, day.day + _DAY <= now, counted, counted if is_old else seen.counted, blocks)
        return _Look(changes, counted, plan.is_settled), plan

    async def _make_blocks(
        self, connection: Connection, day: _Day, run: Sequence[Minutes]
    ) -> tuple[list[TextBlock], int]:
        """Of minutes that follow each other without a gap; and of how many lines."""
        blocks: list[TextBlock] = []
        parts = Counter[datetime]()
        lines, since, until = 0, run[0].since, run[-1].until
        while since < until:
            started = time.monotonic()
            async with connection.transaction(readonly=True):
                await connection.execute(_QUERIES["walk_key"])
                read = await connection.fetchrow(_QUERIES["read_lines"], day.scenario_id, since, until, _READ_LINES)
            assert read is not None
            if read["lines"]:
                blocks += cut_text_blocks(run, read["received_at"], read["texts"], parts)
                lines += read["lines"]
            since = until if read["lines"] < _READ_LINES else read["last_at"] + INSTANT
            await rest(self._stop, (time.monotonic() - started) * (1 / SHARE - 1))
        return blocks, lines

    async def _add_blocks(
        self, connection: Connection, day: _Day, plan: BlockPlan, blocks: Sequence[TextBlock], changes: int | None
    ) -> bool:
        """False where somebody else made or dropped blocks of the day since it was planned. `changes`: all lines of the
        day stand in blocks, as of these."""
        async with connection.transaction():
            if not await connection.fetchval(_QUERIES["lock_text_blocks"]):
                return False
            await connection.execute(_QUERIES["walk_key"])
            present = await connection.fetch(_QUERIES["day_blocks"], day.scenario_id, day.day, day.day + _DAY)
            if {row["since"] for row in present} != plan.kept:
                return False
            if blocks:
                columns = [list(column) for column in zip(*blocks, strict=True)]
                await connection.execute(_QUERIES["add_blocks"], day.tenant_id, day.scenario_id, *columns)
            if changes is not None:
                await connection.execute(_QUERIES["mark_text_day"], day.tenant_id, day.scenario_id, day.day, changes)
        return True


def _note_failure(error: Exception) -> None:
    TEXT_BLOCK_FAILURES.labels(type(error).__name__).inc()
    log.warning("texts_not_filtered", error=type(error).__name__)


def _as_many_as(wanted: Sequence[Minutes], lines: int) -> list[Minutes]:
    """The first of them, until they have so many lines."""
    taken: list[Minutes] = []
    for minutes in wanted:
        if lines <= 0:
            break
        taken.append(minutes)
        lines -= minutes.entries
    return taken


def _runs_of(minutes: Sequence[Minutes]) -> Iterator[list[Minutes]]:
    """Those that follow each other without a gap, together."""
    run: list[Minutes] = []
    for each in minutes:
        if run and run[-1].until != each.since:
            yield run
            run = []
        run.append(each)
    if run:
        yield run
