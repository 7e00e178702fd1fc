"""Writes batches to Postgres: rows, rollups, receipts, dead letters and offsets in one transaction.

Delivery order:
0. Where the dead letters this batch gives rise to would reach the limit, nothing is written (DeadLetterLimitError).
1. Dead letters this batch gives rise to are published to `ingest.dead_letters` and acknowledged by the brokers.
2. One transaction: offsets move by compare-and-set; request ids go into `applied_requests` (the idempotency key);
   rows of the requests that are new there are copied; rollups, receipts, stored dead letters and the offsets of the
   answered source records (`arrivals.py`) follow; COMMIT.
A repeat of 1 after a failed 2 makes the same letter again: its id is derived from what failed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from mockupaws.runtime.clock import Clock
from mockupaws.runtime.dead_letter_limit import DeadLetterLimit
from mockupaws.runtime.failpoints import hit
from mockupaws.runtime.kafka import topic_name
from mockupaws.runtime.postgres import load_queries, uuids_of
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import (
    DEAD_LETTERS,
    SINK_ENTRIES,
    SINK_FRESHNESS_SECONDS,
    SINK_REPEATS,
    SINK_TRANSACTION_SECONDS,
    get_logger,
)
from mockupaws.schemas.analysed import Source
from mockupaws.schemas.dead_letters import DeadLetter
from mockupaws.schemas.identifiers import EntryIds
from mockupaws.schemas.topics import ANALYSED
from mockupaws.schemas.topics import DEAD_LETTERS as DEAD_LETTERS_TOPIC
from mockupaws.sinks.batch import OffsetRange, SourceRecord
from mockupaws.sinks.dead_letters.publish import DeadLetterPublisher
from mockupaws.sinks.dead_letters.rows import (
    columns_of,
    receipts_of,
    row_of,
    superseded_letters,
    time_of,
)
from mockupaws.sinks.offsets import move_offsets
from mockupaws.sinks.postgres.arrivals import Arrivals, add_arrivals
from mockupaws.sinks.postgres.bounds import Bounds
from mockupaws.sinks.postgres.count_facets import FacetRow, count_facets
from mockupaws.sinks.postgres.decode import (
    PackedRequest,
    PostgresItem,
    decode_analysed_record,
    decode_dead_letter_record,
    letter_about_request,
)
from mockupaws.sinks.postgres.retriable import UNIQUE_VIOLATION, is_refused_row, is_retriable
from mockupaws.sinks.postgres.rows import COLUMNS, HEADER, TRAILER
from mockupaws.sinks.postgres.sum_deltas import RollupRow, receipts_of_stored, sum_deltas, sum_receipts

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Connection, Pool

COPY_SECONDS = 45.0
_QUERIES = load_queries("mockupaws.sinks.postgres", "queries.sql")
_CHUNK_LINES = 2000
"""About so many lines are joined into one CopyData message: some hundred KB, cheap to send and to hold."""
_MINUTE_US = 60_000_000
_SCENARIO, _RECEIVED_AT = attrgetter("request.scenario_id"), attrgetter("request.received_at_us")
STORED_BEFORE = "stored before"

log = get_logger(__name__)


class PostgresSink:
    """Reads `logs.analysed` and `ingest.dead_letters`."""

    name = "postgres"

    def __init__(
        self, settings: Settings, pool: Pool, letters: DeadLetterPublisher, limit: DeadLetterLimit, clock: Clock
    ) -> None:
        self._pool = pool
        self._letters = letters
        self._letters_topic = topic_name(settings, DEAD_LETTERS_TOPIC)
        self._limit = limit
        self._clock = clock
        self._bounds = Bounds(pool, _QUERIES["load_bounds"])
        self._arrivals = Arrivals(pool, self.name, topic_name(settings, ANALYSED))

    def is_retriable(self, error: BaseException) -> bool:
        return is_retriable(error)

    def decode(self, record: SourceRecord) -> PostgresItem:
        decode = decode_dead_letter_record if record.topic == self._letters_topic else decode_analysed_record
        return decode(record, self._clock.now_us())

    async def write(self, items: Sequence[PostgresItem], ranges: Sequence[OffsetRange]) -> None:
        """Raises OffsetConflictError, DeadLetterLimitError or what Postgres raised; then nothing of it is stored."""
        started = time.monotonic()
        requests = [packed for item in items for packed in item.requests]
        stored_letters = [letter for item in items for letter in item.stored_letters]
        letters = [letter for item in items for letter in item.new_letters]
        sources = [item.source for item in items if item.source is not None]
        requests = await self._take_storable(requests, letters)
        self._limit.check(_outcomes(items, letters))
        await self._arrivals.open(sources)
        hit("postgres_sink.before_transaction")
        repeats: list[PackedRequest] = []
        try:
            stored = await self._write_transaction(requests, repeats, stored_letters, letters, sources, ranges)
        except asyncpg.PostgresError as error:
            if not is_refused_row(error):
                raise
            refused = await self._find_refused(requests)
            if not refused:
                raise
            requests, repeats, new_letters = self._set_aside(requests, refused)
            letters += new_letters
            self._limit.check(_outcomes(items, letters))
            stored = await self._write_transaction(requests, repeats, stored_letters, letters, sources, ranges)
        self._limit.count(_outcomes(items, letters))
        self._count(len(requests) + len(repeats), stored, letters, time.monotonic() - started)

    async def _take_storable(self, requests: list[PackedRequest], letters: list[DeadLetter]) -> list[PackedRequest]:
        """Those whose time has a partition, of whole days, so one look a minute tells; the others become letters."""
        storable = []
        covered: dict[int, bool] = {}
        for packed in requests:
            received_at_us = packed.request.received_at_us
            minute = received_at_us // _MINUTE_US
            if minute not in covered:
                covered[minute] = await self._bounds.cover(received_at_us)
            if covered[minute]:
                storable.append(packed)
            else:
                letters.append(
                    letter_about_request(packed, "timestamp_out_of_range", "no partition", self._clock.now_us())
                )
        return storable

    async def _write_transaction(
        self,
        requests: list[PackedRequest],
        repeats: list[PackedRequest],
        stored_letters: list[DeadLetter],
        letters: list[DeadLetter],
        sources: list[Source],
        ranges: Sequence[OffsetRange],
    ) -> list[PackedRequest]:
        """The requests it stored. `repeats` are remembered as applied, for their rows stand there already."""
        async with self._pool.acquire() as connection, connection.transaction():
            await move_offsets(connection, self.name, ranges)
            hit("postgres_sink.after_offsets")
            await self._apply_requests(connection, repeats)
            new, reused = await self._apply_requests(connection, requests)
            await self._letters.publish(
                letters
                + [
                    letter_about_request(p, "idempotency_key_reused", "another body", self._clock.now_us())
                    for p in reused
                ]
            )
            if new:
                await _copy_rows(connection, new)
                await _add_rollups(connection, new)
            receipts = receipts_of_stored(new) + receipts_of(await _insert_letters(connection, stored_letters))
            if receipts:
                tenants, ids, scenarios, *counts = zip(*sum_receipts(receipts), strict=True)
                columns = [*map(uuids_of, (tenants, ids, scenarios)), *counts]
                for row in await connection.fetch(_QUERIES["add_receipts"], *columns):
                    await _reconcile(connection, row["request_id"], row["excess"], new)
            await add_arrivals(connection, sources)
            hit("postgres_sink.before_commit")
        hit("postgres_sink.after_commit")
        return new

    async def _apply_requests(
        self, connection: Connection, requests: list[PackedRequest]
    ) -> tuple[list[PackedRequest], list[PackedRequest]]:
        """Those new to this sink, and those that carry another body than the one stored under their id."""
        first: dict[bytes, PackedRequest] = {}
        for packed in requests:
            first.setdefault(packed.applied_key, packed)
        if not first:
            return [], []
        keys = sorted(first)
        hashes = {key: first[key].request.body_hash for key in keys}
        given = self.name, uuids_of(keys)
        tag = await connection.execute(_QUERIES["apply_requests"], *given, list(hashes.values()))
        new = list(first.values())
        if tag != f"INSERT 0 {len(first)}":
            applied = {row["request_id"].bytes: row for row in await connection.fetch(_QUERIES["load_applied"], *given)}
            hashes.update({key: row["body_hash"] for key, row in applied.items()})
            new = [packed for key, packed in first.items() if key in applied and applied[key]["is_new"]]
        reused = [packed for packed in requests if packed.request.body_hash != hashes[packed.applied_key]]
        return new, reused

    async def _find_refused(self, requests: list[PackedRequest]) -> dict[bytes, str]:
        """The keys of requests Postgres refuses, and the SQLSTATE of each; STORED_BEFORE where all its rows stand.

        Found by halving. Writes nothing: the transaction is rolled back.
        """
        first: dict[bytes, PackedRequest] = {}
        for packed in requests:
            first.setdefault(packed.applied_key, packed)
        async with self._pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                found = await _bisect(connection, list(first.values()))
            finally:
                await transaction.rollback()
            refused = {}
            for packed, sqlstate in found:
                stands = sqlstate == UNIQUE_VIOLATION and await _stands(connection, packed)
                refused[packed.applied_key] = STORED_BEFORE if stands else sqlstate
        return refused

    def _set_aside(
        self, requests: list[PackedRequest], refused: dict[bytes, str]
    ) -> tuple[list[PackedRequest], list[PackedRequest], list[DeadLetter]]:
        """What is left to store, what repeats stored rows, and letters about what Postgres refuses."""
        left: list[PackedRequest] = []
        repeats: list[PackedRequest] = []
        letters: dict[tuple[bytes, bytes], DeadLetter] = {}
        for packed in requests:
            sqlstate = refused.get(packed.applied_key)
            if sqlstate is None:
                left.append(packed)
            elif sqlstate == STORED_BEFORE:
                repeats.append(packed)
            else:
                log.warning(
                    "request_refused", sqlstate=sqlstate, partition=packed.origin.partition, offset=packed.origin.offset
                )
                letters[packed.applied_key, packed.request.body_hash] = letter_about_request(
                    packed, "row_refused", f"SQLSTATE {sqlstate}", self._clock.now_us()
                )
        return left, repeats, list(letters.values())

    def _count(self, requests: int, stored: list[PackedRequest], letters: list[DeadLetter], seconds: float) -> None:
        SINK_TRANSACTION_SECONDS.labels(self.name).observe(seconds)
        SINK_ENTRIES.labels(self.name).inc(sum(packed.line_count for packed in stored))
        SINK_REPEATS.labels(self.name).inc(requests - len(stored))
        for letter in letters:
            DEAD_LETTERS.labels(letter.reason).inc()
        if stored:
            newest = max(packed.request.received_at_us for packed in stored)
            SINK_FRESHNESS_SECONDS.labels(self.name).set((self._clock.now_us() - newest) / 1e6)


def _outcomes(items: Sequence[PostgresItem], letters: Sequence[DeadLetter]) -> list[str | None]:
    """Of each request of the batch. A key used again is not among them: whoever sends it could stop the sink."""
    if not letters:
        return [None] * sum(len(item.requests) for item in items)
    reasons = {(letter.topic, letter.partition, letter.offset, letter.request_id): letter.reason for letter in letters}
    outcomes: list[str | None] = []
    for item in items:
        outcomes += [letter.reason for letter in item.new_letters]
        outcomes += [
            reasons.get((origin.topic, origin.partition, origin.offset, request.request_id))
            for request, _, _, origin in item.requests
        ]
    return outcomes


async def _copy_rows(connection: Connection, requests: Sequence[PackedRequest]) -> None:
    """In the order of their key, so that the index grows at its end instead of being split in its midst."""
    in_order = sorted(requests, key=_RECEIVED_AT)
    in_order.sort(key=_SCENARIO)
    await connection.copy_to_table(
        "scenario_logs",
        source=_stream_rows(in_order),
        columns=COLUMNS,
        format="binary",
        timeout=COPY_SECONDS,
    )


async def _stream_rows(requests: Sequence[PackedRequest]) -> AsyncIterator[bytes]:
    yield HEADER
    lines = sum(packed.line_count for packed in requests)
    together = max(1, len(requests) * _CHUNK_LINES // max(1, lines))
    for start in range(0, len(requests), together):
        yield b"".join([packed.rows for packed in requests[start : start + together]])
    yield TRAILER


async def _add_rollups(connection: Connection, requests: Sequence[PackedRequest]) -> None:
    await connection.execute(_QUERIES["add_rollups"], *columns_of(sum_deltas(requests), len(RollupRow._fields)))
    await connection.execute(_QUERIES["add_facets"], *columns_of(count_facets(requests), len(FacetRow._fields)))


async def _insert_letters(connection: Connection, letters: list[DeadLetter]) -> list[DeadLetter]:
    """The letters that count: they were not known before, or were redriven and failed again."""
    return [
        letter
        for letter in letters
        if await connection.fetchval(_QUERIES["insert_dead_letter"], *row_of(letter)) is not None
    ]


async def _reconcile(connection: Connection, request_id: UUID, excess: int, new: Sequence[PackedRequest]) -> None:
    """Takes the letters out of the count whose lines were stored by another way: a redrive, or a replay."""
    living = [
        (row["id"], row["entry_indexes"]) for row in await connection.fetch(_QUERIES["lock_dead_letters"], request_id)
    ]
    stored = {
        index for packed in new if packed.request.request_id == request_id.bytes for index in packed.request.lines.index
    }
    gone = superseded_letters(living, stored, excess)
    lines = sum(len(indexes) for letter_id, indexes in living if letter_id in gone)
    await connection.execute(_QUERIES["supersede_dead_letters"], request_id, list(gone), lines)


async def _stands(connection: Connection, packed: PackedRequest) -> bool:
    """Whether each row of the request is stored."""
    request = packed.request
    ids = EntryIds(request.request_id, request.received_at_us)
    count: int = await connection.fetchval(
        _QUERIES["count_rows"],
        UUID(bytes=request.scenario_id),
        time_of(request.received_at_us),
        [UUID(bytes=ids[index]) for index in request.lines.index],
    )
    return count == packed.line_count


async def _bisect(connection: Connection, requests: list[PackedRequest]) -> list[tuple[PackedRequest, str]]:
    if not requests:
        return []
    try:
        async with connection.transaction():  # a savepoint
            await _copy_rows(connection, requests)
            await _add_rollups(connection, requests)
    except asyncpg.PostgresError as error:
        if not is_refused_row(error):
            raise
        if len(requests) == 1:
            return [(requests[0], error.sqlstate or "")]
        middle = len(requests) // 2
        return await _bisect(connection, requests[:middle]) + await _bisect(connection, requests[middle:])
    return []
