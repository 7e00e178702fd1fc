"""Which times have a partition: asked before writing, since one row outside would spoil a whole COPY."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from mockupaws.sinks.dead_letters.rows import time_of

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Pool

REFRESH_SECONDS = 10.0
"""How old the known bounds may be when a time doesn't fit them: maintenance may have made its partition since."""

Ranges = list[tuple[datetime, datetime]]


class Bounds:
    """The partitions of logs and rollups, read again when a time fits none."""

    def __init__(self, pool: Pool, query: str) -> None:
        self._pool = pool
        self._query = query
        self._by_table: dict[str, Ranges] = {}
        self._read_at = -REFRESH_SECONDS

    async def cover(self, received_at_us: int) -> bool:
        """Whether both a row and its rollup find their partition."""
        try:
            moment = time_of(received_at_us)
        except OverflowError:
            return False
        if self._covers(moment):
            return True
        if time.monotonic() - self._read_at >= REFRESH_SECONDS:
            await self._read()
        return self._covers(moment)

    def _covers(self, moment: datetime) -> bool:
        return all(
            any(lower <= moment < upper for lower, upper in self._by_table.get(table, ()))
            for table in ("scenario_logs", "scenario_metrics")
        )

    async def _read(self) -> None:
        by_table: dict[str, Ranges] = {}
        async with self._pool.acquire() as connection:
            for row in await connection.fetch(self._query):
                by_table.setdefault(row["parent_table"], []).append((row["lower_bound"], row["upper_bound"]))
        self._by_table = by_table
        self._read_at = time.monotonic()
