"""Starts sinks as the supervisor would, feeds them, and reads what they wrote."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from mockupaws.runtime.kafka import start_producer, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.analysed import AnalysedRequest, Delta, LineColumns, encode_analysed
from mockupaws.schemas.identifiers import new_request_id
from mockupaws.schemas.topics import ANALYSED, Topic
from tests.running_stack import free_ports

DEADLINE_SECONDS = 90.0
VERSION_1 = [("schema_version", b"1")]
TENANT, SCENARIO = uuid.UUID(int=1), uuid.UUID(int=2)


def analysed_request(
    messages: list[str],
    request_id: uuid.UUID | None = None,
    received_at_us: int | None = None,
    body_hash: bytes = b"h" * 16,
    accepted: int | None = None,
) -> AnalysedRequest:
    count = len(messages)
    received_at_us = received_at_us or time.time_ns() // 1000
    return AnalysedRequest(
        request_id=(request_id or new_request_id(received_at_us, os.urandom(10))).bytes,
        tenant_id=TENANT.bytes,
        scenario_id=SCENARIO.bytes,
        received_at_us=received_at_us,
        body_hash=body_hash,
        accepted=count if accepted is None else accepted,
        lines=LineColumns(
            index=list(range(count)),
            message=messages,
            message_hash=[hashlib.sha256(message.encode()).digest() for message in messages],
            timestamp_us=[received_at_us if index % 2 else None for index in range(count)],
            source=["app"] * count,
            level=["info"] * count,
            attributes=['{"a": 1}' if index % 3 == 0 else None for index in range(count)],
            size_bytes=[len(message.encode()) for message in messages],
            token_count=[7] * count,
            sqs_blocks=[1] * count,
            pii_mask=[index % 4 for index in range(count)],
        ),
        deltas=[
            Delta(received_at_us // 60_000_000 * 60, "ingest", "requests", 1),
            Delta(received_at_us // 60_000_000 * 60, "ingest", "entries", count),
        ],
    )


async def publish(
    settings: Settings,
    values: Iterable[bytes],
    partition: int = 0,
    topic: Topic = ANALYSED,
    headers: list[tuple[str, bytes]] = VERSION_1,
) -> None:
    producer = await start_producer(settings, "test")
    try:
        for value in values:
            await producer.send_and_wait(topic_name(settings, topic), value, partition=partition, headers=headers)
    finally:
        await producer.stop()


async def publish_requests(settings: Settings, *requests: AnalysedRequest, partition: int = 0) -> None:
    """One record each, in order."""
    await publish(settings, [encode_analysed([request]) for request in requests], partition)


@dataclass
class SinkProcess:
    """A real `python -m mockupaws.sinks.<name>`, to be killed and started again."""

    settings: Settings
    name: str
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environ = {name: text for name, text in os.environ.items() if not name.startswith("MOCKUPAWS_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"mockupaws.sinks.{self.name}"], env=environ | self.settings.to_environ()
        )

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

    async def until_health(
        self, enough: Callable[[dict[str, Any]], bool], seconds: float = DEADLINE_SECONDS
    ) -> dict[str, Any]:
        """Waits until the report is as wanted; says what it was if it never is."""
        report: dict[str, Any] | None = None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            report = await asyncio.to_thread(self.health)
            if report is not None and enough(report):
                return report
            await asyncio.sleep(0.05)
        raise AssertionError(f"the report stayed {report}")

    def arm(self, failpoint: str, action: str) -> Path:
        """The file that vanishes when the point is reached."""
        armed = Path(self.settings.failpoints) / failpoint
        armed.write_text(action)
        return armed

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.wait(5)

    def wait(self, seconds: float) -> int:
        assert self.process is not None
        return self.process.wait(seconds)


@contextlib.contextmanager
def running_sink(settings: Settings, name: str, health: bool = False, failpoints: str = "") -> Iterator[SinkProcess]:
    """`health`: on a free port. `failpoints`: a name for the process's own folder of them."""
    if health:
        settings = dataclasses.replace(settings, health_port=free_ports(1)[0])
    if failpoints:
        folder = settings.home / "failpoints" / failpoints
        folder.mkdir(parents=True, exist_ok=True)
        settings = dataclasses.replace(settings, failpoints=str(folder))
    sink = SinkProcess(settings, name)
    sink.start()
    try:
        yield sink
    finally:
        assert sink.process is not None
        if sink.process.poll() is None:
            sink.kill()


@contextlib.asynccontextmanager
async def owner_connection(settings: Settings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    try:
        yield connection
    finally:
        await connection.close()


async def until_equal(settings: Settings, query: str, expected: Any, seconds: float = DEADLINE_SECONDS) -> None:
    """Waits until the query's one value is `expected`; says what it was if it never is."""
    value: Any = None
    async with owner_connection(settings) as connection:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = await connection.fetchval(query)
            if value == expected:
                return
            await asyncio.sleep(0.05)
    raise AssertionError(f"{query}: {value!r}, not {expected!r}")
