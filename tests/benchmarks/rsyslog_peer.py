"""rsyslog → Kafka → rsyslog → Postgres: C code that moves the same lines and looks at none."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import socket
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import msgspec

from tests.benchmarks.log_lines import make_log
from tests.benchmarks.observe_processes import ProcessObserver
from tests.running_stack import RunningStack, free_ports

LINES = 400_000
_DISTINCT_LINES = 4_000
_WARM_UP_LINES = 20_000
_MODULES = ("imtcp", "imkafka", "omkafka", "ompgsql", "mmjsonparse")
_DRAIN_SECONDS = 180.0
_TABLE = """
    CREATE TABLE rsyslog_logs (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        source text NOT NULL, level text NOT NULL, message text NOT NULL
    )
"""
_RECEIVE = """
global(workDirectory="{folder}")
module(load="imtcp")
module(load="omkafka")
template(name="line" type="string" string="%msg%")
main_queue(queue.type="LinkedList" queue.size="100000" queue.dequeueBatchSize="1000")
ruleset(name="receive" queue.type="Direct") {{
  action(type="omkafka" broker=["{kafka}"] topic="{topic}" template="line" partitions.auto="on" resubmitOnFailure="on"
    confParam=["acks=all", "queue.buffering.max.ms=5", "queue.buffering.max.messages=200000"]
    queue.type="LinkedList" queue.size="100000" queue.dequeueBatchSize="1000" queue.timeoutEnqueue="60000")
}}
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="receive" supportOctetCountedFraming="off")
"""
_STORE = """
global(workDirectory="{folder}")
module(load="imkafka")
module(load="mmjsonparse")
module(load="ompgsql")
template(name="insert" type="list" option.stdsql="on") {{
  constant(value="insert into rsyslog_logs (source, level, message) values ('")
  property(name="$!source") constant(value="','") property(name="$!level") constant(value="','")
  property(name="$!message") constant(value="')")
}}
ruleset(name="store") {{
  action(type="mmjsonparse" cookie="")
  action(type="ompgsql" server="{host}" serverport="{database_port}" db="{database}" user="{user}" pass="{password}"
    template="insert"
    queue.type="LinkedList" queue.size="20000" queue.dequeueBatchSize="1000" queue.timeoutEnqueue="60000")
}}
input(type="imkafka" broker=["{kafka}"] topic="{topic}" consumergroup="{topic}" ruleset="store" parseHostname="off"
  confParam=["auto.offset.reset=earliest"])
"""


class RsyslogResult(msgspec.Struct):
    lines: int
    lines_per_second: float
    """From the first line sent to the last committed."""
    cpu_us_per_line: float


def rsyslog_is_installed() -> bool:
    folders = [*Path("/usr/lib").glob("*/rsyslog"), Path("/usr/lib/rsyslog"), Path("/usr/lib64/rsyslog")]
    modules = all(any((folder / f"{module}.so").exists() for folder in folders) for module in _MODULES)
    return shutil.which("rsyslogd") is not None and modules


async def measure_rsyslog(
    stack: RunningStack, connection: asyncpg.Connection[asyncpg.Record], topic: str
) -> RsyslogResult:
    """Raises RuntimeError where its lines don't arrive."""
    await connection.execute(_TABLE)
    (port,) = free_ports(1)
    servers = {process["name"]: process["pid"] for process in stack.status()}
    with tempfile.TemporaryDirectory(prefix="mockupaws-rsyslog-") as folder:
        processes = {}
        for name, text in (("receive", _RECEIVE), ("store", _STORE)):
            configuration = _configure(Path(folder, name), text, stack, topic, port)
            processes[f"rsyslog {name}"] = await asyncio.create_subprocess_exec(
                "rsyslogd", "-n", "-f", str(configuration), "-i", str(configuration.with_suffix(".pid"))
            )
        try:
            await _wait_for_port(port)
            await asyncio.to_thread(_send, port, _WARM_UP_LINES)
            await _wait_for_rows(connection, _WARM_UP_LINES)
            pids = {name: process.pid for name, process in processes.items()}
            observer = ProcessObserver({name: servers[name] for name in ("kafka", "postgres")} | pids)
            observer.start()
            began = time.monotonic()
            await asyncio.to_thread(_send, port, LINES)
            await _wait_for_rows(connection, _WARM_UP_LINES + LINES)
            seconds = time.monotonic() - began
            used = sum(use.cpu_seconds for use in observer.stop().values())
        finally:
            for process in processes.values():
                process.terminate()
            for process in processes.values():
                await process.wait()
    result = RsyslogResult(LINES, LINES / seconds, used / LINES * 1e6)
    print(f"{LINES:,} lines: {result.lines_per_second:,.0f} lines/s, CPU {result.cpu_us_per_line:.1f} µs a line")
    return result


def _configure(folder: Path, text: str, stack: RunningStack, topic: str, port: int) -> Path:
    database = urlsplit(stack.settings.postgres_owner_url)
    folder.mkdir()
    configuration = folder / "rsyslog.conf"
    configuration.touch(mode=0o600)  # it holds the database's password
    configuration.write_text(
        text.format(
            folder=folder,
            kafka=stack.settings.kafka_bootstrap_servers,
            topic=topic,
            port=port,
            host=database.hostname,
            database_port=database.port,
            database=database.path.removeprefix("/"),
            user=database.username,
            password=database.password or "none",
        )
    )
    return configuration


def _send(port: int, lines: int) -> None:
    choose = random.Random(7)
    data = b"".join(json.dumps(make_log(choose)).encode() + b"\n" for _ in range(_DISTINCT_LINES))
    with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
        for _ in range(lines // _DISTINCT_LINES):
            connection.sendall(data)


async def _wait_for_port(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            writer.close()
            return


async def _wait_for_rows(connection: asyncpg.Connection[asyncpg.Record], rows: int) -> None:
    deadline = time.monotonic() + _DRAIN_SECONDS
    while (stored := await connection.fetchval("SELECT coalesce(max(id), 0) FROM rsyslog_logs")) < rows:
        if time.monotonic() > deadline:
            raise RuntimeError(f"rsyslog stored {stored} of {rows} lines")
        await asyncio.sleep(0.1)
