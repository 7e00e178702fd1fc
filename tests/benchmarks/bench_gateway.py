"""µs of CPU a request costs the gateway, alone with real Kafka, beside what its library calls cost: `make bench-gateway`.

The other processes of an installation stand still meanwhile. `limit` is the sum of what can't be left out: the HTTP server
with an application that reads the body and answers (as loaded as the gateway), msgspec's decoding and encoding, zstd,
and aiokafka's send of a record, by as many requests as shared one.

Where it is installed, OpenTelemetry's Collector takes the same lines to the same Kafka afterwards.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
from aiokafka.codec import zstd_encode

from mockupaws.ingest_gateway.protocols.decoded import PlainEntry
from mockupaws.runtime.http_edge import Receive, Scope, Send
from mockupaws.runtime.http_server import serve
from mockupaws.runtime.kafka import start_producer, topic_name
from mockupaws.runtime.settings import PREFIX
from mockupaws.schemas.requests import Entry, IngestRequest, encode_request
from mockupaws.schemas.topics import REQUESTS
from tests.benchmarks.collector_peer import TOPIC as COLLECTOR_TOPIC
from tests.benchmarks.collector_peer import collector_is_installed, collector_peer
from tests.benchmarks.load_generator import Outcome, Plan
from tests.benchmarks.log_lines import make_bodies
from tests.benchmarks.make_topic import make_topic
from tests.benchmarks.measure_rate import machine, percentile
from tests.benchmarks.request_forms import FormName
from tests.running_stack import RunningStack, free_ports, running_stack, wait_until

RUNNING = ("gateway", "kafka", "postgres", "valkey")
_RECORDS = 300
_COLUMNS = (
    "load", "requests/s", "ack p50 / p95 / p99 ms", "gateway µs a request", "a line", "limit", "ratio",
    "requests a record", "kafka µs a request",
)  # fmt: skip


class Load(msgspec.Struct, frozen=True):
    name: str
    lines: int
    connections: int
    rate: int
    """Requests a second; more than it can take: it is saturated."""
    seconds: float


LOADS = (
    Load("warm-up", 100, 16, 160, 5),
    Load("100 lines, saturated", 100, 16, 2_500, 5),
    Load("100 lines, 160 a second", 100, 16, 160, 10),
    Load("1 line, 64 connections, saturated", 1, 64, 6_000, 5),
    Load("1 line, 1,000 connections, saturated", 1, 1_000, 6_000, 5),
    Load("1 line, 1,000 a second", 1, 64, 1_000, 8),
)


class Cost(msgspec.Struct):
    outcome: Outcome
    seconds: float
    gateway_us: float
    """A request."""
    kafka_us: float


def measure(
    load: Load, url: str, api_key: str, scenario_id: str, gateway: int, kafka: int, form: FormName = "mockupaws"
) -> Cost:
    rate = load.rate * load.lines
    plan = Plan(url, None, api_key, scenario_id, rate, load.seconds, load.lines, load.connections, form)
    before, started = (_cpu(gateway), _cpu(kafka)), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.load_generator", msgspec.json.encode(plan).decode()],
        stdout=subprocess.PIPE,
        check=True,
    )
    outcome = msgspec.json.decode(done.stdout, type=Outcome)
    used = _cpu(gateway) - before[0], _cpu(kafka) - before[1]
    each = 1e6 / outcome.requests
    return Cost(outcome, time.monotonic() - started, used[0] * each, used[1] * each)


def _cpu(pid: int) -> float:
    """Of the process and its children, in seconds."""
    root = psutil.Process(pid)
    return sum(times.user + times.system for times in (p.cpu_times() for p in (root, *root.children(recursive=True))))


@contextlib.contextmanager
def _others_stopped(pids: dict[str, int]) -> Iterator[None]:
    roots = [psutil.Process(pid) for name, pid in pids.items() if name not in RUNNING]
    processes = [process for root in roots for process in (root, *root.children(recursive=True))]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that reads a body and answers as the gateway does."""
    if scope["type"] != "http":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    left = int(dict(scope["headers"]).get(b"content-length", b"0"))
    while left > 0:
        left -= len((await receive())["body"])
    body = b'{"request_id":"%s"}' % (b"x" * 200)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    return None


def make_nothing() -> Callable[..., Any]:
    return nothing


@contextlib.contextmanager
def _bare_server() -> Iterator[tuple[str, int]]:
    [port] = free_ports(1)
    process = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.bench_gateway", "--bare-server", str(port)])
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.post(url, content=b"").status_code == 202
        return False

    try:
        wait_until(answers, "the bare server answers", 20)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(20)


def library_us(lines: int, requests_in_record: float) -> float:
    """Of one request: decode, encode and its part of the record's compression."""

    class Body(msgspec.Struct):
        scenario_id: str
        logs: list[PlainEntry]

    decode = msgspec.json.Decoder(Body).decode
    bodies = make_bodies("0" * 36, 64, lines)
    requests = [
        IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h" * 16, [Entry(log.message, None, log.source or "",
        log.level or "", log.attributes) for log in decode(body).logs]) for body in bodies
    ]  # fmt: skip
    encoded = [encode_request(request) for request in requests]
    together = max(1, round(requests_in_record))
    record = b"".join(encoded[number % 64] for number in range(together))
    times = [
        _best(lambda: [decode(body) for body in bodies]) / 64,
        _best(lambda: [encode_request(request) for request in requests]) / 64,
        _best(lambda: zstd_encode(record)) / together,
    ]
    return sum(times) * 1e6


def _best(work: Callable[[], object]) -> float:
    def once() -> float:
        began = time.process_time()
        for _ in range(20):
            work()
        return (time.process_time() - began) / 20

    return min(once() for _ in range(5))


async def send_us(stack: RunningStack, size: int) -> float:
    """Of one record, by aiokafka, without its compression."""
    producer = await start_producer(stack.settings, "bench")
    value = os.urandom(size)
    try:
        began = time.process_time()
        for number in range(_RECORDS):
            await producer.send_and_wait(topic_name(stack.settings, REQUESTS), value, partition=number % 4)
        used = time.process_time() - began
    finally:
        await producer.stop()
    return used / _RECORDS * 1e6 - _best(lambda: zstd_encode(value)) * 1e6


def _bundles(url: str) -> float:
    text = httpx.get(f"{url}/metrics").text
    return float(text.partition("\nmockupaws_published_bundles_total ")[2].partition("\n")[0])


def bench(stack: RunningStack) -> None:
    scenario_id = stack.make_scenario("Benchmark")
    pids = {process["name"]: process["pid"] for process in stack.status() if process["pid"]}
    print(f"machine: {machine()}\n")
    print(f"| {' | '.join(_COLUMNS)} |\n|---|{'--:|' * (len(_COLUMNS) - 1)}")
    with _others_stopped(pids), _bare_server() as (bare_url, bare):
        send = asyncio.run(send_us(stack, 4_000))
        for load in LOADS:
            floor = measure(load, bare_url, "none", scenario_id, bare, bare).gateway_us
            before = _bundles(stack.ingest_url)
            cost = measure(load, stack.ingest_url, stack.api_key, scenario_id, pids["gateway"], pids["kafka"])
            together = cost.outcome.requests / max(1, _bundles(stack.ingest_url) - before)
            limit = floor + library_us(load.lines, together) + send / together
            if cost.outcome.errors:
                print(f"errors: {cost.outcome.errors}")
            print(_row(load, cost, limit, together), flush=True)
        if collector_is_installed():
            _bench_collector(stack, pids["kafka"])
    print(f"\naiokafka's send of a record: {send:.0f} µs")


def _bench_collector(stack: RunningStack, kafka: int) -> None:
    asyncio.run(make_topic(stack, COLLECTOR_TOPIC))
    with collector_peer(stack) as (url, collector):
        for load in LOADS:
            if load.lines > 1:
                cost = measure(load, url, "none", "none", collector, kafka, "otlp")
                if cost.outcome.errors:
                    print(f"errors: {cost.outcome.errors}")
                print(_row(msgspec.structs.replace(load, name=f"Collector: {load.name}"), cost, None, 1.0), flush=True)


def _row(load: Load, cost: Cost, limit: float | None, together: float) -> str:
    acks = " / ".join(f"{percentile(cost.outcome.ack_ms, share):,.0f}" for share in (50, 95, 99))
    rate = cost.outcome.requests / (load.seconds + cost.outcome.ack_ms[-1] / 1000)
    limits = "| | |" if limit is None else f"| {limit:,.0f} | {cost.gateway_us / limit:.1f} |"
    return (
        f"| {load.name} | {rate:,.0f} | {acks} | {cost.gateway_us:,.0f} | {cost.gateway_us / load.lines:,.1f} {limits}"
        f" {together:,.1f} | {cost.kafka_us:,.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_gateway", description=__doc__)
    parser.add_argument("--bare-server", type=int, help=argparse.SUPPRESS)
    port = parser.parse_args().bare_server
    if port is not None:
        serve("tests.benchmarks.bench_gateway:make_nothing", host="127.0.0.1", port=port, workers=1,
              max_connections=8192, head_seconds=10)  # fmt: skip
        return
    lets_all_in = {f"{PREFIX}ADMISSION_LAG_SECONDS": "0"}  # nothing is stored while the others stand still
    with (
        tempfile.TemporaryDirectory(prefix="mockupaws-bench-") as folder,
        running_stack(Path(folder) / "home", lets_all_in) as stack,
    ):
        bench(stack)


if __name__ == "__main__":
    main()
