"""The loop that reads some of `logs.analysed`, mines it and stores what was found.

It starts at the end of each partition, reads what comes, and rests after each read so long that it works for
`CPU_SHARE` of the time at most; where it fell behind meanwhile it skips to the end again. So at little traffic every
line is seen, and at much traffic a part of them, taken now and then.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer

from mockupaws.runtime.kafka import topic_name
from mockupaws.runtime.postgres import is_retriable, load_queries
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import PATTERN_ENTRIES, PATTERN_FAILURES, get_logger
from mockupaws.runtime.upkeep import rest
from mockupaws.schemas.analysed import decode_analysed
from mockupaws.schemas.topics import ANALYSED
from mockupaws.sinks.patterns.collect import Collector, PatternRow

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Pool

CPU_SHARE = 0.005
STORE_SECONDS = 10.0
LAG_RECORDS = 64
"""Unread records of a partition above which it skips to the end."""
_RECORDS = 16
"""Read at once."""
_WAIT_MS = 1000
_FETCH_WAIT_MS = 5000
_FETCH_BYTES = 256 * 1024
_RETRY_SECONDS = 30.0
_CALL_SECONDS = 20.0
_QUERIES = load_queries("mockupaws.sinks.patterns", "queries.sql")

log = get_logger(__name__)


class PatternSampling:
    def __init__(self, settings: Settings, pool: Pool) -> None:
        self._settings = settings
        self._pool = pool
        self._collector = Collector()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Never raises but CancelledError: whatever fails is counted, logged and tried again later."""
        while not stop.is_set():
            try:
                await self._sample(stop)
            except Exception as error:  # nothing here may end the process it runs in
                PATTERN_FAILURES.labels(type(error).__name__).inc()
                log.warning("pattern_sampling_failed", error=type(error).__name__)
                await rest(stop, _RETRY_SECONDS)

    async def _sample(self, stop: asyncio.Event) -> None:
        settings = self._settings
        name = topic_name(settings, ANALYSED)
        consumer: Any = AIOKafkaConsumer(
            name,
            group_id=None,  # all partitions, whoever else reads them
            auto_offset_reset="latest",
            bootstrap_servers=settings.kafka_bootstrap_servers,
            client_id="patterns",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        async with asyncio.timeout(_CALL_SECONDS):
            await consumer.start()
        # Five times a second, at first, it looks whether a partition's turn has come; it is woken when one has.
        consumer._fetcher._fetcher_timeout = _FETCH_WAIT_MS / 1000  # noqa: SLF001 - there is no setting
        try:
            await self._read(consumer, stop)
        finally:
            async with asyncio.timeout(_CALL_SECONDS):
                await consumer.stop()

    async def _read(self, consumer: Any, stop: asyncio.Event) -> None:
        stored_at = time.monotonic()
        while not stop.is_set():
            records = await consumer.getmany(timeout_ms=_WAIT_MS, max_records=_RECORDS)
            used = time.thread_time()
            for batch in records.values():
                for record in batch:
                    self._mine(record.value or b"")
            used = time.thread_time() - used
            if time.monotonic() - stored_at >= STORE_SECONDS:
                await self._store()
                stored_at = time.monotonic()
            await rest(stop, used * (1 / CPU_SHARE - 1))
            await _skip_to_the_end(consumer)
        await self._store()

    def _mine(self, value: bytes) -> None:
        try:
            requests = decode_analysed(value)
        except msgspec.DecodeError:
            return  # the sinks make a dead letter of it
        PATTERN_ENTRIES.inc(sum(self._collector.add(request) for request in requests))

    async def _store(self) -> None:
        """What can't be stored now is kept, within bounds, and stored with what is found next."""
        rows = self._collector.rows()
        if not rows:
            return
        try:
            columns = [list(column) for column in zip(*rows, strict=True)]
            assert len(columns) == len(PatternRow._fields)
            await self._pool.execute(_QUERIES["add_patterns"], *columns)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not is_retriable(error):
                raise
            PATTERN_FAILURES.labels(type(error).__name__).inc()
            return
        self._collector.clear()


async def _skip_to_the_end(consumer: Any) -> None:
    """Of the partitions where reading fell behind."""
    for partition in consumer.assignment():
        end = consumer.highwater(partition)
        if end is None:
            continue
        async with asyncio.timeout(_CALL_SECONDS):
            if end - await consumer.position(partition) > LAG_RECORDS:
                await consumer.seek_to_end(partition)
