"""A replay of a range that is stored changes nothing."""

from __future__ import annotations

import time
import uuid

from aiokafka import AIOKafkaConsumer, TopicPartition

from mockupaws.archive.replay.choose_requests import ReplayRange
from mockupaws.archive.replay.replay_requests import replay_requests
from mockupaws.runtime.kafka import start_producer, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.identifiers import new_request_id, partition_of
from mockupaws.schemas.requests import Entry, IngestRequest, decode_bundle, encode_request, join_bundle
from mockupaws.schemas.topics import REQUESTS

WANTED, OTHER = uuid.UUID(int=7), uuid.UUID(int=8)


def request_of(scenario: uuid.UUID, received_at_us: int, number: int, lines: int = 2) -> IngestRequest:
    request_id = new_request_id(received_at_us, number.to_bytes(10, "big"))
    entries = [Entry(f"{number}-{line}") for line in range(lines)]
    return IngestRequest(request_id.bytes, uuid.UUID(int=1).bytes, scenario.bytes, received_at_us, b"h" * 16, entries)


async def test_a_replay_publishes_each_request_of_the_range_once_with_its_id(settings: Settings) -> None:
    now = time.time_ns() // 1000
    inside = [request_of(WANTED, now + number, number) for number in range(40)]
    outside = [request_of(OTHER, now, 50), request_of(WANTED, now - 1, 51), request_of(WANTED, now + 1000, 52)]
    topic = topic_name(settings, REQUESTS)
    producer = await start_producer(settings, "test")
    for request in [*inside, *outside, inside[0]]:
        partition = partition_of(request.request_id, settings.kafka_partitions)
        value = join_bundle([encode_request(request)])
        await producer.send_and_wait(topic, value, partition=partition, headers=[("schema_version", b"1")])
    await producer.send_and_wait(topic, b"\xc1 no bundle", partition=0)
    await producer.stop()
    wanted = ReplayRange(WANTED, now, now + 1000)

    tried = await replay_requests(settings, wanted, dry_run=True)
    assert (tried.requests, tried.lines, tried.records_read, tried.undecodable) == (40, 80, 45, 1)
    for _ in range(2):  # the second run meets what the first has published, and still takes each once
        done = await replay_requests(settings, wanted)
        assert (done.requests, done.lines) == (40, 80)

    published = await read_all(settings)
    by_id = {request.request_id: 0 for request in inside}
    for partition, request in published[45:]:
        by_id[request.request_id] += 1
        assert partition == partition_of(request.request_id, settings.kafka_partitions)
        assert request in inside
    assert set(by_id.values()) == {2}


async def test_the_rate_is_a_cap(settings: Settings) -> None:
    now = time.time_ns() // 1000
    producer = await start_producer(settings, "test")
    for number in range(4):
        value = join_bundle([encode_request(request_of(WANTED, now, number, lines=500))])
        await producer.send_and_wait(topic_name(settings, REQUESTS), value, partition=number)
    await producer.stop()
    started = time.monotonic()
    await replay_requests(settings, ReplayRange(WANTED, now, now + 1), lines_per_second=2000)
    assert time.monotonic() - started >= 1.0


async def read_all(settings: Settings) -> list[tuple[int, IngestRequest]]:
    """Partition and request, the first published first; undecodable records come as nothing."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic_name(settings, REQUESTS), n) for n in range(settings.kafka_partitions)]
        consumer.assign(partitions)
        records = []
        for partition, end in (await consumer.end_offsets(partitions)).items():
            consumer.seek(partition, 0)
            while await consumer.position(partition) < end:
                records += (await consumer.getmany(partition, timeout_ms=1000)).get(partition, [])
    finally:
        await consumer.stop()
    records.sort(key=lambda record: record.timestamp)
    found = []
    for record in records:
        if record.value.startswith(b"\xc1"):
            found.append((record.partition, request_of(OTHER, 0, 0)))
        else:
            found += [(record.partition, request) for request in decode_bundle(record.value)]
    return found
