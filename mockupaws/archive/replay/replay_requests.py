"""Reads the range, and publishes it again unless it is a dry run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from mockupaws.archive.replay.choose_requests import Bundle, ReplayRange, Selection, bundle_requests
from mockupaws.runtime.errors import RetriableError
from mockupaws.runtime.kafka import start_producer, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.requests import SCHEMA_VERSION, decode_bundle
from mockupaws.schemas.topics import REQUESTS

MARGIN_MS = 60_000
"""How much earlier than its `received_at` a record's own time may be: clocks of gateway and broker differ a little."""
STALL_SECONDS = 30.0
_ACK_SECONDS = 30.0
_FETCH_MS = 1000


class ReplayError(RetriableError):
    """Kafka stopped answering; what was published stays, and running the replay again does no harm."""


@dataclass(frozen=True, slots=True)
class ReplayTotals:
    records_read: int = 0
    records_to_read: int = 0
    requests: int = 0
    lines: int = 0
    undecodable: int = 0


async def replay_requests(
    settings: Settings,
    wanted: ReplayRange,
    *,
    dry_run: bool = False,
    lines_per_second: float | None = None,
    on_progress: Callable[[ReplayTotals], None] = lambda totals: None,
) -> ReplayTotals:
    """Publishes the requests of `wanted` to the partitions they stand in, with their ids. A dry run only counts them.

    Reads up to the ends the log has when it starts. Raises ReplayError.
    """
    try:
        async with AsyncExitStack() as stack:
            consumer = AIOKafkaConsumer(
                topic_name(settings, REQUESTS),
                bootstrap_servers=settings.kafka_bootstrap_servers,
                enable_auto_commit=False,
                auto_offset_reset="none",
            )
            stack.push_async_callback(consumer.stop)
            await consumer.start()
            producer = None
            if not dry_run:
                producer = await start_producer(settings, "replay")
                stack.push_async_callback(producer.stop)
            run = _Replay(settings, wanted, consumer, producer, lines_per_second, on_progress)
            return await run.run()
    except (KafkaError, TimeoutError) as error:
        raise ReplayError(f"Kafka stopped answering ({type(error).__name__}): run the same replay again") from error


class _Replay:
    def __init__(
        self,
        settings: Settings,
        wanted: ReplayRange,
        consumer: AIOKafkaConsumer,
        producer: AIOKafkaProducer | None,
        lines_per_second: float | None,
        on_progress: Callable[[ReplayTotals], None],
    ) -> None:
        self._settings = settings
        self._selection = Selection(wanted)
        self._consumer = consumer
        self._producer = producer
        self._lines_per_second = lines_per_second
        self._on_progress = on_progress
        self._topic = topic_name(settings, REQUESTS)
        self._totals = ReplayTotals()
        self._started = time.monotonic()

    async def run(self) -> ReplayTotals:
        ends = await self._seek_to_start()
        moved_at = time.monotonic()
        while ends:
            fetched = await self._consumer.getmany(*ends, timeout_ms=_FETCH_MS)
            if fetched:
                moved_at = time.monotonic()
            elif time.monotonic() - moved_at > STALL_SECONDS:
                raise ReplayError(f"no record came for {STALL_SECONDS:.0f} s: run the same replay again")
            for partition, records in fetched.items():
                await self._republish(partition, [r for r in records if r.offset < ends[partition]])
                if await self._consumer.position(partition) >= ends[partition]:
                    self._consumer.pause(partition)
                    del ends[partition]
        return self._totals

    async def _seek_to_start(self) -> dict[TopicPartition, int]:
        """End of each partition that may hold something, after seeking to where it may begin."""
        numbers = self._consumer.partitions_for_topic(self._topic) or set()  # known by the subscription only
        partitions = [TopicPartition(self._topic, number) for number in sorted(numbers)]
        self._consumer.unsubscribe()
        self._consumer.assign(partitions)
        from_ms = max(0, self._selection.range.from_us // 1000 - MARGIN_MS)
        starts = await self._consumer.offsets_for_times(dict.fromkeys(partitions, from_ms))
        ends = await self._consumer.end_offsets(partitions)
        open_ends = {}
        to_read = 0
        for partition in partitions:
            start = starts[partition].offset if starts[partition] is not None else ends[partition]
            self._consumer.seek(partition, start)
            if start < ends[partition]:
                open_ends[partition] = ends[partition]
                to_read += ends[partition] - start
        self._totals = ReplayTotals(records_to_read=to_read)
        return open_ends

    async def _republish(self, partition: TopicPartition, records: list[Any]) -> None:
        chosen = []
        undecodable = 0
        for record in records:
            try:
                chosen += self._selection.choose(decode_bundle(record.value))
            except msgspec.DecodeError:
                undecodable += 1  # the processor has dead-lettered it
        bundles = list(bundle_requests(chosen, self._settings.bundle_max_lines, self._settings.bundle_max_bytes))
        pending = []
        for bundle in bundles:
            if self._producer is not None:
                await self._wait_for_turn(bundle)
                pending.append(
                    await self._producer.send(
                        self._topic, bundle.value, partition=partition.partition, headers=_HEADERS
                    )
                )
            self._add(requests=bundle.request_count, lines=bundle.line_count)
        async with asyncio.timeout(_ACK_SECONDS):
            await asyncio.gather(*pending)
        self._add(records_read=len(records), undecodable=undecodable)

    async def _wait_for_turn(self, bundle: Bundle) -> None:
        if self._lines_per_second:
            due = self._started + (self._totals.lines + bundle.line_count) / self._lines_per_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _add(self, **more: int) -> None:
        totals = {name: getattr(self._totals, name) + count for name, count in more.items()}
        self._totals = replace(self._totals, **totals)
        self._on_progress(self._totals)


_HEADERS = [("schema_version", str(SCHEMA_VERSION).encode())]
