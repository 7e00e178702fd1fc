"""Karapace's REST proxy → Kafka → Kafka Connect with Debezium's JDBC sink → Postgres: a record and a row per line, no analysis.

Measured where all of it is installed:
- `karapace_rest_proxy` on the PATH (https://github.com/Aiven-Open/karapace);
- CONNECT_JARS: a folder with `org.apache.kafka:connect-runtime`, `connect-json`, `connect-transforms` and what they need;
- CONNECT_PLUGINS: a folder with one of `io.debezium:debezium-connector-jdbc`, `org.postgresql:postgresql` and what they need,
  but for Jackson and SLF4J, which Connect brings in another version.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx

from tests.benchmarks.load_generator import Plan
from tests.running_stack import RunningStack, free_ports

TOPIC = "karapace-logs"
_REST_PROXY = "karapace_rest_proxy"
_START_SECONDS = 120.0
_STOP_SECONDS = 20.0
_TABLE = """
    CREATE TABLE karapace_logs (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        scenario_id text NOT NULL, source text NOT NULL, level text NOT NULL, message text NOT NULL
    )
"""
_WORKER = """
bootstrap.servers={kafka}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=true
offset.storage.file.filename={folder}/offsets
plugin.path={plugins}
listeners=http://127.0.0.1:{port}
consumer.max.poll.records=2000
consumer.auto.offset.reset=earliest
offset.flush.interval.ms=5000
"""
_CONNECTOR = """
name={topic}
connector.class=io.debezium.connector.jdbc.JdbcSinkConnector
tasks.max=1
topics={topic}
connection.url=jdbc:postgresql://{host}:{database_port}/{database}?reWriteBatchedInserts=true
connection.username={user}
connection.password={password}
insert.mode=insert
primary.key.mode=none
schema.evolution=none
batch.size=2000
collection.name.format=karapace_logs
"""


@dataclass(frozen=True)
class Karapace:
    stack: RunningStack
    connection: asyncpg.Connection[asyncpg.Record]
    url: str
    processes: dict[str, int]

    @property
    def pids(self) -> dict[str, int]:
        servers = {process["name"]: process["pid"] for process in self.stack.status()}
        return {name: servers[name] for name in ("kafka", "postgres")} | self.processes

    def plan(self, rate: int, seconds: float) -> Plan:
        return Plan(self.url, None, "none", "0" * 32, rate, seconds, connections=8, form="karapace")

    async def committed(self) -> int:
        return int(await self.connection.fetchval("SELECT coalesce(max(id), 0) FROM karapace_logs"))


def karapace_is_installed() -> bool:
    folders = [Path(os.environ.get(name, "missing")) for name in ("CONNECT_JARS", "CONNECT_PLUGINS")]
    return all(shutil.which(command) for command in (_REST_PROXY, "java")) and all(map(Path.is_dir, folders))


@contextlib.asynccontextmanager
async def karapace_peer(stack: RunningStack, connection: asyncpg.Connection[asyncpg.Record]) -> AsyncIterator[Karapace]:
    """Its topic is there already. Raises TimeoutError where one of its processes doesn't answer."""
    await connection.execute(_TABLE)
    rest_port, connect_port = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="mockupaws-karapace-") as folder:
        worker, connector = _configure(Path(folder), stack, connect_port)
        environ = os.environ | {
            "KARAPACE_BOOTSTRAP_URI": stack.settings.kafka_bootstrap_servers,
            "KARAPACE_HOST": "127.0.0.1",
            "KARAPACE_PORT": str(rest_port),
            "KARAPACE_KARAPACE_REST": "true",
            "KARAPACE_LOG_LEVEL": "WARNING",
            "KARAPACE_ACCESS_LOGS_DEBUG": "false",
            "KARAPACE_PRODUCER_ACKS": "all",
            "KARAPACE_PRODUCER_LINGER_MS": "2",
        }
        java = ("java", "-Xmx512m", "-cp", f"{os.environ['CONNECT_JARS']}/*")
        standalone = (*java, "org.apache.kafka.connect.cli.ConnectStandalone", str(worker), str(connector))
        processes = {"karapace": await _start(_REST_PROXY, env=environ), "connect": await _start(*standalone)}
        try:
            url = f"http://127.0.0.1:{rest_port}"
            await _answers(f"{url}/topics")
            await _answers(f"http://127.0.0.1:{connect_port}/connectors/{TOPIC}/status")
            yield Karapace(stack, connection, url, {name: process.pid for name, process in processes.items()})
        finally:
            for process in processes.values():
                await _end(process)


def _configure(folder: Path, stack: RunningStack, port: int) -> tuple[Path, Path]:
    database = urlsplit(stack.settings.postgres_owner_url)
    values = {
        "kafka": stack.settings.kafka_bootstrap_servers,
        "folder": folder,
        "plugins": os.environ["CONNECT_PLUGINS"],
        "port": port,
        "topic": TOPIC,
        "host": database.hostname,
        "database_port": database.port,
        "database": database.path.removeprefix("/"),
        "user": database.username,
        "password": database.password or "none",
    }
    files = folder / "worker.properties", folder / "connector.properties"
    for file, text in zip(files, (_WORKER, _CONNECTOR), strict=True):
        file.touch(mode=0o600)  # one holds the database's password
        file.write_text(text.format(**values))
    return files


async def _start(*command: str, env: Mapping[str, str] = os.environ) -> asyncio.subprocess.Process:
    nowhere = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(*command, env=env, stdout=nowhere, stderr=nowhere)


async def _answers(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(_START_SECONDS):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(url)).status_code == 200:
                    return
            await asyncio.sleep(0.2)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
