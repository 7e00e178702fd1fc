"""Records of `ingest.requests` and a processor that answers only those it is told to: how records get lost."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from mockupaws.runtime.kafka import start_producer, topic_ids, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.requests import Entry, IngestRequest, encode_request, join_bundle
from mockupaws.schemas.topics import PROCESSOR_GROUP, REQUESTS
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.answer_record import SourceRecord, answer_records
from tests.integration.sinks.sink_process import SCENARIO, TENANT

HEADERS = [("schema_version", b"1"), ("anything", b"else")]
_ANALYSER = Analyser()


def bundle(*messages: str) -> bytes:
    request = IngestRequest(
        request_id=uuid.uuid4().bytes,
        tenant_id=TENANT.bytes,
        scenario_id=SCENARIO.bytes,
        received_at_us=time.time_ns() // 1000,
        body_hash=b"h" * 16,
        entries=[Entry(message) for message in messages],
    )
    return join_bundle([encode_request(request)])


async def publish_sources(settings: Settings, values: Collection[bytes], partition: int = 0) -> list[int]:
    """Their offsets."""
    producer = await start_producer(settings, "test")
    try:
        sent = [
            await producer.send_and_wait(topic_name(settings, REQUESTS), value, partition=partition, headers=HEADERS)
            for value in values
        ]
    finally:
        await producer.stop()
    return [record.offset for record in sent]


async def answer_sources(
    settings: Settings,
    values: Collection[bytes],
    but: Collection[int] = (),
    partition: int = 0,
    topic_id: uuid.UUID | None = None,
) -> None:
    """What the processor would write for the values, which stand at offset 0 and on, except for those of `but`."""
    topic_id = topic_id or (await topic_ids(settings))[topic_name(settings, REQUESTS)]
    producer = await start_producer(settings, "test")
    try:
        for offset, value in enumerate(values):
            source = SourceRecord(topic_name(settings, REQUESTS), partition, offset, value, b"1")
            for answer in answer_records(_ANALYSER, [source], time.time_ns() // 1000)[0].answers:
                headers = [
                    ("schema_version", b"1"),
                    ("source", f"{partition}:{offset}".encode()),
                    ("source_topic_id", topic_id.bytes),
                ]
                if offset not in but:
                    topic = topic_name(settings, answer.topic)
                    await producer.send_and_wait(topic, answer.value, partition=partition, headers=headers)
    finally:
        await producer.stop()


async def commit_processed(settings: Settings, offset: int, partition: int = 0) -> None:
    """As the processors' group would."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group_id=settings.kafka_topic_prefix + PROCESSOR_GROUP,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        place = TopicPartition(topic_name(settings, REQUESTS), partition)
        consumer.assign([place])
        await consumer.commit({place: offset})
    finally:
        await consumer.stop()


async def expire_before(settings: Settings, topic: str, offset: int, partition: int = 0) -> None:
    """As retention would."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(offset)})
    finally:
        await admin.close()


async def end_of_sources(settings: Settings, partition: int = 0) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, enable_auto_commit=False)
    await consumer.start()
    try:
        place = TopicPartition(topic_name(settings, REQUESTS), partition)
        end: int = (await consumer.end_offsets([place]))[place]
        return end
    finally:
        await consumer.stop()
