"""One suite of faults for every sink: whatever happens at whichever edge, each line stands once."""

from __future__ import annotations

import asyncio
import dataclasses
import signal

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from mockupaws.runtime.kafka import create_topics, topic_ids, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.topics import ANALYSED
from tests.integration.sinks.sink_process import (
    SinkProcess,
    analysed_request,
    owner_connection,
    publish_requests,
    running_sink,
    until_equal,
)
from tests.integration.sinks.source_records import expire_before
from tests.integration.sinks.stored import STORED, assert_exact

SINKS = ("postgres", "parquet")
EDGES = {
    "postgres": ("before_transaction", "after_offsets", "before_commit", "after_commit"),
    "parquet": ("before_put", "after_put", "before_commit", "after_commit"),
}
OFFSETS = "SELECT next_offset FROM consumer_offsets ORDER BY topic, partition"
ALL_EDGES = [(name, edge) for name in SINKS for edge in EDGES[name]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(
        settings, sink_transaction_max_lines=1_000, parquet_flush_seconds=0.1, parquet_flush_lines=1_000
    )


async def reach(sink: SinkProcess, failpoint: str, action: str, *messages: str) -> None:
    """Publishes a request a message, and waits until the sink has come to the point."""
    armed = sink.arm(failpoint, action)
    await publish_requests(sink.settings, *[analysed_request([message]) for message in messages])
    async with asyncio.timeout(60):
        while armed.exists():
            await asyncio.sleep(0.02)


async def until_equal_with_restarts(sink: SinkProcess, query: str, expected: int) -> None:
    """As the supervisor would: a sink whose topic vanishes stops, and again when there is a new one."""
    waiting = asyncio.create_task(until_equal(sink.settings, query, expected, seconds=90))
    while not waiting.done():
        assert sink.process is not None
        if sink.process.poll() is not None:
            sink.start()
        await asyncio.sleep(0.1)
    await waiting


@pytest.mark.parametrize(("name", "edge"), ALL_EDGES)
async def test_killed_at_an_edge(settings: Settings, name: str, edge: str) -> None:
    with running_sink(settings, name, failpoints="first") as sink:
        await publish_requests(settings, analysed_request(["before"]))
        await until_equal(settings, STORED[name], 1)
        await reach(sink, f"{name}_sink.{edge}", "kill", *[f"line {n}" for n in range(20)])
        assert await asyncio.to_thread(sink.wait, 10) == -signal.SIGKILL
        sink.start()
        await publish_requests(settings, analysed_request(["after"]))
        await until_equal(settings, STORED[name], 22)
    await assert_exact(settings, name, 22, requests=22)


@pytest.mark.parametrize(("name", "edge"), ALL_EDGES)
async def test_failing_at_an_edge_is_tried_again_by_the_same_process(settings: Settings, name: str, edge: str) -> None:
    with running_sink(settings, name, failpoints="first") as sink:
        await publish_requests(settings, analysed_request(["before"]))
        await until_equal(settings, STORED[name], 1)
        await reach(sink, f"{name}_sink.{edge}", "fail", *[f"line {n}" for n in range(20)])
        await until_equal(settings, STORED[name], 21)
        assert sink.process is not None
        assert sink.process.poll() is None
    await assert_exact(settings, name, 21, requests=21)


@pytest.mark.parametrize(
    ("name", "edge"), [("postgres", "before_transaction"), ("parquet", "before_put"), ("parquet", "after_put")]
)
async def test_what_a_zombie_holds_is_refused_by_the_offsets_alone(settings: Settings, name: str, edge: str) -> None:
    """It wakes with records another sink has stored and that are forgotten in `applied_requests` since.

    One request has no line: only the compare-and-set of the offsets keeps it from counting twice in the rollups. In the
    archive nothing else keeps the lines from it, since the objects of the two differ.
    """
    with running_sink(settings, name, failpoints="zombie") as zombie:
        await publish_requests(settings, analysed_request(["before"]))
        await until_equal(settings, STORED[name], 1)
        armed = zombie.arm(f"{name}_sink.{edge}", "stop")
        held = [analysed_request([f"held {n}"]) for n in range(3)]
        await publish_requests(settings, analysed_request([]), *held)
        async with asyncio.timeout(60):
            while armed.exists():
                await asyncio.sleep(0.02)
        await publish_requests(settings, *[analysed_request([f"not held {n}"]) for n in range(3)])
        with running_sink(dataclasses.replace(settings, sink_instance="2"), name):
            await until_equal(settings, STORED[name], 7, seconds=60)
        async with owner_connection(settings) as connection:
            await connection.execute("DELETE FROM applied_requests")
            before = await connection.fetch(
                "SELECT partition, next_offset FROM consumer_offsets ORDER BY topic, partition"
            )
        zombie.send(signal.SIGCONT)
        await publish_requests(settings, analysed_request(["after"]), partition=1)
        await until_equal(settings, STORED[name], 8, seconds=60)
        async with owner_connection(settings) as connection:
            after = await connection.fetch(
                "SELECT partition, next_offset FROM consumer_offsets ORDER BY topic, partition"
            )
        assert all(now["next_offset"] >= then["next_offset"] for now, then in zip(after, before, strict=True))
    await assert_exact(settings, name, 8, requests=9)


@pytest.mark.parametrize(
    ("name", "edge"), [("postgres", "after_offsets"), ("postgres", "before_commit"), ("parquet", "before_commit")]
)
async def test_a_sink_frozen_with_its_transaction_open_holds_nobody_up(
    settings: Settings, name: str, edge: str
) -> None:
    """It has the row locks of its offsets: the server ends its transaction, and the next sink goes on."""
    with running_sink(settings, name, failpoints="frozen") as frozen:
        await publish_requests(settings, analysed_request(["before"]))
        await until_equal(settings, STORED[name], 1)
        await reach(frozen, f"{name}_sink.{edge}", "stop", *[f"held {n}" for n in range(5)])
        with running_sink(dataclasses.replace(settings, sink_instance="2"), name):
            await until_equal(settings, STORED[name], 6, seconds=90)
            frozen.send(signal.SIGCONT)
            for partition in range(4):
                await publish_requests(settings, analysed_request(["after"]), partition=partition)
            await until_equal(settings, STORED[name], 10, seconds=60)
    await assert_exact(settings, name, 10, requests=10)


@pytest.mark.parametrize("name", SINKS)
async def test_a_table_locked_by_a_migration_is_waited_for(settings: Settings, name: str) -> None:
    table = {"postgres": "scenario_logs", "parquet": "archive_objects"}[name]
    with running_sink(settings, name, health=True) as sink:
        await publish_requests(settings, analysed_request(["before"]))
        await until_equal(settings, STORED[name], 1)
        async with owner_connection(settings) as connection, connection.transaction():
            await connection.execute(f"LOCK TABLE {table}")
            await publish_requests(settings, *[analysed_request([f"line {n}"]) for n in range(20)])
            report = await sink.until_health(lambda report: "retrying" in report["detail"])
            assert report["detail"]["retrying"] in ("LockNotAvailableError", "TimeoutError")
            assert not report["ready"]
        await until_equal(settings, STORED[name], 21)
        await sink.until_health(lambda report: bool(report["ready"]))
    await assert_exact(settings, name, 21, requests=21)


@pytest.mark.parametrize("name", SINKS)
async def test_a_topic_made_anew_is_read_from_its_start(settings: Settings, name: str) -> None:
    with running_sink(settings, name) as sink:
        await publish_requests(settings, *[analysed_request([f"old {n}"]) for n in range(5)])
        await until_equal(settings, STORED[name], 5)
        old_id = (await topic_ids(settings))[topic_name(settings, ANALYSED)]
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
        await admin.start()
        await admin.delete_topics([topic_name(settings, ANALYSED)])
        await admin.close()
        async with asyncio.timeout(60):
            while (await topic_ids(settings)).get(topic_name(settings, ANALYSED)) in (None, old_id):
                await create_topics(settings)
        await publish_requests(settings, *[analysed_request([f"new {n}"]) for n in range(3)])
        await until_equal_with_restarts(sink, STORED[name], 8)
    await assert_exact(settings, name, 8, requests=8)
    offsets = "SELECT count(DISTINCT topic_id) FROM consumer_offsets WHERE topic LIKE '%logs.analysed'"
    await until_equal(settings, offsets, 2)


@pytest.mark.parametrize("name", SINKS)
async def test_records_that_expired_unread_stop_the_sink_each_time(settings: Settings, name: str) -> None:
    with running_sink(settings, name):
        await publish_requests(settings, analysed_request(["stored"]))
        await until_equal(settings, STORED[name], 1)
    await publish_requests(settings, *[analysed_request([f"line {n}"]) for n in range(5)])
    await expire_before(settings, topic_name(settings, ANALYSED), 4)
    for _ in range(2):
        with running_sink(settings, name) as sink:
            assert await asyncio.to_thread(sink.wait, 40) == 1
    await until_equal(settings, STORED[name], 1)
