"""Reads on 10 million lines over HTTP: pages, searches, figures, exports, the tail, and many readers at once.

`make bench-reads` prints the table; ARGS="--only readers" a part of it. The data set is made first where it isn't there
(some minutes and 8 GB). Windows differ from request to request, so that nothing is answered from the cache.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import asyncpg
import httpx
import psutil
import uvloop

from mockupaws.archive.filter_texts import TextFiltering
from mockupaws.archive.fold_rollups import fold_rollups
from mockupaws.runtime import api_keys
from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.settings import Settings
from tests.benchmarks.many_readers import read_by_many
from tests.benchmarks.read_dataset import END, FIRST, read_dataset, scenario_id, tenant_id
from tests.running_stack import free_ports

REQUESTS = int(os.environ.get("REQUESTS", "100"))
READER_SECONDS = float(os.environ.get("READER_SECONDS", "20"))
WARM_UP_SECONDS = 6.0
"""In which the API's connections come to know the tables; it doesn't count."""
READERS, READS_A_SECOND = 1000, int(os.environ.get("READS_A_SECOND", "300"))
API_WORKERS = int(os.environ.get("API_WORKERS", "2"))
TENANTS = (1, 1, 2, 3, 5, 10, 20, 50)
"""Of which requests are made, in turn; the first has a fifth of all lines."""
READ_BY_MANY = ("page of 100 lines", "summary of 30 days", "series of 30 days by hour")
LAST = datetime(2026, 11, 25, tzinfo=UTC)
MONTH, FORTNIGHT = timedelta(days=30), timedelta(days=14)
_random = random.Random(1)


def window(span: timedelta) -> dict[str, str]:
    to = LAST - timedelta(seconds=_random.randrange(20 * 86_400))
    return {"from": (to - span).isoformat(), "to": to.isoformat()}


CASES: list[tuple[str, str, Callable[[], dict[str, Any]], int]] = [
    ("page of 100 lines", "/logs", lambda: {"to": window(MONTH)["to"]}, 50),
    ("page, level=error", "/logs", lambda: {"to": window(MONTH)["to"], "level": "error"}, 50),
    ("page, q of one line in 20", "/logs", lambda: {"to": window(MONTH)["to"], "q": "deadlock"}, 200),
    ("page, q of one line in 10,000", "/logs", lambda: {"to": window(MONTH)["to"], "q": "quarantine"}, 200),
    ("page, q of no line", "/logs", lambda: {"to": window(MONTH)["to"], "q": f"{_random.getrandbits(64):016x}"}, 200),
    ("summary of 30 days", "/summary", lambda: window(MONTH), 100),
    ("costs of all", "/costs", dict, 100),
    ("sensitivity of all", "/costs/sensitivity", dict, 100),
    ("suggestions for all", "/costs/suggestions", dict, 100),
    ("comparison of all with itself", "/costs/compare", lambda: {"with": "own"}, 100),
    ("series of 30 days by hour", "/metrics", lambda: {**window(MONTH), "step": "1h"}, 100),
    ("series of 30 days by day", "/metrics", lambda: {**window(MONTH), "step": "1d"}, 100),
    ("profile of 14 days", "/profile", lambda: window(FORTNIGHT), 100),
    ("profile of 30 days", "/profile", lambda: window(MONTH), 100),
    ("facets of 30 days", "/logs/facets", lambda: window(MONTH), 100),
    ("hits of 30 days", "/logs/hits", lambda: window(MONTH), 100),
    ("findings of 30 days", "/pii", lambda: window(MONTH), 100),
]
"""What is asked for, and the goal for its p95 in ms."""


PARTS = ("reads", "tail", "export", "readers")


async def main(parts: Collection[str]) -> int:
    async with read_dataset() as installation, _api(installation) as (client, process):
        server = int((installation.home / "data" / "postgres" / "postmaster.pid").read_text().split()[0])
        used = _CpuTimes(process, psutil.Process(server))
        if "reads" in parts:
            await _reads(client, used)
        if "tail" in parts:
            _print("tail, behind the commit", await _tail_delays(installation, client), 2000, "| | |")
        if "export" in parts:
            print("\n| export | lines | lines/s | API memory grew MiB | CPU µs a line: API | Postgres |")
            print("|---|---|---|---|---|---|")
            for form in ("ndjson", "ndjson", "parquet", "csv"):  # the first time lines are read from disk
                await _export(client, process, form, "identity", used)
            for encoding in ("zstd", "gzip"):
                await _export(client, process, "ndjson", encoding, used)
        if "readers" in parts:
            await _readers(client, used)
        print(f"\nload of the machine over the last minute: {os.getloadavg()[0]:.1f}")
    return 0


async def _reads(client: httpx.AsyncClient, used: _CpuTimes) -> None:
    print("\n| read | p50 ms | p95 ms | goal ms | CPU ms: API | CPU ms: Postgres |\n|---|---|---|---|---|---|")
    for name, suffix, params, goal in CASES:
        used.since_last(1)
        times = [await _timed(client, number, suffix, params()) for number in _tenants(REQUESTS)]
        _print(name, times, goal, used.since_last(REQUESTS))
    times = [await _what_if(client, number) for number in _tenants(REQUESTS)]
    _print("what-if of all", times, 100, used.since_last(REQUESTS))
    rare = [(number, await _word_of_one_line(client, number)) for number in _tenants(REQUESTS)]
    used.since_last(1)
    times = [await _timed(client, number, "/logs", {"q": word}) for number, word in rare]
    _print("page, q of one of all lines", times, 200, used.since_last(REQUESTS))


def _tenants(count: int) -> list[int]:
    return [TENANTS[n % len(TENANTS)] for n in range(count)]


def _print(name: str, times: list[float], goal: int, used: str) -> None:
    ranked = sorted(times)
    p50, p95 = statistics.median(ranked), ranked[int(len(ranked) * 0.95)]
    print(f"| {name} | {p50:.0f} | {p95:.0f} | {goal} {used}", flush=True)


class _CpuTimes:
    """Of some processes and all they have started: on a machine that does other things, steadier than times."""

    def __init__(self, *roots: psutil.Process) -> None:
        self._roots = roots
        self._last = self._now()

    def since_last(self, requests: float) -> str:
        """ms a request, as cells of a table."""
        last, self._last = self._last, self._now()
        used = [(now - before) * 1000 / requests for now, before in zip(self._last, last, strict=True)]
        return "".join(f"| {ms:.1f} " for ms in used) + "|"

    def _now(self) -> list[float]:
        return [sum(_seconds(p) for p in (root, *root.children(recursive=True))) for root in self._roots]


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)  # children that have ended


def _memory(process: psutil.Process) -> int:
    return sum(int(each.memory_info().rss) for each in (process, *process.children(recursive=True)))


@contextlib.asynccontextmanager
async def _api(installation: Installation) -> AsyncIterator[tuple[httpx.AsyncClient, psutil.Process]]:
    """The process of the API, and a client with a key of each tenant."""
    settings = dataclasses.replace(
        installation.settings, api_port=free_ports(1)[0], api_workers=API_WORKERS, redis_url=""
    )
    await fold_rollups(settings, END + timedelta(days=1))
    await TextFiltering(settings).run_once(END + timedelta(days=3), seconds=3600)
    keys = await _make_keys(settings)
    process = _start_api(settings)
    limits = httpx.Limits(max_connections=READERS, max_keepalive_connections=READERS)
    url = f"http://127.0.0.1:{settings.api_port}"
    try:
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
            _keys.update(keys)
            give_up = time.monotonic() + 60
            while True:
                assert time.monotonic() < give_up
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get("/health")).status_code == 200:
                        break
                await asyncio.sleep(0.1)
            yield client, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _start_api(settings: Settings) -> subprocess.Popen[bytes]:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("MOCKUPAWS_")}
    return subprocess.Popen([sys.executable, "-m", "mockupaws.api"], env=environ | settings.to_environ())


_keys: dict[int, str] = {}


async def _make_keys(settings: Settings) -> dict[int, str]:
    keys = {}
    connection = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    try:
        await connection.execute("DELETE FROM api_keys")
        for number in sorted(set(TENANTS)):
            key = api_keys.mint(os.urandom(api_keys.RANDOM_BYTES))
            keys[number] = key.text
            await connection.execute(
                "INSERT INTO api_keys (id, tenant_id, name, prefix, secret_hmac, scopes) VALUES ($1, $2, 'b', $3, $4, $5)",
                uuid.uuid4(),
                tenant_id(number),
                key.prefix,
                api_keys.secret_hmac(settings.api_key_pepper, key.secret),
                ["read", "manage"],
            )
    finally:
        await connection.close()
    return keys


def _path(number: int, suffix: str) -> tuple[str, dict[str, str]]:
    return f"/api/v1/scenarios/{scenario_id(number)}{suffix}", {"Authorization": f"Bearer {_keys[number]}"}


async def _timed(client: httpx.AsyncClient, number: int, suffix: str, params: dict[str, Any]) -> float:
    path, headers = _path(number, suffix)
    if params.get("with") == "own":
        params["with"] = str(scenario_id(number))
    return await _time(client.get(path, params=params, headers=headers))


async def _word_of_one_line(client: httpx.AsyncClient, number: int) -> str:
    """The number in one of the tenant's first lines, which hardly another has."""
    path, headers = _path(number, "/logs")
    moment = FIRST + timedelta(days=1, seconds=_random.randrange(86_400))
    page = (await client.get(path, headers=headers, params={"to": moment.isoformat(), "limit": 1})).json()
    numbers: list[str] = re.findall(r"\d{6,}", page["logs"][0]["message"])
    return max(numbers or ["none"], key=len)


async def _what_if(client: httpx.AsyncClient, number: int) -> float:
    path, headers = _path(number, "/what-if")
    body = {"architecture": {"queue": {"batch_size": _random.randrange(1, 11)}}}
    return await _time(client.post(path, json=body, headers=headers))


async def _time(call: Awaitable[httpx.Response]) -> float:
    started = time.perf_counter()
    answered = await call
    assert answered.status_code == 200, answered.text
    return (time.perf_counter() - started) * 1000


async def _export(
    client: httpx.AsyncClient, process: psutil.Process, form: str, encoding: str, used: _CpuTimes
) -> None:
    """Half a million of the first tenant's lines."""
    path, headers = _path(1, "/logs/export")
    headers = {**headers, "Accept-Encoding": encoding}
    before = _memory(process)
    used.since_last(1)
    grown = size = looked = lines = 0
    started = time.perf_counter()
    params = {"format": form, "from": (LAST - timedelta(days=20)).isoformat(), "to": LAST.isoformat()}
    async with client.stream("GET", path, params=params, headers=headers) as stream:
        async for chunk in stream.aiter_raw():
            size += len(chunk)
            lines += chunk.count(b"\n")
            if size >= looked + 16 * 2**20:
                looked, grown = size, max(grown, _memory(process) - before)
    seconds = time.perf_counter() - started
    if form == "parquet" or encoding != "identity":
        lines = await _lines_between(client, params["from"], params["to"])
    cpu_cells = used.since_last(max(1, lines) / 1000)
    print(f"| {form}, {encoding} | {lines:,} | {lines / seconds:,.0f} | {grown / 2**20:.0f} {cpu_cells}", flush=True)


async def _lines_between(client: httpx.AsyncClient, since: str, to: str) -> int:
    path, headers = _path(1, "/summary")
    summary = (await client.get(path, params={"from": since, "to": to}, headers=headers)).json()
    return int(summary["entries"])


async def _tail_delays(installation: Installation, client: httpx.AsyncClient) -> list[float]:
    """From the commit of a line to its event, of lines that come at any moment of the polling."""
    path, headers = _path(50, "/tail")
    delays: list[float] = []
    connection = await asyncpg.connect(installation.settings.postgres_owner_url, timeout=10)
    await connection.execute("DELETE FROM scenario_logs WHERE scenario_id = $1 AND source = 'tail'", scenario_id(50))
    try:
        async with client.stream("GET", path, headers=headers, params={"source": "tail"}) as stream:
            events = stream.aiter_lines()
            await anext(events)
            for number in range(20):
                await connection.execute(
                    "INSERT INTO scenario_logs (tenant_id, scenario_id, id, received_at, message_hash, message_preview,"
                    " source, level, size_bytes, has_pii, pii_types, token_count, sqs_blocks)"
                    " VALUES ($1, $2, $3, $4, 'x', 'x', 'tail', 'info', 1, false, '{}', 1, 1)",
                    tenant_id(50),
                    scenario_id(50),
                    uuid.uuid4(),
                    END - timedelta(microseconds=1000 - number),
                )
                committed = time.perf_counter()
                async for line in events:
                    if line.startswith("data:"):
                        break
                delays.append((time.perf_counter() - committed) * 1000)
                await asyncio.sleep(_random.random() * 0.5)
    finally:
        await connection.execute(
            "DELETE FROM scenario_logs WHERE scenario_id = $1 AND source = 'tail'", scenario_id(50)
        )
        await connection.close()
    return delays


async def _readers(client: httpx.AsyncClient, used: _CpuTimes) -> None:
    """READERS clients, each with a connection; READS_A_SECOND requests a second between them, whether answered or not."""

    cases = {name: (suffix, params) for name, suffix, params, _ in CASES}

    def request(n: int) -> bytes:
        suffix, params = cases[READ_BY_MANY[n % len(READ_BY_MANY)]]
        path, headers = _path(TENANTS[n % len(TENANTS)], suffix)
        credential = headers["Authorization"]
        head = f"GET {path}?{urlencode(params())} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {credential}\r\n\r\n"
        return head.encode()

    port = client.base_url.port or 80
    await read_by_many("127.0.0.1", port, READERS, READS_A_SECOND // 3, WARM_UP_SECONDS, request)
    used.since_last(1)
    own = time.process_time()
    readings = await read_by_many("127.0.0.1", port, READERS, READS_A_SECOND, READER_SECONDS, request)
    count = int(READER_SECONDS * READS_A_SECOND)
    own_ms = (time.process_time() - own) * 1000 / count
    p50, p95 = (readings.times_ms[int(len(readings.times_ms) * share)] for share in (0.5, 0.95))
    print(
        f"\n{count:,} reads (pages, summaries, series) at {READS_A_SECOND} a second by {READERS} readers: p50 {p50:.0f} ms,"
        f" p95 {p95:.0f} ms, errors {json.dumps(readings.errors)}; a request left at most {readings.late_ms:.0f} ms late"
    )
    print(f"CPU ms a read: API, Postgres {used.since_last(count)} this load generator {own_ms:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part; may be repeated")
    sys.exit(uvloop.run(main(parser.parse_args().only or PARTS)))
