"""The processor that must not go on holds and stays; the one that can't go on ends, and its successor loses nothing."""

from __future__ import annotations

import asyncio
import signal
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from mockupaws.runtime.kafka import create_topics, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.requests import Entry
from mockupaws.schemas.topics import ANALYSED, DEAD_LETTERS, PROCESSOR_GROUP, REQUESTS
from mockupaws.stream_processors.analyse_requests import CRASHED
from mockupaws.stream_processors.worker import STOP_SECONDS
from tests.integration.stream_processors.processor_process import (
    DEADLINE_SECONDS,
    ProcessorProcess,
    bundle_of,
    own_kafka,
    publish,
    read_until,
    request_of,
    running_processor,
    sources_of,
    until_topics_exist,
)

POISON = Entry("an ext type is no JSON", attributes={"x": msgspec.msgpack.Ext(5, b"raw")})


async def until_not_ready(processor: ProcessorProcess, part: str) -> str:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while part not in (detail := (await asyncio.to_thread(processor.health) or {}).get("detail", {})):
            await asyncio.sleep(0.05)
    return str(detail[part])


async def committed(settings: Settings, partition: int = 0) -> int | None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(settings.kafka_topic_prefix + PROCESSOR_GROUP)
        found = offsets.get(TopicPartition(topic_name(settings, REQUESTS), partition))
        return None if found is None else found.offset
    finally:
        await admin.close()


def metric(processor: ProcessorProcess, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{processor.settings.health_port}/metrics", timeout=2) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line for line in lines if line.startswith(name)).rpartition(" ")[2])


async def test_at_the_limit_it_holds_and_goes_on_once_the_limit_is_raised(settings: Settings) -> None:
    limited = replace(settings, dead_letter_max_consecutive=5)
    good, bad = request_of(["good"]), bundle_of(request_of([POISON]))
    await publish(limited, [bundle_of(good), *[bad] * 8, bundle_of(good)])
    with running_processor(limited) as processor:
        why = await until_not_ready(processor, "held")
        assert "5 requests in a row" in why
        assert metric(processor, 'mockupaws_dead_letter_hold{process="processor"}') == 1
        records = await read_until(limited, (ANALYSED, DEAD_LETTERS), lambda records: len(records) == 5)
        assert sorted(sources_of(records)) == [(0, offset) for offset in range(5)]
        async with asyncio.timeout(DEADLINE_SECONDS):
            while await committed(limited) != 5:
                await asyncio.sleep(0.1)
            # longer than the group's session: it is still a member, and lag alone doesn't end it
            while metric(processor, "mockupaws_processor_lag_messages") != 5:
                await asyncio.sleep(0.1)
        health = await asyncio.to_thread(processor.health)
        assert health is not None
        assert not health["ready"]
        assert "partitions" not in health["detail"]
        assert await asyncio.to_thread(processor.terminate, STOP_SECONDS + 5) == 0
    assert await committed(limited) == 5
    with running_processor(replace(settings, dead_letter_max_consecutive=50)):
        records = await read_until(settings, (ANALYSED, DEAD_LETTERS), lambda records: len(records) == 10)
    assert sorted(sources_of(records)) == [(0, offset) for offset in range(10)]


async def test_a_held_processor_outlives_its_session(settings: Settings) -> None:
    limited = replace(settings, dead_letter_max_consecutive=1)
    await publish(limited, [bundle_of(request_of([POISON]))] * 200)
    with running_processor(limited) as processor:
        await until_not_ready(processor, "held")
        assert processor.process is not None
        until = time.monotonic() + 40  # past the session (10 s), and past what ends a stalled consumer (30 s)
        while time.monotonic() < until:
            assert processor.process.poll() is None
            health = await asyncio.to_thread(processor.health)
            assert health is not None
            assert "partitions" not in health["detail"], "it lost its membership"
            await asyncio.sleep(1)
        assert await asyncio.to_thread(processor.terminate, STOP_SECONDS + 5) == 0
    assert await committed(limited) in (None, 0)


STALLING = """
import faust
from mockupaws.stream_processors import worker
class Stalling(worker.Processor):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.app.timer(0.2)(self._stall)
    async def _stall(self):
        if self._step.records_read:
            consumer = self.app.consumer
            consumer.pause_partitions(consumer.assignment())
worker.Processor = Stalling
from mockupaws.stream_processors import __main__
__main__.Processor = Stalling
__main__.main()
"""


async def test_a_consumer_that_stalls_in_silence_ends_and_its_successor_goes_on(settings: Settings) -> None:
    value = bundle_of(request_of(["a"]))
    await publish(settings, [value])
    stalling = ProcessorProcess(replace(settings, home=settings.home / "stalling"), arguments=("-c", STALLING))
    stalling.start()
    assert stalling.process is not None
    try:
        await read_until(settings, (ANALYSED,), lambda records: len(records) == 1)
        await asyncio.sleep(1)  # its fetches that were on their way end
        await publish(settings, [value] * 100)
        code = await asyncio.to_thread(stalling.process.wait, 90)
    finally:
        stalling.kill()
    assert code == CRASHED
    with running_processor(settings):
        records = await read_until(settings, (ANALYSED,), lambda records: len(set(sources_of(records))) == 101)
    assert set(sources_of(records)) == {(0, offset) for offset in range(101)}


async def test_a_broker_that_freezes_for_45_seconds_is_waited_for(settings: Settings, tmp_path: Path) -> None:
    with own_kafka(tmp_path / "kafka") as (servers, broker):
        own = replace(settings, kafka_bootstrap_servers=servers)
        await until_topics_exist(own)
        value = bundle_of(request_of(["a"]))
        with running_processor(own) as processor:
            await publish(own, [value] * 10)
            await read_until(own, (ANALYSED,), lambda records: len(records) == 10)
            broker.send_signal(signal.SIGSTOP)
            try:
                why = await until_not_ready(processor, "brokers")
                assert "no answer" in why
                await asyncio.sleep(35)
                assert processor.process is not None
                assert processor.process.poll() is None, "a restart mends no broker"
            finally:
                broker.send_signal(signal.SIGCONT)
            await publish(own, [value] * 10)
            records = await read_until(own, (ANALYSED,), lambda records: len(set(sources_of(records))) == 20)
            assert set(sources_of(records)) == {(0, offset) for offset in range(20)}
            await processor.until_ready()


async def test_without_the_dead_letter_topic_no_poison_is_passed(settings: Settings) -> None:
    """Restarted as the supervisor would, it goes on by itself once the topic is back."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([topic_name(settings, DEAD_LETTERS)])
    finally:
        await admin.close()
    good, bad = bundle_of(request_of(["good"])), bundle_of(request_of([POISON]))
    await publish(settings, [good, bad, good])
    with running_processor(settings) as processor:
        assert processor.process is not None
        await read_until(settings, (ANALYSED,), lambda records: len(records) >= 1)
        code = await asyncio.to_thread(processor.process.wait, 150)
        assert code == CRASHED
        assert await committed(settings) in (None, 0, 1)
        await create_topics(settings)
        processor.start()
        records = await read_until(
            settings, (ANALYSED, DEAD_LETTERS), lambda records: len(set(sources_of(records))) == 3
        )
    letters = [record for record in records if record.topic == topic_name(settings, DEAD_LETTERS)]
    assert set(sources_of(letters)) == {(0, 1)}


@pytest.mark.parametrize("point", ["processor.before_send", "processor.after_send", "processor.after_acknowledged"])
async def test_killed_at_each_edge_it_loses_nothing(settings: Settings, tmp_path: Path, point: str) -> None:
    folder = tmp_path / "failpoints"
    folder.mkdir()
    armed = replace(settings, failpoints=str(folder))
    values = [bundle_of(*(request_of([f"line {n}"] * 5) for n in range(3)))] * 150
    sent: set[tuple[int, int]] = set()
    with running_processor(armed) as processor:
        await processor.until_ready()
        for partition in range(settings.kafka_partitions):
            (folder / point).write_text("kill")
            sent |= {(partition, offset) for offset in await publish(settings, values, partition)}
            assert processor.process is not None
            assert await asyncio.to_thread(processor.process.wait, 30) == -signal.SIGKILL
            processor.start()
        records = await read_until(settings, (ANALYSED,), lambda records: set(sources_of(records)) >= sent)
    assert set(sources_of(records)) == sent
    assert len(sent) == 150 * settings.kafka_partitions
