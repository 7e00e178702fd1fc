"""The processes of the embedded default: which there are, how each is started and known to be ready."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping

from mockupaws.runtime.embedded.installation import LOOPBACK, Installation
from mockupaws.runtime.embedded.kafka_server import KafkaServer
from mockupaws.runtime.embedded.postgres_server import PostgresServer
from mockupaws.runtime.embedded.supervisor import ProcessPlan
from mockupaws.runtime.embedded.valkey_server import ValkeyServer
from mockupaws.runtime.settings import PREFIX

PROBE_SECONDS = 2.0

MODULES = {
    "gateway": "mockupaws.ingest_gateway",
    "processor": "mockupaws.stream_processors",
    "postgres-sink": "mockupaws.sinks.postgres",
    "parquet-sink": "mockupaws.sinks.parquet",
    "api": "mockupaws.api",
    "maintenance": "mockupaws.maintenance",
}
"""Name in `status` → module that `python -m` runs."""


def health_url(installation: Installation, name: str) -> str | None:
    """Where the process tells whether it is ready; None for the servers that aren't ours."""
    settings = installation.settings
    match name:
        case "gateway":
            return f"http://{settings.gateway_host}:{settings.gateway_port}/health/ready"
        case "api":
            return f"http://{settings.api_host}:{settings.api_port}/health/ready"
        case _ if name in MODULES:
            return f"http://{LOOPBACK}:{_health_port(installation, name)}/health/ready"
    return None


def server_plans(installation: Installation, proxied_kafka: Mapping[int, int] | None = None) -> list[ProcessPlan]:
    """Kafka, Postgres and Valkey, set up where they never ran. Blocks for some seconds the first time.

    `proxied_kafka`: see KafkaServer.proxied_ports.
    """
    data, ports = installation.home / "data", installation.ports
    servers: dict[str, KafkaServer | PostgresServer | ValkeyServer] = {
        "kafka": KafkaServer(data / "kafka", ports["kafka"], ports["kafka_controller"], proxied_kafka or {}),
        "postgres": PostgresServer(data / "postgres", ports["postgres"], installation.secrets["postgres_superuser"]),
        "valkey": ValkeyServer(data / "valkey", ports["valkey"]),
    }
    for server in servers.values():
        server.prepare()
    return [server.plan(name, installation.log_file(name)) for name, server in servers.items()]


def own_plans(installation: Installation) -> list[ProcessPlan]:
    return [
        ProcessPlan(
            name=name,
            command=[sys.executable, "-m", module],
            environ=_environ(installation, name),
            log_file=installation.log_file(name),
            is_ready=_answers_ready(installation, name),
        )
        for name, module in MODULES.items()
    ]


def _environ(installation: Installation, name: str) -> dict[str, str]:
    settings = dataclasses.replace(installation.settings, health_port=_health_port(installation, name))
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    return inherited | settings.to_environ()


def _health_port(installation: Installation, name: str) -> int:
    return installation.ports.get(name.replace("-", "_") + "_health", 0)


def _answers_ready(installation: Installation, name: str) -> Callable[[], Awaitable[bool]]:
    url = health_url(installation, name)
    assert url is not None

    async def is_ready() -> bool:
        return await asyncio.to_thread(_answers, url)

    return is_ready


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=PROBE_SECONDS) as answer:  # noqa: S310 (an address of our own)
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False
