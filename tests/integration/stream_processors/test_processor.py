"""The processor as a process, on a real broker: nothing is lost, whatever an entry, a signal or the broker does."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from mockupaws.runtime.kafka import topic_ids, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.analysed import decode_analysed, source_of
from mockupaws.schemas.dead_letters import decode_dead_letter
from mockupaws.schemas.requests import Entry, IngestRequest
from mockupaws.schemas.topics import ANALYSED, DEAD_LETTERS, REQUESTS
from mockupaws.stream_processors.worker import STOP_SECONDS
from tests.integration.stream_processors.processor_process import (
    DEADLINE_SECONDS,
    bundle_of,
    own_kafka,
    producer_of,
    publish,
    read_until,
    request_of,
    running_processor,
    sources_of,
    until_topics_exist,
)

POISON = Entry("an ext type is no JSON", attributes={"x": msgspec.msgpack.Ext(5, b"raw")})
"""Decodes, and makes the step that writes attributes as JSON raise."""


async def test_entries_that_a_step_raises_on_are_dead_lettered_and_all_others_analysed(settings: Settings) -> None:
    good, mixed, bad = request_of(["a", "b"]), request_of(["c", POISON, "d", POISON]), request_of([POISON])
    await publish(settings, [bundle_of(good, mixed, bad), bundle_of(good)])
    with running_processor(settings):
        records = await read_until(settings, (ANALYSED, DEAD_LETTERS), lambda records: len(records) == 4)

    analysed = {
        (record.offset, request.request_id): request
        for record in records
        if record.topic == topic_name(settings, ANALYSED)
        for request in decode_analysed(record.value)
    }
    assert [(request.request_id, request.lines.message) for request in analysed.values()] == [
        (good.request_id, ["a", "b"]),
        (mixed.request_id, ["c", "d"]),
        (good.request_id, ["a", "b"]),
    ]
    assert [request.lines.index for request in analysed.values()] == [[0, 1], [0, 2], [0, 1]]
    letters = [decode_dead_letter(r.value) for r in records if r.topic == topic_name(settings, DEAD_LETTERS)]
    assert [(letter.reason, letter.request_id, letter.accepted, letter.entry_indexes) for letter in letters] == [
        ("analysis_failed", mixed.request_id, 4, [1, 3]),
        ("analysis_failed", bad.request_id, 1, [0]),
    ]
    original = msgspec.msgpack.decode(letters[0].original, type=IngestRequest)
    assert original.entries == [POISON, POISON]
    assert POISON.message not in letters[0].detail
    assert letters[0].detail.startswith("TypeError at mockupaws.stream_processors")


async def test_records_that_are_no_bundle_or_of_an_unknown_version_are_dead_lettered(settings: Settings) -> None:
    good = bundle_of(request_of(["after"]))
    await publish(settings, [b"\xc1 no msgpack", b""], partition=1)
    await publish(settings, [good], partition=1, headers=[("schema_version", b"2")])
    await publish(settings, [good], partition=1, headers=[])
    await publish(settings, [good], partition=1)
    with running_processor(settings):
        records = await read_until(settings, (ANALYSED, DEAD_LETTERS), lambda records: len(records) == 5)

    letters = [decode_dead_letter(r.value) for r in records if r.topic == topic_name(settings, DEAD_LETTERS)]
    assert [(letter.reason, letter.offset, letter.original) for letter in letters] == [
        ("undecodable_record", 0, b"\xc1 no msgpack"),
        ("undecodable_record", 1, b""),
        ("unknown_schema_version", 2, good),
        ("unknown_schema_version", 3, good),
    ]
    assert {record.partition for record in records} == {1}
    assert sorted(sources_of(records)) == [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4)]
    topic_id = (await topic_ids(settings))[topic_name(settings, REQUESTS)]
    assert {source.topic_id for record in records if (source := source_of(record.headers))} == {topic_id}


@pytest.mark.parametrize("stop", ["kill", "terminate"])
async def test_no_record_is_lost_when_the_processor_is_stopped_under_load(settings: Settings, stop: str) -> None:
    sent: set[tuple[int, int]] = set()
    loading = asyncio.create_task(_load(settings, sent, seconds=12.0))
    with running_processor(settings) as processor:
        for _ in range(3):
            await processor.until_ready()
            answered = len(sent)
            async with asyncio.timeout(DEADLINE_SECONDS):
                while len(sent) < answered + 200 and not loading.done():
                    await asyncio.sleep(0.02)
            if stop == "kill":
                await asyncio.to_thread(processor.kill)
            else:
                assert await asyncio.to_thread(processor.terminate, STOP_SECONDS + 5) == 0
            processor.start()
        await loading
        records = await read_until(settings, (ANALYSED,), lambda records: set(sources_of(records)) >= sent)
        assert len(sent) > 600
        await _until_committed(settings, sent)
    assert set(sources_of(records)) == sent


async def _load(settings: Settings, sent: set[tuple[int, int]], seconds: float) -> None:
    topic = topic_name(settings, REQUESTS)
    value = bundle_of(*(request_of([f"line {number} of bob@example.com"] * 20) for number in range(5)))
    until = time.monotonic() + seconds
    async with producer_of(settings) as producer:
        number = 0
        while time.monotonic() < until:
            futures = []
            for _ in range(10):
                number += 1
                partition = number % settings.kafka_partitions
                futures.append(
                    await producer.send(topic, value, partition=partition, headers=[("schema_version", b"1")])
                )
            for future in futures:
                stored = await future
                sent.add((stored.partition, stored.offset))
            await asyncio.sleep(0.02)


async def _until_committed(settings: Settings, sent: set[tuple[int, int]]) -> None:
    """Waits until the group's offsets stand behind the last record: it acknowledges what it has answered."""
    group = settings.kafka_topic_prefix + "stream_processors"
    last = {partition: max(offset for p, offset in sent if p == partition) + 1 for partition, _ in sent}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            for partition, end in last.items():
                place = TopicPartition(topic_name(settings, REQUESTS), partition)
                consumer.assign([place])
                while (await consumer.committed(place) or 0) < end:
                    await asyncio.sleep(0.1)
    finally:
        await consumer.stop()


async def test_a_stop_is_bounded_when_the_broker_is_gone(settings: Settings, tmp_path: Path) -> None:
    with own_kafka(tmp_path / "kafka") as (servers, broker):
        own = replace(settings, kafka_bootstrap_servers=servers)
        await until_topics_exist(own)
        with running_processor(own) as processor:
            await publish(own, [bundle_of(request_of(["a"]))])
            await read_until(own, (ANALYSED,), lambda records: len(records) == 1)
            broker.kill()
            broker.wait()
            started = time.monotonic()
            await asyncio.to_thread(processor.terminate, STOP_SECONDS + 5)
            assert time.monotonic() - started < STOP_SECONDS + 2
