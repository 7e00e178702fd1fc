"""Writes batches to the archive: objects first, then manifest rows and offsets in one transaction.

Delivery order:
1. Requests this sink has applied before are left out (`applied_requests`, the idempotency key).
2. One object for each scenario, hour and partition is built, read back, and put: whole and durable, seen by nobody.
3. One transaction: offsets move by compare-and-set, request ids and manifest rows are inserted; COMMIT. What was read
   in 1 still holds then: all repeats of a request meet in one partition, whose offset hasn't moved.
An object whose transaction fails is an orphan: no reader sees it, and maintenance deletes it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from mockupaws.archive.object_store import ObjectStore
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.failpoints import hit
from mockupaws.runtime.postgres import load_queries, uuids_of
from mockupaws.runtime.telemetry import (
    SINK_ENTRIES,
    SINK_FRESHNESS_SECONDS,
    SINK_REPEATS,
    SINK_TRANSACTION_SECONDS,
    get_logger,
)
from mockupaws.schemas.analysed import SCHEMA_VERSION, AnalysedRequest, decode_analysed
from mockupaws.sinks.batch import OffsetRange, SourceRecord
from mockupaws.sinks.offsets import move_offsets
from mockupaws.sinks.parquet.retriable import is_retriable
from mockupaws.sinks.parquet.table import ArchiveObject, LocatedRequest, build_object, group_requests

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Pool

_QUERIES = load_queries("mockupaws.sinks.parquet", "queries.sql")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ParquetItem:
    """The requests of one record; none where it can't be decoded (the Postgres sink dead-letters it)."""

    requests: list[AnalysedRequest]
    topic: str
    partition: int
    offset: int
    line_count: int
    size_bytes: int


class ParquetSink:
    """Reads `logs.analysed`."""

    name = "parquet"

    def __init__(self, pool: Pool, store: ObjectStore, clock: Clock) -> None:
        self._pool = pool
        self._store = store
        self._clock = clock

    def is_retriable(self, error: BaseException) -> bool:
        return is_retriable(error)

    def decode(self, record: SourceRecord) -> ParquetItem:
        value = record.value or b""
        requests = _decode(record, value)
        return ParquetItem(
            requests,
            record.topic,
            record.partition,
            record.offset,
            sum(len(request.lines.index) for request in requests),
            len(value),
        )

    async def write(self, items: Sequence[ParquetItem], ranges: Sequence[OffsetRange]) -> None:
        """Raises OffsetConflictError, or what the store or Postgres raised; then nothing of the batch is visible."""
        started = time.monotonic()
        topic_ids = {(r.topic, r.partition): r.topic_id for r in ranges}
        requests = [
            LocatedRequest(request, item.topic, topic_ids[item.topic, item.partition], item.partition, item.offset)
            for item in items
            for request in item.requests
        ]
        new = await self._choose_new(requests)
        hit("parquet_sink.before_put")
        objects = await asyncio.to_thread(self._put_objects, list(new.values()))
        hit("parquet_sink.after_put")
        await self._commit(new, objects, ranges)
        hit("parquet_sink.after_commit")
        self._count(requests, new, time.monotonic() - started)

    async def _choose_new(self, requests: Sequence[LocatedRequest]) -> dict[bytes, LocatedRequest]:
        """The first of each request that was not applied before."""
        first: dict[bytes, LocatedRequest] = {}
        for located in requests:
            first.setdefault(located.request.applied_key, located)
        if first:
            async with self._pool.acquire() as connection:
                for row in await connection.fetch(_QUERIES["load_applied"], self.name, uuids_of(first)):
                    del first[row["request_id"].bytes]
        return first

    def _put_objects(self, requests: Sequence[LocatedRequest]) -> list[ArchiveObject]:
        """In a thread, one object at a time, so that memory holds one."""
        objects = []
        for key, group in group_requests(requests).items():
            built = build_object(key, group)
            self._store.put(built.key.format(), built.content)
            objects.append(built.without_content())
        return objects

    async def _commit(
        self, new: dict[bytes, LocatedRequest], objects: Sequence[ArchiveObject], ranges: Sequence[OffsetRange]
    ) -> None:
        async with self._pool.acquire() as connection, connection.transaction():
            await move_offsets(connection, self.name, ranges)
            if new:
                keys = sorted(new)
                hashes = [new[key].request.body_hash for key in keys]
                await connection.execute(_QUERIES["apply_requests"], self.name, uuids_of(keys), hashes)
            for archived in objects:
                await connection.execute(
                    _QUERIES["insert_archive_object"],
                    archived.key.tenant_id,
                    archived.key.scenario_id,
                    archived.key.format(),
                    archived.key.hour,
                    archived.topic_id,
                    archived.key.partition,
                    archived.key.first_offset,
                    archived.key.last_offset,
                    archived.row_count,
                    archived.size_bytes,
                    archived.sha256,
                    archived.first_received_at,
                    archived.last_received_at,
                )
            hit("parquet_sink.before_commit")

    def _count(self, requests: Sequence[LocatedRequest], new: dict[bytes, LocatedRequest], seconds: float) -> None:
        SINK_TRANSACTION_SECONDS.labels(self.name).observe(seconds)
        SINK_ENTRIES.labels(self.name).inc(sum(len(located.request.lines.index) for located in new.values()))
        SINK_REPEATS.labels(self.name).inc(len(requests) - len(new))
        if new:
            newest = max(located.request.received_at_us for located in new.values())
            SINK_FRESHNESS_SECONDS.labels(self.name).set((self._clock.now_us() - newest) / 1e6)


def _decode(record: SourceRecord, value: bytes) -> list[AnalysedRequest]:
    if any(name == "schema_version" and text != str(SCHEMA_VERSION).encode() for name, text in record.headers):
        return []
    try:
        return decode_analysed(value)
    except msgspec.DecodeError:
        log.warning("record_undecodable", topic=record.topic, partition=record.partition, offset=record.offset)
        return []
