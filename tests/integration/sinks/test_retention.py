"""A backlog that nears its topic's retention is told in time, whoever it is that doesn't read."""

from __future__ import annotations

import dataclasses
import os

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.health import HealthReport
from mockupaws.runtime.kafka import start_producer, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.analysed import encode_analysed
from mockupaws.schemas.topics import ANALYSED, PROCESSOR_GROUP, REQUESTS, Topic
from mockupaws.sinks.consume import group_of
from mockupaws.sinks.retention import Reader, RetentionWatch
from tests.integration.sinks.sink_process import (
    analysed_request,
    owner_connection,
    publish_requests,
    running_sink,
    until_equal,
)
from tests.integration.sinks.source_records import commit_processed

HOUR_MS = 3_600_000
STORED = "SELECT coalesce(sum(stored), 0) FROM ingest_receipts"


async def configure(settings: Settings, topic: Topic, **limits: int) -> None:
    names = {name.replace("_", "."): str(value) for name, value in limits.items()}
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic_name(settings, topic), names)
        await admin.alter_configs([resource])
    finally:
        await admin.close()


async def publish_aged(settings: Settings, topic: Topic, hours: float, *values: bytes) -> None:
    producer = await start_producer(settings, "test")
    timestamp_ms = int(SystemClock().now_us() // 1000 - hours * HOUR_MS)
    try:
        for value in values:
            await producer.send_and_wait(
                topic_name(settings, topic), value, partition=1, timestamp_ms=timestamp_ms, headers=[]
            )
    finally:
        await producer.stop()


def watch(settings: Settings) -> RetentionWatch:
    readers = [
        Reader("postgres", group_of(settings, "postgres"), (ANALYSED,)),
        Reader("processor", settings.kafka_topic_prefix + PROCESSOR_GROUP, (REQUESTS,)),
    ]
    return RetentionWatch(settings, readers, SystemClock())


async def test_the_age_of_the_processors_oldest_record_is_alarmed_once_and_ends(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await configure(settings, REQUESTS, retention_ms=10 * HOUR_MS)
    await publish_aged(settings, REQUESTS, 6, b"a")
    await publish_aged(settings, REQUESTS, 4, b"b", b"c")
    await commit_processed(settings, 1, partition=1)
    watching = watch(settings)
    assert (await watching.look())["processor"] == pytest.approx(0.4, abs=0.01)
    assert watching.add_to(HealthReport(ready=True)) == HealthReport(ready=True)
    await commit_processed(settings, 0, partition=1)
    for _ in range(2):
        assert await watching.look() == {"postgres": 0.0, "processor": pytest.approx(0.6, abs=0.01)}
    report = watching.add_to(HealthReport(ready=True))
    assert report.ready
    assert report.detail["retention_processor"].startswith(f"{topic_name(settings, REQUESTS)}-1: ")
    await commit_processed(settings, 3, partition=1)
    assert await watching.look() == {"postgres": 0.0, "processor": 0.0}
    assert watching.add_to(HealthReport(ready=True)) == HealthReport(ready=True)
    logged = capsys.readouterr().out
    assert (logged.count("retention_alarm "), logged.count("retention_alarm_ended")) == (1, 1)


async def test_room_that_runs_out_is_alarmed_like_age(settings: Settings) -> None:
    await configure(settings, ANALYSED, retention_bytes=1_000_000)
    await publish_aged(settings, ANALYSED, 0, *(os.urandom(100_000) for _ in range(8)))
    assert (await watch(settings).look())["postgres"] == pytest.approx(0.8, abs=0.02)


async def test_a_backlog_is_seen_while_the_store_is_down_from_the_start(settings: Settings) -> None:
    with running_sink(settings, "postgres"):
        await publish_requests(settings, analysed_request(["stored"]))
        await until_equal(settings, STORED, 1)
    await configure(settings, ANALYSED, retention_ms=HOUR_MS)
    await publish_aged(settings, ANALYSED, 0.9, b"a")
    unreachable = dataclasses.replace(settings, postgres_sink_url="postgresql://nobody@127.0.0.1:1/none")
    with running_sink(unreachable, "postgres", health=True) as sink:
        report = await sink.until_health(lambda report: "retention_postgres" in report["detail"])
    assert "logs.analysed-1" in report["detail"]["retention_postgres"]
    assert report["ready"] is False, "it has no offsets"


async def test_lag_in_seconds_is_exact_from_the_start_with_a_backlog_nothing_can_be_stored_of(
    settings: Settings,
) -> None:
    await publish_aged(settings, ANALYSED, 2, encode_analysed([analysed_request(["old"])]))
    async with owner_connection(settings) as connection, connection.transaction():
        await connection.execute("LOCK TABLE applied_requests")
        with running_sink(settings, "postgres", health=True) as sink:
            report = await sink.until_health(lambda report: report["lag_seconds"] is not None)
            assert report["lag_seconds"] == pytest.approx(2 * 3600, abs=60)
