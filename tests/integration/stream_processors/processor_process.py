"""Starts the processor as the supervisor would, feeds it, and reads what it wrote."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from mockupaws.runtime.embedded.kafka_server import KafkaServer
from mockupaws.runtime.kafka import KafkaUnreachableError, create_topics, start_producer, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.requests import Entry, IngestRequest, encode_request, join_bundle
from mockupaws.schemas.topics import REQUESTS, Topic

DEADLINE_SECONDS = 60.0
VERSION_1 = [("schema_version", b"1")]


@dataclass
class ProcessorProcess:
    """A real `python -m mockupaws.stream_processors`, to be killed and started again."""

    settings: Settings
    process: subprocess.Popen[bytes] | None = None
    arguments: tuple[str, ...] = ("-m", "mockupaws.stream_processors")

    def start(self) -> None:
        environ = {name: text for name, text in os.environ.items() if not name.startswith("MOCKUPAWS_")}
        self.process = subprocess.Popen([sys.executable, *self.arguments], env=environ | self.settings.to_environ())

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self, within: float) -> int:
        """Its exit status after SIGTERM; raises where it takes longer."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within)

    def health(self) -> dict[str, Any] | None:
        """What /health/ready says; None while nothing answers."""
        url = f"http://127.0.0.1:{self.settings.health_port}/health/ready"
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                report: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            report = json.load(error)
        except OSError:
            return None
        return report

    async def until_ready(self) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not (await asyncio.to_thread(self.health) or {}).get("ready"):
                assert self.process is not None
                assert self.process.poll() is None, "the processor ended"
                await asyncio.sleep(0.05)


@contextlib.contextmanager
def own_kafka(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A broker that a test may kill: its address and process."""
    server = KafkaServer(folder, _free_port(), _free_port())
    server.prepare()
    plan = server.plan("kafka", folder / "kafka.log")
    process = subprocess.Popen(
        plan.command, env=dict(plan.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield server.bootstrap_servers, process
    finally:
        process.kill()
        process.wait()


async def until_topics_exist(settings: Settings) -> None:
    """Waits until the broker is up, and makes the topics."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while True:
            try:
                return await create_topics(settings)
            except KafkaUnreachableError:
                await asyncio.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextlib.contextmanager
def running_processor(settings: Settings) -> Iterator[ProcessorProcess]:
    processor = ProcessorProcess(replace(settings, health_port=_free_port(), home=settings.home / "new"))
    processor.start()
    try:
        yield processor
    finally:
        if processor.process is not None and processor.process.poll() is None:
            processor.kill()


def request_of(messages: Iterable[str | Entry]) -> IngestRequest:
    return IngestRequest(
        request_id=uuid.uuid4().bytes,
        tenant_id=b"t" * 16,
        scenario_id=b"s" * 16,
        received_at_us=1_763_950_000_000_000,
        body_hash=b"h" * 16,
        entries=[message if isinstance(message, Entry) else Entry(message) for message in messages],
    )


def bundle_of(*requests: IngestRequest) -> bytes:
    return join_bundle([encode_request(request) for request in requests])


@contextlib.asynccontextmanager
async def producer_of(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = await start_producer(settings, "test")
    try:
        yield producer
    finally:
        await producer.stop()


async def publish(
    settings: Settings, values: Iterable[bytes], partition: int = 0, headers: list[tuple[str, bytes]] = VERSION_1
) -> list[int]:
    """The offsets of the source records."""
    topic = topic_name(settings, REQUESTS)
    async with producer_of(settings) as producer:
        sent = [await producer.send(topic, value, partition=partition, headers=headers) for value in values]
        return [(await future).offset for future in sent]


async def read_until(
    settings: Settings, topics: Iterable[Topic], enough: Callable[[list[ConsumerRecord]], bool]
) -> list[ConsumerRecord]:
    """All records of these topics from their beginning, until `enough` says so; raises where it never does."""
    partitions = [
        TopicPartition(topic_name(settings, topic), number)
        for topic in topics
        for number in range(settings.kafka_partitions)
    ]
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        records: list[ConsumerRecord] = []
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not enough(records):
                for batch in (await consumer.getmany(timeout_ms=100)).values():
                    records += batch
        return records
    finally:
        await consumer.stop()


def sources_of(records: Iterable[ConsumerRecord]) -> list[tuple[int, int]]:
    """(partition, offset) of the source record that each record answers."""
    sources = [dict(record.headers)["source"].decode().split(":") for record in records]
    return [(int(partition), int(offset)) for partition, offset in sources]
