"""Waits until nothing is on its way any more: each reader stands at the end of its log."""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from mockupaws.runtime.errors import PipelineError
from mockupaws.runtime.kafka import topic_ids, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.topics import ANALYSED, DEAD_LETTERS, REQUESTS, Topic
from tests.adversity.oracle.read_stores import connect

LOOK_SECONDS = 0.5
CALL_SECONDS = 10.0
QUIET_LOOKS = 2
"""A sink may write dead letters which it then reads: one look could fall in between."""

READS: dict[str, tuple[Topic, ...]] = {"postgres": (ANALYSED, DEAD_LETTERS), "parquet": (ANALYSED,)}


@dataclass(frozen=True, slots=True)
class Lags:
    """Records (in the spool: bytes or requests) that wait before each reader; None: unknown."""

    spool: int | None
    processor: int | None
    postgres: int | None
    parquet: int | None

    @property
    def is_zero(self) -> bool:
        return (self.spool, self.processor, self.postgres, self.parquet) == (0, 0, 0, 0)


class LagReader:
    """Asks Kafka and Postgres directly, past all proxies. Use as an async context manager."""

    def __init__(self, settings: Settings, spool_metric: str = "mockupaws_spool_requests") -> None:
        self._settings = settings
        self._spool_metric = spool_metric
        self._consumer: Any = None
        self._admin: Any = None

    async def __aenter__(self) -> LagReader:
        servers = self._settings.kafka_bootstrap_servers
        self._consumer = AIOKafkaConsumer(bootstrap_servers=servers, request_timeout_ms=int(CALL_SECONDS * 1000))
        self._admin = AIOKafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=int(CALL_SECONDS * 1000))
        async with asyncio.timeout(6 * CALL_SECONDS):
            await self._consumer.start()
            await self._admin.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._admin.close()

    async def read(self) -> Lags:
        """Upstream first, so that what moves on meanwhile is still seen. Raises what the servers raise."""
        settings = self._settings
        async with asyncio.timeout(3 * CALL_SECONDS):
            spool = await asyncio.to_thread(self._read_spool)
            processor = await self._processor_lag()
            ids = await topic_ids(settings)
            connection = await connect(settings.postgres_owner_url)
            try:
                rows = await connection.fetch("SELECT sink, topic_id, partition, next_offset FROM consumer_offsets")
            finally:
                await connection.close()
            stands = {(row["sink"], row["topic_id"], row["partition"]): row["next_offset"] for row in rows}
            lags = {}
            for sink, topics in READS.items():
                ends = await self._ends(topics)
                lags[sink] = sum(end - stands.get((sink, ids[tp.topic], tp.partition), 0) for tp, end in ends.items())
        return Lags(spool, processor, lags["postgres"], lags["parquet"])

    async def _processor_lag(self) -> int:
        group = self._settings.kafka_topic_prefix + "stream_processors"
        committed = await self._admin.list_consumer_group_offsets(group)
        ends = await self._ends((REQUESTS,))
        return sum(end - max(0, committed[tp].offset if tp in committed else 0) for tp, end in ends.items())

    async def _ends(self, topics: Sequence[Topic]) -> dict[TopicPartition, int]:
        names = [topic_name(self._settings, topic) for topic in topics]
        partitions = [
            TopicPartition(name, number) for name in names for number in range(self._settings.kafka_partitions)
        ]
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(partitions)
        return ends

    def _read_spool(self) -> int | None:
        """0 where this gateway has no spool."""
        url = f"http://{self._settings.gateway_host}:{self._settings.gateway_port}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=CALL_SECONDS) as answer:
                text = answer.read().decode()
        except OSError:
            return None
        found = re.search(rf"^{self._spool_metric} (\S+)$", text, re.MULTILINE)
        return int(float(found[1])) if found else 0


async def wait_until_quiet(settings: Settings, seconds: float) -> Lags | None:
    """None once nothing is on its way; else the lags that are left after `seconds`."""
    deadline = time.monotonic() + seconds
    lags = Lags(None, None, None, None)
    quiet = 0
    while time.monotonic() < deadline:
        try:
            async with LagReader(settings) as reader:
                while time.monotonic() < deadline:
                    lags = await reader.read()
                    quiet = quiet + 1 if lags.is_zero else 0
                    if quiet >= QUIET_LOOKS:
                        return None
                    await asyncio.sleep(LOOK_SECONDS)
        except (KafkaError, PipelineError, asyncpg.PostgresError, OSError, TimeoutError, KeyError):
            quiet = 0
            await asyncio.sleep(LOOK_SECONDS)  # a part is still coming back
    return lags
