"""`ingest.requests` as the loss detector needs it: how far it is processed, records by offset, and publishing anew.

Connections live for one look: nothing is kept that a broker's restart could spoil.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from mockupaws.runtime.kafka import REQUEST_SECONDS, start_producer, topic_ids, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.topics import ANALYSED, DEAD_LETTERS, PROCESSOR_GROUP, REQUESTS
from mockupaws.sinks.postgres.spans import Span

LOOK_SECONDS = 20.0
"""Limit of one look at the topics."""
READ_SECONDS = 20.0
ACK_SECONDS = 10.0
LARGEST_HEALING_RECORDS = 200
LARGEST_HEALING_BYTES = 64 * 1024 * 1024
"""What is read and published anew in one step; the rest follows in the next."""
HEALED_HEADER = "healed"
"""How often a record was published anew; nothing but this detector reads it."""
_FETCH_MS = 500


@dataclass(frozen=True, slots=True)
class Topics:
    """How far each partition of `ingest.requests` is processed, and where the topics of its answers end."""

    requests_id: UUID
    analysed_id: UUID
    committed: dict[int, int]
    """Partition → where the processors' group goes on; 0 where it has committed nothing."""
    answers_end: dict[int, dict[UUID, int]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found at some offsets."""

    records: list[ConsumerRecord]
    gone: list[Span]
    """Expired, or deleted."""
    empty: list[Span]
    """Offsets no record ever had: markers of transactions, or what compaction took."""
    read_up_to: int
    """Without: where reading ended, which may be before the last offset asked for."""


class SourceLog:
    """To be had from `open_source_log`. Raises KafkaError, RetriableError or TimeoutError."""

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        self._settings = settings
        self._consumer = consumer
        self._admin = admin
        self._topic = topic_name(settings, REQUESTS)

    async def look(self) -> Topics | None:
        """None where a topic doesn't exist. Commits are read first, so that their answers lie before the ends."""
        async with asyncio.timeout(LOOK_SECONDS):
            ids = await topic_ids(self._settings)
            answers = [topic_name(self._settings, topic) for topic in (ANALYSED, DEAD_LETTERS)]
            if not {self._topic, *answers} <= ids.keys():
                return None
            group = self._settings.kafka_topic_prefix + PROCESSOR_GROUP
            commits = await self._admin.list_consumer_group_offsets(group)
            numbers = await self._partitions()
            ends = await self._consumer.end_offsets([TopicPartition(self._topic, number) for number in numbers])
            answer_ends = await self._consumer.end_offsets(
                [TopicPartition(topic, number) for topic in answers for number in numbers]
            )
            committed = {}
            for number in numbers:
                place = TopicPartition(self._topic, number)
                commit = commits[place].offset if place in commits else 0
                committed[number] = max(0, min(commit, ends[place]))
            return Topics(
                ids[self._topic],
                ids[answers[0]],
                committed,
                {n: {ids[topic]: answer_ends[TopicPartition(topic, n)] for topic in answers} for n in numbers},
            )

    async def _partitions(self) -> list[int]:
        described = await self._admin.describe_topics([self._topic])
        return sorted(partition["partition"] for topic in described for partition in topic["partitions"])

    async def read(self, number: int, wanted: Sequence[Span]) -> Reading:
        """The records at the wanted offsets of a partition, up to the limits of one step."""
        place = TopicPartition(self._topic, number)
        records: list[ConsumerRecord] = []
        gone: list[Span] = []
        empty: list[Span] = []
        size = 0
        async with asyncio.timeout(READ_SECONDS):
            log_start = (await self._consumer.beginning_offsets([place]))[place]
            self._consumer.assign([place])
            for start, end in wanted:
                if start < log_start:
                    gone.append((start, min(end, log_start)))
                offset = max(start, log_start)
                while offset < end:
                    if len(records) >= LARGEST_HEALING_RECORDS or size >= LARGEST_HEALING_BYTES:
                        return Reading(records, gone, empty, offset)
                    record = await self._read_at(place, offset)
                    if record.offset > offset:
                        empty.append((offset, min(end, record.offset)))
                    if record.offset < end:
                        records.append(record)
                        size += len(record.value or b"")
                    offset = record.offset + 1
        return Reading(records, gone, empty, max((end for _, end in wanted), default=0))

    async def _read_at(self, place: TopicPartition, offset: int) -> ConsumerRecord:
        """The first record at or after the offset, which is below the partition's end."""
        self._consumer.seek(place, offset)
        while True:
            for fetched in (await self._consumer.getmany(place, timeout_ms=_FETCH_MS, max_records=1)).values():
                return fetched[0]

    async def publish_anew(self, records: Iterable[ConsumerRecord]) -> None:
        """The records byte for byte with their headers, to their own partition; returns when all are durable."""
        producer: AIOKafkaProducer = await start_producer(self._settings, "loss-detector")
        try:
            async with asyncio.timeout(ACK_SECONDS):
                sent = [
                    await producer.send(
                        record.topic,
                        record.value,
                        key=record.key,
                        partition=record.partition,
                        headers=_count_healing(record),
                    )
                    for record in records
                ]
                await asyncio.gather(*sent)
        finally:
            await asyncio.wait_for(producer.stop(), ACK_SECONDS)


@asynccontextmanager
async def open_source_log(settings: Settings) -> AsyncIterator[SourceLog]:
    async with AsyncExitStack() as stack:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap_servers,
            client_id="loss-detector",
            enable_auto_commit=False,
            auto_offset_reset="none",
        )
        admin = AIOKafkaAdminClient(
            bootstrap_servers=settings.kafka_bootstrap_servers, request_timeout_ms=REQUEST_SECONDS * 1000
        )
        stack.push_async_callback(consumer.stop)
        stack.push_async_callback(admin.close)
        async with asyncio.timeout(LOOK_SECONDS):
            await consumer.start()
            await admin.start()
        yield SourceLog(settings, consumer, admin)


def times_healed(record: ConsumerRecord) -> int:
    text = dict(record.headers).get(HEALED_HEADER, b"0")
    return int(text) if text.isdigit() else 0


def _count_healing(record: ConsumerRecord) -> list[tuple[str, Any]]:
    headers = [(name, value) for name, value in record.headers if name != HEALED_HEADER]
    return [*headers, (HEALED_HEADER, str(times_healed(record) + 1).encode())]
