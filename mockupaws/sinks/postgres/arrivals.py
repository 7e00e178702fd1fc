"""Which records of `ingest.requests` have been answered: remembered by offset, in the transaction of the answers' rows.

An offset below the processors' commit that never arrives here was lost on the way; `detect_losses.py` looks for those.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from mockupaws.runtime.postgres import load_queries
from mockupaws.schemas.analysed import Source
from mockupaws.sinks.postgres.spans import spans_of, to_multirange

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Connection, Pool

Partition = tuple[UUID, int]
"""Topic id and partition of `ingest.requests`."""

_QUERIES = load_queries("mockupaws.sinks.postgres", "arrivals.sql")


class Arrivals:
    """Of one sink. `analysed_topic` is the name of the topic most answers come by."""

    def __init__(self, pool: Pool, sink: str, analysed_topic: str) -> None:
        self._pool = pool
        self._sink = sink
        self._analysed_topic = analysed_topic
        self._opened: set[Partition] = set()

    async def open(self, sources: Iterable[Source]) -> None:
        """Makes sure that the partitions are watched. To be called before the offsets of the same batch move."""
        first: dict[Partition, int] = {}
        for source in sources:
            key = (source.topic_id, source.partition)
            first[key] = min(source.offset, first.get(key, source.offset))
        new = sorted(first.keys() - self._opened)
        if new:
            async with self._pool.acquire() as connection:
                await connection.execute(
                    _QUERIES["open_sources"],
                    self._sink,
                    self._analysed_topic,
                    [topic_id for topic_id, _ in new],
                    [partition for _, partition in new],
                    [first[key] for key in new],
                )
            self._opened.update(new)


async def add_arrivals(connection: Connection, sources: Iterable[Source]) -> None:
    """Remembers the sources as answered, inside the caller's transaction. One statement, whatever their number."""
    offsets: dict[Partition, list[int]] = {}
    for source in sources:
        offsets.setdefault((source.topic_id, source.partition), []).append(source.offset)
    if offsets:
        keys = sorted(offsets)  # one order for all sinks: two may hold the two topics of one partition
        await connection.execute(
            _QUERIES["add_arrivals"],
            [topic_id for topic_id, _ in keys],
            [partition for _, partition in keys],
            [to_multirange(spans_of(offsets[key])) for key in keys],
        )
