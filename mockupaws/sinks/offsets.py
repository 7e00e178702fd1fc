"""Offsets kept in Postgres beside the rows they account for: loaded on assignment, moved by compare-and-set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from mockupaws.runtime.errors import RetriableError
from mockupaws.runtime.postgres import load_queries
from mockupaws.sinks.batch import OffsetRange

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Connection, Pool

TopicKey = tuple[UUID, int]
"""Topic id and partition: a topic that was deleted and made again has other keys."""

LOCK_SECONDS = 5
"""How long a sink's transaction waits for a lock (a migration's, say) before it is rolled back and tried again."""
IDLE_SECONDS = 20
"""How long the server lets it stand between two statements: longer than dead letters take to be published (10 s)."""
STATEMENT_SECONDS = 60
_QUERIES = load_queries("mockupaws.sinks", "offsets.sql")


class OffsetConflictError(RetriableError):
    """The offsets in Postgres aren't where this sink left them: read them again and go on from there."""


async def load_offsets(pool: Pool, sink: str, log_starts: Mapping[TopicKey, tuple[str, int]]) -> dict[TopicKey, int]:
    """The next offset of each partition named in `log_starts` (topic name, first offset of the log).

    A partition never seen begins at its log start, and that is written down before anything is read.
    """
    keys = list(log_starts)
    topic_ids, partitions = [key[0] for key in keys], [key[1] for key in keys]
    async with pool.acquire() as connection, connection.transaction():
        for key in keys:
            topic, start = log_starts[key]
            await connection.execute(_QUERIES["insert_offset"], sink, key[0], topic, key[1], start)
        rows = await connection.fetch(_QUERIES["load_offsets"], sink, topic_ids, partitions)
    return {(row["topic_id"], row["partition"]): row["next_offset"] for row in rows}


async def read_offsets(pool: Pool, sink: str, ranges: Sequence[OffsetRange]) -> dict[TopicKey, int]:
    """What Postgres holds now for the partitions of `ranges`."""
    async with pool.acquire() as connection:
        rows = await connection.fetch(
            _QUERIES["load_offsets"], sink, [r.topic_id for r in ranges], [r.partition for r in ranges]
        )
    return {(row["topic_id"], row["partition"]): row["next_offset"] for row in rows}


async def move_offsets(connection: Connection, sink: str, ranges: Sequence[OffsetRange]) -> None:
    """Moves each range's partition from start to end, inside the caller's transaction. Raises OffsetConflictError.

    Call it first: the row lock makes a second sink of the same partition wait, and then find its offset gone. The
    server itself bounds the transaction from here on: a sink that is frozen with its locks held must not hold up
    the next one.
    """
    limits = (f"{seconds}s" for seconds in (LOCK_SECONDS, IDLE_SECONDS, STATEMENT_SECONDS))
    await connection.execute(_QUERIES["limit_transaction"], *limits)
    moved = await connection.fetch(
        _QUERIES["move_offsets"],
        sink,
        [r.topic_id for r in ranges],
        [r.partition for r in ranges],
        [r.start for r in ranges],
        [r.end for r in ranges],
    )
    if len(moved) != len(ranges):
        raise OffsetConflictError(
            f"sink {sink}: {len(ranges) - len(moved)} of {len(ranges)} partitions moved meanwhile; reading them again"
        )
