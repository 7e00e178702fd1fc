"""The real process: keeps tables in order, samples patterns, and stops when asked; without Kafka its upkeep goes on."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil

from mockupaws.runtime.settings import Settings
from tests.integration.sinks.sink_process import analysed_request, owner_connection, publish_requests
from tests.running_stack import free_ports

PATTERNS = "SELECT count(*) FROM scenario_patterns WHERE template = 'order <n> accepted'"


@contextmanager
def maintenance(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "mockupaws.maintenance"], env=settings.to_environ())
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


async def until_ready(settings: Settings) -> None:
    async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                if (await client.get(f"http://127.0.0.1:{settings.health_port}/health/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


async def test_it_samples_patterns_and_stops_when_asked(settings: Settings) -> None:
    settings = dataclasses.replace(settings, health_port=free_ports(1)[0])
    with maintenance(settings) as process:
        await until_ready(settings)
        async with owner_connection(settings) as connection, asyncio.timeout(90):
            while not await connection.fetchval(PATTERNS):
                await publish_requests(settings, analysed_request([f"order {n} accepted" for n in range(8)]))
                await asyncio.sleep(1)
        memory = psutil.Process(process.pid).memory_info().rss / 2**20
        assert memory < 120, f"{memory:.0f} MiB"
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 40) == 0


async def test_without_kafka_the_upkeep_goes_on(settings: Settings) -> None:
    nowhere = dataclasses.replace(
        settings, health_port=free_ports(1)[0], kafka_bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}"
    )
    with maintenance(nowhere) as process:
        await until_ready(nowhere)
        assert process.poll() is None
