"""A Kafka broker that can be taken away from the gateway alone: it is reached through a proxy with faults."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mockupaws.runtime.embedded.kafka_server import KafkaServer
from mockupaws.runtime.kafka import create_topics
from mockupaws.runtime.settings import Settings
from tests.adversity.fault_proxy import FaultProxy
from tests.running_stack import free_ports, wait_until

START_SECONDS = 240.0
"""A JVM beside others on a busy machine: it took more than 60 at a load of 20 on two cores."""
STOP_SECONDS = 120.0


@pytest.fixture(scope="session")
def proxied_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    folder = tmp_path_factory.mktemp("proxied_kafka")
    port, controller_port, proxied_port = free_ports(3)
    with FaultProxy(proxied_port) as proxy:
        server = KafkaServer(folder, port, controller_port, {proxied_port: proxy.port})
        server.prepare()
        log_file = folder / "kafka.log"
        plan = server.plan("kafka", log_file)
        with log_file.open("ab") as output:
            process = subprocess.Popen(plan.command, env=dict(plan.environ), stdout=output, stderr=output)
        try:
            wait_until(lambda: asyncio.run(server.is_ready()), "the broker behind the proxy answers", START_SECONDS)
            yield proxy
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


@pytest.fixture
async def behind_proxy(settings: Settings, proxied_kafka: FaultProxy) -> AsyncIterator[Settings]:
    """The test's settings, with the broker behind the proxy."""
    made = dataclasses.replace(settings, kafka_bootstrap_servers=f"127.0.0.1:{proxied_kafka.port}")
    await create_topics(made)
    yield made
    proxied_kafka.heal()


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.log"
