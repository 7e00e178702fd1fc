"""`make bench-peers`: ours and its peers in one run, on the same Kafka and Postgres, with the same lines.

Ours and the naive pipeline (FastAPI, a record per line, `re`, tiktoken, executemany) get rising arrival rates over the
same HTTP load generator, until one isn't held: the highest that was, and what a line costs there. rsyslog, where it is
installed with its Kafka and Postgres modules, gets the same lines over TCP as fast as it takes them, without answers;
it analyses nothing. So does Karapace with Kafka Connect, where it is installed (tests/benchmarks/karapace_peer.py says
what that takes), over HTTP at rising rates. Printed: lines/s, CPU µs a line (servers included, the load generator left out), and ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx
import msgspec

from tests.benchmarks.end_to_end import Ours
from tests.benchmarks.karapace_peer import TOPIC as KARAPACE_TOPIC
from tests.benchmarks.karapace_peer import karapace_is_installed, karapace_peer
from tests.benchmarks.load_generator import Plan
from tests.benchmarks.make_topic import make_topic
from tests.benchmarks.measure_rate import RateResult, System, machine, print_rate, run_rate
from tests.benchmarks.rsyslog_peer import RsyslogResult, measure_rsyslog, rsyslog_is_installed
from tests.running_stack import RunningStack, free_ports, running_stack

OUR_RATES = (20_000, 24_000, 28_000, 32_000, 36_000, 40_000, 44_000, 48_000, 56_000, 64_000)
KARAPACE_RATES = (4_000, 6_000, 7_000, 8_000, 9_000, 10_000, 12_000)
NAIVE_RATES = (4_000, 5_000, 6_000, 7_000, 8_000, 10_000, 12_000)
_NAIVE_TABLE = """
    CREATE TABLE naive_logs (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        scenario_id text NOT NULL, source text NOT NULL, level text NOT NULL, message text NOT NULL,
        attributes text NOT NULL, tokens int NOT NULL
    )
"""
_TOPIC = "naive-logs"
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Naive:
    """Two processes of tests/benchmarks/naive_peer, beside the stack's servers."""

    stack: RunningStack
    connection: asyncpg.Connection[asyncpg.Record]
    url: str
    processes: dict[str, int]

    @property
    def pids(self) -> dict[str, int]:
        servers = {process["name"]: process["pid"] for process in self.stack.status()}
        return {name: servers[name] for name in ("kafka", "postgres")} | self.processes

    def plan(self, rate: int, seconds: float) -> Plan:
        return Plan(self.url, None, "none", "00000000-0000-4000-8000-000000000001", rate, seconds)

    async def committed(self) -> int:
        return int(await self.connection.fetchval("SELECT coalesce(max(id), 0) FROM naive_logs"))


@contextlib.asynccontextmanager
async def naive_peer(stack: RunningStack, connection: asyncpg.Connection[asyncpg.Record]) -> AsyncIterator[Naive]:
    settings = stack.settings
    await connection.execute(_NAIVE_TABLE)
    await make_topic(stack, _TOPIC)
    (port,) = free_ports(1)
    environ = os.environ | {
        "NAIVE_KAFKA": settings.kafka_bootstrap_servers,
        "NAIVE_TOPIC": _TOPIC,
        "NAIVE_POSTGRES": settings.postgres_owner_url,
        "NAIVE_PORT": str(port),
    }
    processes = {
        name: await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"tests.benchmarks.naive_peer.{name}", env=environ
        )
        for name in ("gateway", "worker")
    }
    try:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient() as client, asyncio.timeout(_START_SECONDS):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"{url}/ready")).status_code == 200:
                        break
                await asyncio.sleep(0.1)
        yield Naive(stack, connection, url, {f"naive {name}": process.pid for name, process in processes.items()})
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            await process.wait()


async def highest_held(system: System, rates: Sequence[int], seconds: float) -> RateResult | None:
    """None where not even the first was."""
    held = None
    for rate in rates:
        result = await run_rate(system, rate, seconds)
        print_rate(result, lambda text: print(text, flush=True))
        if not result.held:
            break
        held = result
    return held


class PeersResult(msgspec.Struct):
    when: str
    machine: str
    ours: RateResult
    naive: RateResult
    karapace: RateResult | None
    """None: it isn't installed, or held not even the lowest rate."""
    rsyslog: RsyslogResult | None
    """None: it isn't installed."""


async def run(stack: RunningStack, seconds: float) -> PeersResult:
    print(f"machine: {machine()}")
    connection = await asyncpg.connect(stack.settings.postgres_owner_url)
    try:
        system = Ours(stack, connection, stack.make_scenario("Peers"))
        await run_rate(system, 5_000, 15.0)  # the broker's compiler and every cache are warm
        print("## ours")
        ours = await highest_held(system, OUR_RATES, seconds)
        print("## naive: FastAPI, a record per line, re, tiktoken, executemany")
        async with naive_peer(stack, connection) as peer:
            await run_rate(peer, 1_000, 10.0)
            naive = await highest_held(peer, NAIVE_RATES, seconds)
        karapace = rsyslog = None
        if karapace_is_installed():
            print(
                "## Karapace, Kafka Connect, Debezium's JDBC sink: a record and a row per line, no analysis", flush=True
            )
            await make_topic(stack, KARAPACE_TOPIC)
            async with karapace_peer(stack, connection) as proxy:
                await run_rate(proxy, 1_000, 15.0)
                karapace = await highest_held(proxy, KARAPACE_RATES, seconds)
        if rsyslog_is_installed():
            print("## rsyslog: TCP without answers, no analysis", flush=True)
            await make_topic(stack, "rsyslog-logs")
            rsyslog = await measure_rsyslog(stack, connection, "rsyslog-logs")
    finally:
        await connection.close()
    if ours is None or naive is None:
        raise SystemExit("not even the lowest rate was held: is something else running here?")
    when = datetime.now(UTC).isoformat(timespec="seconds")  # noqa: TID251 (a report's date)
    return PeersResult(when, machine(), ours, naive, karapace, rsyslog)


def table(result: PeersResult) -> str:
    rows = [
        ("mockupAWS", result.ours.committed_per_second, result.ours.cpu_us_per_line),
        ("naive pipeline", result.naive.committed_per_second, result.naive.cpu_us_per_line),
    ]
    if result.karapace is not None:
        cost = result.karapace.cpu_us_per_line
        rows.append(("Karapace, Kafka Connect, no analysis", result.karapace.committed_per_second, cost))
    if result.rsyslog is not None:
        rows.append(("rsyslog, no analysis", result.rsyslog.lines_per_second, result.rsyslog.cpu_us_per_line))
    _, rate, cost = rows[0]
    lines = ["| system | lines/s | CPU µs a line | ours: lines/s | ours: CPU |", "|---|---|---|---|---|"]
    for name, its_rate, its_cost in rows:
        lines.append(
            f"| {name} | {its_rate:,.0f} | {its_cost:.1f} | {rate / its_rate:.2f} × | {its_cost / cost:.2f} × less |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_peers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="length of each window")
    parser.add_argument("--json", type=Path, default=Path("build/bench/peers.json"), help="where the result goes")
    arguments = parser.parse_args()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="mockupaws-peers-") as folder,
        running_stack(Path(folder) / "home") as stack,
    ):
        result = asyncio.run(run(stack, arguments.seconds))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    print(table(result))
    if result.rsyslog is None:
        print(f"rsyslog: {'its modules are missing' if shutil.which('rsyslogd') else 'not installed'}, left out")
    print(f"result: {arguments.json}, after {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
