"""A store that doesn't take anything pauses the sink; a consumer that doesn't bring anything ends it."""

from __future__ import annotations

import asyncio
import dataclasses
import urllib.request

import psutil

from mockupaws.runtime.settings import Settings
from mockupaws.schemas.analysed import encode_analysed
from tests.adversity.fault_proxy import FaultProxy
from tests.adversity.faulty_flow import Faults
from tests.integration.ingest_gateway.conftest import behind_proxy, proxied_kafka
from tests.integration.sinks.sink_process import (
    SinkProcess,
    analysed_request,
    owner_connection,
    publish,
    publish_requests,
    running_sink,
    until_equal,
)
from tests.integration.sinks.stored import STORED, assert_exact

__all__ = ["behind_proxy", "proxied_kafka"]  # fixtures
MIB = 1024 * 1024


def rss(sink: SinkProcess) -> int:
    assert sink.process is not None
    return int(psutil.Process(sink.process.pid).memory_info().rss)


def retries(sink: SinkProcess) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{sink.settings.health_port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("mockupaws_sink_retries_total{"))


async def test_a_backlog_no_memory_could_hold_waits_in_kafka_while_postgres_takes_nothing(settings: Settings) -> None:
    """200 MiB of lines that compress to next to nothing: what is fetched inflates a hundredfold."""
    records, lines = 800, 64
    settings = dataclasses.replace(settings, sink_batch_max_bytes=4 * MIB)
    with running_sink(settings, "postgres", health=True) as sink:
        await publish_requests(settings, analysed_request(["before"]))
        await until_equal(settings, STORED["postgres"], 1)
        before = highest = rss(sink)
        async with owner_connection(settings) as connection, connection.transaction():
            await connection.execute("LOCK TABLE scenario_logs")
            for partition in range(4):
                values = (
                    encode_analysed([analysed_request(["x" * 4000 for _ in range(lines)])]) for _ in range(records // 4)
                )
                await publish(settings, values, partition)
            async with asyncio.timeout(90):
                while await asyncio.to_thread(retries, sink) < 2:
                    highest = max(highest, rss(sink))
                    await asyncio.sleep(0.1)
        stored = asyncio.create_task(until_equal(settings, STORED["postgres"], records * lines + 1, seconds=90))
        while not stored.done():
            highest = max(highest, rss(sink))
            await asyncio.sleep(0.1)
        await stored
    print(f"RSS {before / MIB:.0f} MiB before, {highest / MIB:.0f} MiB at most")
    assert highest - before < 100 * MIB
    await assert_exact(settings, "postgres", records * lines + 1, requests=records + 1)


async def test_a_consumer_whose_fetches_stall_is_found_by_its_lag_and_ends(
    behind_proxy: Settings,
    proxied_kafka: FaultProxy,
) -> None:
    settings = behind_proxy
    with running_sink(settings, "postgres", health=True) as sink:
        await publish_requests(settings, analysed_request(["before"]))
        await until_equal(settings, STORED["postgres"], 1)
        for connection in proxied_kafka.connections:  # the sink's: a new one works
            connection.use(to_client=Faults(blackhole=True))
        await publish_requests(settings, analysed_request(["after"]))
        assert await asyncio.to_thread(sink.wait, 90) == 1
        sink.start()
        await until_equal(settings, STORED["postgres"], 2)
    await assert_exact(settings, "postgres", 2, requests=2)
