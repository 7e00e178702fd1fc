"""Records of `logs.analysed` as the processor writes them, of the benchmark's log lines, in any number and at any rate."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from dataclasses import dataclass, field

import msgspec
from aiokafka import AIOKafkaProducer

from mockupaws.runtime.kafka import start_producer, topic_ids, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.analysed import (
    SOURCE_HEADER,
    SOURCE_TOPIC_ID_HEADER,
    AnalysedRequest,
    encode_analysed,
)
from mockupaws.schemas.identifiers import new_request_id
from mockupaws.schemas.requests import Entry, IngestRequest
from mockupaws.schemas.topics import ANALYSED, REQUESTS
from mockupaws.stream_processors.analyse_entries import Analyser
from tests.benchmarks.log_lines import LINES_IN_BODY, make_bodies

_TEMPLATES = 64


class _Log(msgspec.Struct):
    message: str
    source: str
    level: str
    attributes: dict[str, object]


def analysed_templates(
    tenant_id: uuid.UUID, scenario_id: uuid.UUID, lines_in_request: int = LINES_IN_BODY
) -> list[AnalysedRequest]:
    """Requests of so many lines each, really analysed."""
    analyser = Analyser()
    read = msgspec.json.Decoder(dict[str, list[_Log] | str]).decode
    requests = []
    for body in make_bodies(str(scenario_id), _TEMPLATES):
        logs = read(body)["logs"]
        assert isinstance(logs, list)
        entries = [Entry(log.message, None, log.source, log.level, log.attributes) for log in logs[:lines_in_request]]
        request = IngestRequest(b"r" * 16, tenant_id.bytes, scenario_id.bytes, _now_us(), b"h" * 16, entries)
        requests.append(analyser.analyse_request(request))
    return requests


@dataclass
class Feed:
    """Publishes requests made of `templates`, each with an id and a time of its own."""

    settings: Settings
    templates: list[AnalysedRequest]
    published_records: int = 0
    _number: int = 0
    _lines_in_request: int = 0
    _source_offsets: dict[int, int] = field(default_factory=dict)
    _source_topic: bytes = b""

    def __post_init__(self) -> None:
        self._lines_in_request = len(self.templates[0].lines.index)

    async def fill(self, lines: int, requests_in_record: int) -> None:
        """Publishes `lines` as fast as it goes."""
        producer = await self._start()
        try:
            pending = set[asyncio.Future[object]]()
            for _ in range(lines // (self._lines_in_request * requests_in_record)):
                pending.add(await self._send(producer, requests_in_record))
                if len(pending) >= 256:
                    _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*pending)
        finally:
            await producer.stop()

    async def pace(self, lines_per_second: int, seconds: float, requests_in_record: int = 1) -> int:
        """Records evenly spaced; answers how many lines."""
        producer = await self._start()
        lines_in_record = self._lines_in_request * requests_in_record
        count = round(lines_per_second * seconds / lines_in_record)
        try:
            start = time.perf_counter()
            pending = []
            for number in range(count):
                due = start + number * lines_in_record / lines_per_second
                if (wait := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
                pending.append(await self._send(producer, requests_in_record))
            await asyncio.gather(*pending)
        finally:
            await producer.stop()
        return count * lines_in_record

    async def _start(self) -> AIOKafkaProducer:
        self._source_topic = (await topic_ids(self.settings))[topic_name(self.settings, REQUESTS)].bytes
        return await start_producer(self.settings, "benchmark")

    async def _send(self, producer: AIOKafkaProducer, requests_in_record: int) -> asyncio.Future[object]:
        partition = self.published_records % self.settings.kafka_partitions
        offset = self._source_offsets.get(partition, 0)
        self._source_offsets[partition] = offset + 1
        self.published_records += 1
        headers = [
            ("schema_version", b"1"),
            (SOURCE_HEADER, f"{partition}:{offset}".encode()),
            (SOURCE_TOPIC_ID_HEADER, self._source_topic),
        ]
        value = encode_analysed([self._new_request() for _ in range(requests_in_record)])
        sent: asyncio.Future[object] = await producer.send(
            topic_name(self.settings, ANALYSED), value, partition=partition, headers=headers
        )
        return sent

    def _new_request(self) -> AnalysedRequest:
        template = self.templates[self._number % len(self.templates)]
        self._number += 1
        now_us = _now_us()
        minute = now_us // 60_000_000 * 60
        return msgspec.structs.replace(
            template,
            request_id=new_request_id(now_us, os.urandom(10)).bytes,
            received_at_us=now_us,
            deltas=[msgspec.structs.replace(delta, minute=minute) for delta in template.deltas],
        )


def _now_us() -> int:
    return time.time_ns() // 1000
