"""Whatever is killed, paused or taken back in time: each line stands once in Postgres and once in the archive."""

from __future__ import annotations

import asyncio
import dataclasses
import signal

import pytest

from mockupaws.runtime.kafka import start_producer, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.analysed import encode_analysed
from mockupaws.schemas.topics import ANALYSED
from tests.integration.sinks.sink_process import (
    analysed_request,
    owner_connection,
    publish_requests,
    running_sink,
    until_equal,
)
from tests.integration.sinks.stored import STORED, archived_ids, assert_exact, counts


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """Small transactions and objects, so that a kill meets every step of one."""
    return dataclasses.replace(
        settings, sink_transaction_max_lines=1_000, parquet_flush_seconds=0.1, parquet_flush_lines=1_000
    )


@pytest.mark.parametrize("name", ["postgres", "parquet"])
async def test_kill_9_in_the_middle_loses_and_repeats_nothing(quick: Settings, name: str) -> None:
    records, lines = 240, 100
    producer = await start_producer(quick, "test")

    async def feed() -> None:
        for number in range(records):
            value = encode_analysed([analysed_request([f"line {n} of {number}" for n in range(lines)])])
            await producer.send_and_wait(
                topic_name(quick, ANALYSED), value, partition=number % 4, headers=[("schema_version", b"1")]
            )
            await asyncio.sleep(0.02)

    feeding = asyncio.create_task(feed())
    with running_sink(quick, name) as sink:
        async with owner_connection(quick) as connection:
            for kill in range(1, 4):
                due = kill * records * lines // 6
                while int(await connection.fetchval(STORED[name])) < due:
                    await asyncio.sleep(0.01)
                sink.kill()
                sink.start()
        await feeding
        await until_equal(quick, STORED[name], records * lines)
    await producer.stop()

    if name == "postgres":
        assert await counts(quick) == dict.fromkeys(("rows", "ids", "rollup", "receipts"), records * lines)
    else:
        ids = await archived_ids(quick)
        assert len(ids) == len(set(ids)) == records * lines


@pytest.mark.parametrize("name", ["postgres", "parquet"])
async def test_a_paused_sink_whose_partitions_moved_on_writes_nothing(quick: Settings, name: str) -> None:
    """Frozen for longer than its session, it wakes with records it has read and another sink has stored."""
    zombie = dataclasses.replace(quick, sink_instance="zombie")
    with running_sink(zombie, name) as first:
        await publish_requests(quick, analysed_request(["before"]))
        await until_equal(quick, STORED[name], 1)
        first.send(signal.SIGSTOP)
        await publish_requests(quick, *[analysed_request([f"while paused {n}"]) for n in range(50)])
        with running_sink(quick, name):
            await until_equal(quick, STORED[name], 51)
            first.send(signal.SIGCONT)
            await publish_requests(quick, *[analysed_request([f"after {n}"]) for n in range(50)], partition=1)
            await publish_requests(quick, *[analysed_request([f"after {n}"]) for n in range(50)], partition=0)
            await until_equal(quick, STORED[name], 151)
    if name == "postgres":
        assert await counts(quick) == dict.fromkeys(("rows", "ids", "rollup", "receipts"), 151)
    else:
        ids = await archived_ids(quick)
        assert len(ids) == len(set(ids)) == 151


async def test_a_database_that_went_back_in_time_gets_the_rest_again_from_kafka(quick: Settings) -> None:
    with running_sink(quick, "postgres") as sink:
        await publish_requests(quick, *[analysed_request([f"kept {n}"]) for n in range(10)])
        await until_equal(quick, STORED["postgres"], 10)
        async with owner_connection(quick) as connection:
            offsets = await connection.fetch("SELECT * FROM consumer_offsets")
            ids = [row["request_id"] for row in await connection.fetch("SELECT request_id FROM applied_requests")]
            await connection.execute("CREATE TEMP TABLE metrics_before AS SELECT * FROM scenario_metrics")
            await publish_requests(quick, *[analysed_request([f"lost {n}"]) for n in range(10)])
            await until_equal(quick, STORED["postgres"], 20)
            async with connection.transaction():  # what an asynchronous failover or a restore leaves behind
                await connection.execute("DELETE FROM applied_requests WHERE NOT request_id = ANY ($1::uuid[])", ids)
                await connection.execute("DELETE FROM ingest_receipts WHERE NOT request_id = ANY ($1::uuid[])", ids)
                await connection.execute("DELETE FROM scenario_logs WHERE message_preview LIKE 'lost %'")
                await connection.execute("DELETE FROM scenario_metrics")
                await connection.execute("INSERT INTO scenario_metrics SELECT * FROM metrics_before")
                for row in offsets:
                    await connection.execute(
                        "UPDATE consumer_offsets SET next_offset = $1"
                        " WHERE sink = $2 AND topic_id = $3 AND partition = $4",
                        row["next_offset"],
                        row["sink"],
                        row["topic_id"],
                        row["partition"],
                    )
        await publish_requests(quick, analysed_request(["wakes the sink"]))
        await until_equal(quick, STORED["postgres"], 21)
        assert sink.process is not None
        assert sink.process.poll() is None, "it went on without a restart"
    assert await counts(quick) == dict.fromkeys(("rows", "ids", "rollup", "receipts"), 21)


@pytest.mark.parametrize("name", ["postgres", "parquet"])
async def test_offsets_alone_taken_back_bring_only_repeats(quick: Settings, name: str) -> None:
    """One request has no line, so that nothing but `applied_requests` keeps it from being counted again."""
    requests = [*[analysed_request([f"line {n}"]) for n in range(10)], analysed_request([])]
    with running_sink(quick, name):
        await publish_requests(quick, *requests)
        await until_equal(quick, "SELECT max(next_offset) FROM consumer_offsets", 11)
    async with owner_connection(quick) as connection:
        await connection.execute("UPDATE consumer_offsets SET next_offset = 0")
    with running_sink(quick, name):
        await until_equal(quick, "SELECT max(next_offset) FROM consumer_offsets", 11)
    await assert_exact(quick, name, 10, requests=11)


async def test_repeats_of_forgotten_requests_are_recognised_by_their_rows(quick: Settings) -> None:
    """As after maintenance forgot them, and beside rows Postgres refuses for another reason."""
    requests = [analysed_request([f"line {n}", "more"]) for n in range(10)]
    with running_sink(quick, "postgres"):
        await publish_requests(quick, *requests)
        await until_equal(quick, STORED["postgres"], 20)
        async with owner_connection(quick) as connection:
            await connection.execute("DELETE FROM applied_requests")
        await publish_requests(quick, *requests, *requests, analysed_request(["new"]), analysed_request(["NUL \x00"]))
        await until_equal(quick, STORED["postgres"], 21)
        await until_equal(quick, "SELECT count(*) FROM dead_letters", 1)
        await until_equal(quick, "SELECT count(*) FROM applied_requests", 11)
    assert await counts(quick) == dict.fromkeys(("rows", "ids", "rollup", "receipts"), 21)


async def test_an_offset_outside_the_log_stops_the_sink_and_changes_nothing(quick: Settings) -> None:
    with running_sink(quick, "postgres"):
        await publish_requests(quick, analysed_request(["one"]))
        await until_equal(quick, STORED["postgres"], 1)
    async with owner_connection(quick) as connection:
        await connection.execute("UPDATE consumer_offsets SET next_offset = 1000 WHERE next_offset = 1")
    with running_sink(quick, "postgres") as sink:
        assert await asyncio.to_thread(sink.wait, 30) == 1
    await until_equal(quick, "SELECT max(next_offset) FROM consumer_offsets", 1000)


async def test_sigterm_ends_in_time_with_status_0(quick: Settings) -> None:
    with running_sink(quick, "postgres") as sink:
        await publish_requests(quick, analysed_request(["one"]))
        await until_equal(quick, STORED["postgres"], 1)
        sink.send(signal.SIGTERM)
        assert await asyncio.to_thread(sink.wait, 10) == 0
