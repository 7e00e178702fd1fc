"""CPU of the processor stage alone, on a real Kafka: `make bench-processor`.

A process of its own reads bundles and writes its answers, saturated (the topic is filled before it starts) or paced
(bundles arrive at a fixed rate); start-up is excluded. `limit` is what no arrangement can spare: the library calls that
fetch, decompress, decode, scan, count tokens, hash, encode, compress and produce the same bundles, in one plain loop.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import hashlib
import logging
import random
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import NamedTuple

import psutil
import quicktok
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from mockupaws.runtime.kafka import start_producer, topic_name
from mockupaws.runtime.replace_file import replace_file
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.analysed import encode_analysed
from mockupaws.schemas.requests import Entry, IngestRequest, decode_bundle, encode_request, join_bundle
from mockupaws.schemas.topics import ANALYSED, REQUESTS
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.detect_pii.compiled_database import cache_folder, open_database
from mockupaws.stream_processors.detect_pii.table import DETECTORS
from mockupaws.stream_processors.policies.directory import PolicyDirectory
from mockupaws.stream_processors.policies.refresh_policies import SNAPSHOT_FILE
from tests.benchmarks.log_lines import make_log
from tests.integration.stream_processors.processor_process import (
    VERSION_1,
    ProcessorProcess,
    own_kafka,
    until_topics_exist,
)
from tests.running_stack import free_ports

WARM_UP_SHARE = 0.2
"""Of the records, before the measurement begins."""
IDLE_SECONDS = 20.0
_DISTINCT_BUNDLES = 64
_DEADLINE_SECONDS = 120.0
_POLL_SECONDS = 0.02


class Shape(NamedTuple):
    """What a record holds."""

    requests: int
    lines: int
    """Of each request."""

    def __str__(self) -> str:
        return f"{self.requests} × {self.lines}"

    @property
    def in_record(self) -> int:
        return self.requests * self.lines


class Used(NamedTuple):
    cpu_seconds: float
    by_thread: dict[str, float]
    records: int
    seconds: float

    def row(self, shape: Shape) -> str:
        lines = self.records * shape.in_record
        threads = " ".join(f"{seconds / lines * 1e6:.1f}" for seconds in sorted(self.by_thread.values())[:-5:-1])
        micros = self.cpu_seconds * 1e6
        return f"{micros / lines:.1f} | {micros / self.records:,.0f} | {lines / self.seconds:,.0f} | {threads}"


def make_bundles(shape: Shape, count: int) -> list[bytes]:
    choose = random.Random(11)
    bundles: list[bytes] = []
    for _ in range(count):
        requests = [
            IngestRequest(
                request_id=choose.randbytes(16),
                tenant_id=b"t" * 16,
                scenario_id=b"s" * 16,
                received_at_us=1_763_950_000_000_000,
                body_hash=choose.randbytes(32),
                entries=[_entry(choose) for _ in range(shape.lines)],
            )
            for _ in range(shape.requests)
        ]
        bundles.append(join_bundle([encode_request(request) for request in requests]))
    return bundles


def _entry(choose: random.Random) -> Entry:
    log = make_log(choose)
    return Entry(str(log["message"]), None, str(log["source"]), str(log["level"]), log["attributes"])  # type: ignore[arg-type]


async def measure_saturated(settings: Settings, shape: Shape, records: int) -> Used:
    await _fill(settings, make_bundles(shape, _DISTINCT_BUNDLES), records)
    async with _Answers(settings) as answers:
        process = _start(settings)
        try:
            return await _measure(process, answers, int(records * WARM_UP_SHARE), records)
        finally:
            process.terminate(15.0)


async def measure_paced(settings: Settings, shape: Shape, lines_per_second: int, seconds: float) -> tuple[Used, float]:
    """Also the share of a core it takes while nothing comes."""
    bundles = make_bundles(shape, _DISTINCT_BUNDLES)
    async with _Answers(settings) as answers:
        process = _start(settings)
        try:
            await _fill(settings, bundles, _DISTINCT_BUNDLES)
            await answers.reach(_DISTINCT_BUNDLES)
            records = round(lines_per_second * seconds / shape.in_record)
            feeding = asyncio.create_task(_feed(settings, bundles, records, shape.in_record / lines_per_second))
            first = _DISTINCT_BUNDLES + int(records * WARM_UP_SHARE)
            used = await _measure(process, answers, first, _DISTINCT_BUNDLES + records)
            await feeding
            await asyncio.sleep(2.0)
            before = _cpu(process)
            await asyncio.sleep(IDLE_SECONDS)
            return used, (sum(_cpu(process).values()) - sum(before.values())) / IDLE_SECONDS
        finally:
            process.terminate(15.0)


async def _measure(process: ProcessorProcess, answers: _Answers, first: int, last: int) -> Used:
    began = await answers.reach(first)
    before, started = _cpu(process), time.monotonic()
    ended = await answers.reach(last)
    after, seconds = _cpu(process), time.monotonic() - started
    used = {thread: cpu - before.get(thread, 0.0) for thread, cpu in after.items()}
    return Used(sum(used.values()), used, ended - began, seconds)


def _start(settings: Settings) -> ProcessorProcess:
    settings.home.mkdir(parents=True)
    replace_file(settings.home / SNAPSHOT_FILE, PolicyDirectory("").to_snapshot(), 0o600)  # so it needs no database
    process = ProcessorProcess(settings)
    process.start()
    return process


def _cpu(process: ProcessorProcess) -> dict[str, float]:
    assert process.process is not None
    times = psutil.Process(process.process.pid).threads()
    return {str(thread.id): thread.user_time + thread.system_time for thread in times}


class _Answers:
    """Counts the records of `logs.analysed`."""

    def __init__(self, settings: Settings) -> None:
        topic = topic_name(settings, ANALYSED)
        self._places = [TopicPartition(topic, number) for number in range(settings.kafka_partitions)]
        self._consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers)

    async def __aenter__(self) -> _Answers:
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def reach(self, count: int) -> int:
        """How many there are, once there are so many."""
        async with asyncio.timeout(_DEADLINE_SECONDS):
            while True:
                found: int = sum((await self._consumer.end_offsets(self._places)).values())
                if found >= count:
                    return found
                await asyncio.sleep(_POLL_SECONDS)


async def _fill(settings: Settings, bundles: list[bytes], records: int) -> None:
    producer = await start_producer(settings, "bench")
    try:
        sent = [await _send(producer, settings, bundles, number) for number in range(records)]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def _feed(settings: Settings, bundles: list[bytes], records: int, interval: float) -> None:
    producer = await start_producer(settings, "bench")
    try:
        start = time.monotonic()
        sent = []
        for number in range(records):
            await asyncio.sleep(max(0.0, start + number * interval - time.monotonic()))
            sent.append(await _send(producer, settings, bundles, number))
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def _send(
    producer: AIOKafkaProducer, settings: Settings, bundles: list[bytes], number: int
) -> Awaitable[asyncio.Future[object]]:
    sending: Awaitable[asyncio.Future[object]] = producer.send(
        topic_name(settings, REQUESTS),
        bundles[number % len(bundles)],
        partition=number % settings.kafka_partitions,
        headers=VERSION_1,
    )
    return sending


async def measure_limit(settings: Settings, shape: Shape, records: int) -> Used:
    """The unavoidable calls alone, each record's answer being one that was made before."""
    bundles = make_bundles(shape, _DISTINCT_BUNDLES)
    await _fill(settings, bundles, records)
    calls = _LibraryCalls(bundles)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    producer = await start_producer(settings, "limit")
    await consumer.start()
    try:
        topic = topic_name(settings, REQUESTS)
        consumer.assign([TopicPartition(topic, number) for number in range(settings.kafka_partitions)])
        first, seen, futures = 0, 0, []
        began = started = 0.0
        while seen < records:
            for batch in (await consumer.getmany(timeout_ms=1000, max_records=64)).values():
                for record in batch:
                    value = calls.answer(record.value)
                    to = topic_name(settings, ANALYSED)
                    futures.append(await producer.send(to, value, partition=record.partition, headers=VERSION_1))
                seen += len(batch)
            if not first and seen >= records * WARM_UP_SHARE:
                first, began, started = seen, time.process_time(), time.monotonic()
        await asyncio.gather(*futures)
        return Used(time.process_time() - began, {}, seen - first, time.monotonic() - started)
    finally:
        await consumer.stop()
        await producer.stop()


class _LibraryCalls:
    def __init__(self, bundles: list[bytes]) -> None:
        analyser = Analyser()
        self._answers = {
            bundle: [analyser.analyse_request(request) for request in decode_bundle(bundle)] for bundle in bundles
        }
        expressions = [expression for detector in DETECTORS for expression in detector.expressions]
        self._scan = open_database(expressions, cache_folder()).scan
        self._count = quicktok.get_encoding("cl100k_base").count

    def answer(self, bundle: bytes) -> bytes:
        messages = [entry.message for request in decode_bundle(bundle) for entry in request.entries]
        joined = "\0".join(messages).encode()
        self._scan(joined, match_event_handler=_nothing)
        list(map(self._count, messages))
        for text in joined.split(b"\0"):
            hashlib.sha256(text).digest()
        return encode_analysed(self._answers[bundle])


def _nothing(*_: object) -> None:
    return None


async def run(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="mockupaws-bench-") as folder, own_kafka(Path(folder)) as (servers, _):
        number = 0

        async def fresh() -> Settings:
            nonlocal number
            number += 1
            settings = dataclasses.replace(
                Settings(),
                home=Path(folder) / f"home-{number}",
                kafka_bootstrap_servers=servers,
                kafka_topic_prefix=f"bench-{number}.",
                health_port=free_ports(1)[0],
                postgres_api_url="postgresql://nobody@127.0.0.1:1/none",  # policies come from the snapshot
                policy_refresh_seconds=3600.0,
            )
            await until_topics_exist(settings)
            return settings

        print("| requests × lines in a record | | µs/line | µs/record | lines/s | by thread |")
        print("|---|---|--:|--:|--:|---|")
        for shape in arguments.shapes:
            records = max(200, arguments.lines // shape.in_record)
            if arguments.limit:
                print(f"| {shape} | limit | {(await measure_limit(await fresh(), shape, records)).row(shape)} |")
            used = await measure_saturated(await fresh(), shape, records)
            print(f"| {shape} | saturated | {used.row(shape)} |", flush=True)
        for shape in arguments.paced:
            used, idle = await measure_paced(await fresh(), shape, arguments.rate, arguments.seconds)
            print(f"| {shape} | {arguments.rate:,} lines/s | {used.row(shape)} |", flush=True)
            print(f"| – | idle: {idle:.2%} of a core | | | | |", flush=True)


def _shapes(text: str) -> list[Shape]:
    return [Shape(*map(int, part.split("x"))) for part in text.split(",") if part]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_processor", description=__doc__)
    parser.add_argument("--shapes", type=_shapes, default="1x100,5x100,200x1", help="of records, saturated")
    parser.add_argument("--paced", type=_shapes, default="1x100,5x100", help="of records, at --rate")
    parser.add_argument("--lines", type=int, default=200_000, help="of each saturated measurement")
    parser.add_argument("--rate", type=int, default=16_000, help="lines a second of the paced ones")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each paced one")
    parser.add_argument("--no-limit", dest="limit", action="store_false")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it asks the broker before that is up
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
