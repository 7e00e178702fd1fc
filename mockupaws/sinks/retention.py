"""Says in time that records will expire before they are read: by their age, and by the room their topic has left.

It looks from the consumer groups' commits, so it also sees a sink that can't reach its store, and a processor that is
down. The commits of a sink never run ahead of what it has stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from mockupaws.runtime.backlog_notes import BacklogNotes
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.errors import RetriableError
from mockupaws.runtime.health import HealthReport
from mockupaws.runtime.kafka import REQUEST_SECONDS, topic_name
from mockupaws.runtime.kafka_log_dirs import LogSizesRequest, log_sizes_of
from mockupaws.runtime.redis_client import open_redis, redis_circuit
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import RETENTION_USED_RATIO, get_logger
from mockupaws.schemas.topics import Topic
from mockupaws.sinks.watchdog import open_probe, timestamp_at

LOOK_EVERY_SECONDS = 30.0
LOOK_SECONDS = 25.0
"""Limit of one look."""

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reader:
    """A consumer group and the topics it reads."""

    name: str
    group: str
    topics: tuple[Topic, ...]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a group has not read of one partition."""

    start: int
    """First offset of the log."""
    position: int
    end: int
    oldest_ms: int | None
    """Timestamp of the record at `position`; None where there is none."""
    log_bytes: int | None
    """Size of the whole log; None where the broker doesn't tell."""


def used_ratio(backlog: Backlog, now_ms: int, retention_ms: int, retention_bytes: int) -> float:
    """How much of its topic's retention the oldest unread record has used: 1 is when it may be deleted.

    Whichever comes first of age and size; a negative retention is none.
    """
    if backlog.position >= backlog.end:
        return 0.0
    ratios = [0.0]
    if retention_ms > 0 and backlog.oldest_ms is not None:
        ratios.append((now_ms - backlog.oldest_ms) / retention_ms)
    if retention_bytes > 0 and backlog.log_bytes is not None:
        unread = (backlog.end - max(backlog.position, backlog.start)) / (backlog.end - backlog.start)
        ratios.append(backlog.log_bytes * unread / retention_bytes)
    return max(ratios)


class RetentionWatch:
    """Looks for `readers` every `LOOK_EVERY_SECONDS`, until it is cancelled."""

    def __init__(self, settings: Settings, readers: Sequence[Reader], clock: Clock) -> None:
        self._settings = settings
        self._readers = readers
        self._clock = clock
        self._alarms: dict[str, str] = {}
        self._redis_circuit = redis_circuit()

    async def run(self) -> None:
        """Brokers that are away are waited for."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self.look()
            except (KafkaError, RetriableError, TimeoutError, OSError) as error:
                log.debug("retention_unknown", error=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def add_to(self, report: HealthReport) -> HealthReport:
        """The report with the alarms that stand, which make nothing unready. Called from the health server's thread."""
        alarms = {f"retention_{name}": text for name, text in dict(self._alarms).items()}
        return HealthReport(report.ready, report.lag_seconds, report.detail | alarms) if alarms else report

    async def look(self) -> dict[str, float]:
        """Reader → the share of its topics' retention that its oldest unread record has used."""
        async with AsyncExitStack() as stack:
            admin = AIOKafkaAdminClient(
                bootstrap_servers=self._settings.kafka_bootstrap_servers, request_timeout_ms=REQUEST_SECONDS * 1000
            )
            stack.push_async_callback(admin.close)
            await admin.start()
            probe = open_probe(self._settings, "retention-watch")
            stack.push_async_callback(probe.stop)
            await probe.start()
            names = sorted({topic_name(self._settings, topic) for reader in self._readers for topic in reader.topics})
            limits = await _load_limits(admin, names)
            partitions = await _partitions_of(admin, names)
            sizes = await _log_sizes(self._settings, partitions)
            ratios = {}
            for reader in self._readers:
                own = [p for p in partitions if p.topic in {topic_name(self._settings, t) for t in reader.topics}]
                backlogs = await _backlogs(admin, probe, reader.group, own, sizes)
                now_ms = self._clock.now_us() // 1000
                used = {p: used_ratio(backlog, now_ms, *limits[p.topic]) for p, backlog in backlogs.items()}
                ratios[reader.name] = max(used.values(), default=0.0)
                self._note(reader, used)
            redis = open_redis(self._settings)
            if redis is not None:
                stack.push_async_callback(redis.aclose)
            notes = BacklogNotes(self._settings, redis, self._redis_circuit)
            for name, ratio in ratios.items():
                await notes.tell_retention(name, ratio)
            return ratios

    def _note(self, reader: Reader, used: Mapping[TopicPartition, float]) -> None:
        worst = max(used, key=lambda partition: used[partition], default=None)
        ratio = used[worst] if worst is not None else 0.0
        RETENTION_USED_RATIO.labels(reader.name).set(ratio)
        if worst is None or ratio < self._settings.retention_alarm_ratio:
            if self._alarms.pop(reader.name, None):
                log.info("retention_alarm_ended", reader=reader.name)
            return
        text = f"{worst.topic}-{worst.partition}: the oldest unread record has used {ratio:.0%} of its retention"
        if reader.name not in self._alarms:
            log.error(
                "retention_alarm",
                reader=reader.name,
                topic=worst.topic,
                partition=worst.partition,
                used_ratio=round(ratio, 3),
                runbook="docs/runbooks: records are about to expire unread",
            )
        self._alarms[reader.name] = text


async def _load_limits(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Topic → retention in ms and in bytes of a partition; negative: none."""
    names = ("retention.ms", "retention.bytes")
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(names)) for topic in topics]
    limits: dict[str, tuple[int, int]] = dict.fromkeys(topics, (-1, -1))
    for response in await admin.describe_configs(resources):
        for _, _, _, topic, entries in response.resources:
            values = {entry[0]: int(entry[1]) for entry in entries if entry[0] in names and entry[1] is not None}
            limits[topic] = (values.get(names[0], -1), values.get(names[1], -1))
    return limits


async def _partitions_of(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> list[TopicPartition]:
    return [
        TopicPartition(topic["topic"], partition["partition"])
        for topic in await admin.describe_topics(list(topics))
        for partition in topic["partitions"]
    ]


async def _log_sizes(settings: Settings, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """Of each partition's largest replica; empty where the brokers don't tell."""
    client = AIOKafkaClient(
        bootstrap_servers=settings.kafka_bootstrap_servers, request_timeout_ms=REQUEST_SECONDS * 1000
    )
    sizes: dict[TopicPartition, int] = {}
    try:
        await client.bootstrap()
        for broker in client.cluster.brokers():
            response = await client.send(broker.nodeId, LogSizesRequest(partitions))
            for place, size in log_sizes_of(response).items():
                partition = TopicPartition(*place)
                sizes[partition] = max(size, sizes.get(partition, 0))
    finally:
        await client.close()
    return sizes


async def _backlogs(
    admin: AIOKafkaAdminClient,
    probe: AIOKafkaConsumer,
    group: str,
    partitions: Sequence[TopicPartition],
    sizes: Mapping[TopicPartition, int],
) -> dict[TopicPartition, Backlog]:
    """What a group that committed nothing yet has to read begins where the log does."""
    commits = await admin.list_consumer_group_offsets(group)
    starts = await probe.beginning_offsets(partitions)
    ends = await probe.end_offsets(partitions)
    backlogs = {}
    for partition in partitions:
        start, end = starts[partition], ends[partition]
        position = commits[partition].offset if partition in commits else start
        position = min(max(position, start), end)
        oldest_ms = await timestamp_at(probe, partition, position) if position < end else None
        backlogs[partition] = Backlog(start, position, end, oldest_ms, sizes.get(partition))
    return backlogs
