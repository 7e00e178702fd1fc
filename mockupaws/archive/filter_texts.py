"""Makes blocks of lines, each with a filter of what it may hold, so that searches pass by those that lack a text.

Reads from and writes to Postgres as the owner, once a minute in the process `maintenance`. Promises that no filter is
taken for more than it read: each block carries the lines its minutes had, each finished day the changes of its hours,
and readers look at the lines themselves where there are more now. Lines that no block holds yet, the newest above all,
are looked at one by one: searches are exact at once, only slower.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from mockupaws.archive.plan_text_blocks import BLOCK_LINES, BlockPlan, Minutes, plan_text_blocks
from mockupaws.archive.text_filter import HOLDS_ANYTHING, make_filter
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.postgres import load_queries, owner_connection
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import TEXT_BLOCK_FAILURES, get_logger
from mockupaws.runtime.upkeep import repeat

INTERVAL_SECONDS = 60
_LINES_AT_ONCE = 50_000
"""In a transaction, at least a block: it keeps other maintenance of the tables from going on."""
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

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. What fails is counted, logged and tried again: searches are slower meanwhile, never wrong."""
        await repeat(stop, INTERVAL_SECONDS, self._clock, self._filter, _note_failure)

    async def _filter(self, now: datetime) -> None:
        done = await self.run_once(now)
        if done.blocks:
            log.info("texts_filtered", **dataclasses.asdict(done))

    async def run_once(self, now: datetime, seconds: float = _SECONDS_A_RUN) -> Filtered:
        """Safe to repeat, and to run twice at once: one makes blocks, the other finds nothing to do."""
        total = Filtered()
        async with owner_connection(self._settings, "mockupaws-texts", _STATEMENT_SECONDS) as connection:
            until = asyncio.get_running_loop().time() + seconds
            due = await connection.fetch(_QUERIES["text_days_due"])
            days = {_Day(row["tenant_id"], row["scenario_id"], row["day"]): row["changes"] for row in due}
            self._seen = {day: seen for day, seen in self._seen.items() if day in days}
            for day, changes in days.items():
                seen = self._seen.get(day)
                if seen is not None and seen.is_done and sum(seen.changes.values()) == changes and day.day + _DAY > now:
                    continue
                while asyncio.get_running_loop().time() < until:
                    done, is_left = await self._filter_day(connection, day, now)
                    total = Filtered(total.blocks + done.blocks, total.lines + done.lines)
                    if not is_left:
                        break
        return total

    async def _filter_day(
        self, connection: asyncpg.Connection[asyncpg.Record], day: _Day, now: datetime
    ) -> tuple[Filtered, bool]:
        """One transaction, all of one snapshot; and whether there is more to do."""
        window = day.scenario_id, day.day, day.day + _DAY
        async with connection.transaction(isolation="repeatable_read"):
            if not await connection.fetchval(_QUERIES["lock_text_blocks"]):
                return Filtered(), False
            await connection.execute(_QUERIES["walk_key"])
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
            plan = plan_text_blocks(
                day.day, day.day + _DAY <= now, counted, counted if is_old else seen.counted, blocks
            )
            await connection.execute(_QUERIES["drop_blocks"], day.scenario_id, plan.stale)
            done, is_left = await _make_blocks(connection, day, plan)
            if plan.whole and not is_left:
                total = sum(changes.values())
                await connection.execute(_QUERIES["mark_text_day"], day.tenant_id, day.scenario_id, day.day, total)
        if not is_left:
            self._seen[day] = _Look(changes, counted, plan.is_settled)
        return done, is_left


def _note_failure(error: Exception) -> None:
    TEXT_BLOCK_FAILURES.labels(type(error).__name__).inc()
    log.warning("texts_not_filtered", error=type(error).__name__)


async def _make_blocks(
    connection: asyncpg.Connection[asyncpg.Record], day: _Day, plan: BlockPlan
) -> tuple[Filtered, bool]:
    """Up to _LINES_AT_ONCE lines; and whether some of the plan is left."""
    made: list[tuple[datetime, datetime, int, int, datetime, datetime, bytes]] = []
    lines = taken = 0
    for minutes in plan.wanted:
        if lines >= _LINES_AT_ONCE:
            break
        taken += 1
        part, position = 0, (None, None)
        while True:
            row = await connection.fetchrow(
                _QUERIES["read_block"], day.scenario_id, minutes.since, minutes.until, *position, BLOCK_LINES
            )
            assert row is not None
            if not row["lines"]:
                break
            bits = HOLDS_ANYTHING if row["is_cut"] else make_filter(row["text"])
            made.append((minutes.since, minutes.until, part, minutes.entries, row["first_at"], row["last_at"], bits))
            lines += row["lines"]
            if row["lines"] < BLOCK_LINES:
                break
            part, position = part + 1, (row["last_at"], row["last_id"])
    if made:
        columns = [list(column) for column in zip(*made, strict=True)]
        await connection.execute(_QUERIES["add_blocks"], day.tenant_id, day.scenario_id, *columns)
    return Filtered(len(made), lines), taken < len(plan.wanted)
