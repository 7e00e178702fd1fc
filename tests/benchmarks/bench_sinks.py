"""`make bench-sinks`: CPU µs a line of each sink and of the server, beside what library calls alone would take.

The topic is filled with analysed records, then a sink reads it (as fast as it goes, and at a fixed rate), on real
Kafka and Postgres, with the settings of the environment (MOCKUPAWS_*). CPU is that of the processes, from a fifth of the lines stored until all of them are.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.embedded.supervisor import read_state
from mockupaws.runtime.kafka import topic_name
from mockupaws.runtime.settings import PREFIX, Settings
from mockupaws.schemas.analysed import decode_analysed
from mockupaws.schemas.topics import ANALYSED
from mockupaws.sinks.parquet.table import LocatedRequest, build_object, group_requests
from mockupaws.sinks.postgres.rows import COLUMNS, HEADER, TRAILER, pack_rows
from tests.benchmarks.analysed_records import Feed, analysed_templates
from tests.benchmarks.log_lines import LINES_IN_BODY
from tests.benchmarks.measure_rate import machine
from tests.benchmarks.observe_processes import ProcessObserver
from tests.integration.sinks.sink_process import running_sink
from tests.running_services import own_installation, running_services

TENANT, SCENARIO = uuid.UUID(int=1), uuid.UUID(int=2)
POLL_SECONDS = 0.1
DEADLINE_SECONDS = 240.0
_COPY_LINES = 20_000


@dataclass(frozen=True, slots=True)
class Use:
    lines: int
    seconds: float
    cpu: dict[str, float]
    transactions: int
    wal_bytes: int

    def show(self, name: str) -> None:
        micros = "  ".join(f"{process} {seconds / self.lines * 1e6:5.2f}" for process, seconds in self.cpu.items())
        print(
            f"  {name:34} {self.lines / self.seconds:8,.0f} lines/s  {micros}  "
            f"{self.transactions / self.lines * 1e6:6.1f} tx/Mline  {self.wal_bytes / self.lines:4.0f} B WAL/line",
            flush=True,
        )


class Bench:
    def __init__(self, services: Installation, folder: Path, lines_in_request: int) -> None:
        self._services = services
        self._folder = folder
        self._templates = analysed_templates(TENANT, SCENARIO, lines_in_request)
        self._lines_in_request = lines_in_request
        self._number = 0

    async def new_feed(self) -> Feed:
        self._number += 1
        name = f"bench_{self._number}"
        home = self._folder / name
        home.mkdir()
        settings = await own_installation(self._services, name, home)
        given = {name: text for name, text in os.environ.items() if name.startswith(PREFIX)}
        settings = Settings.from_environ(settings.to_environ() | given)
        return Feed(settings, self._templates)

    async def drained(self, sink: str, lines: int, requests_in_record: int) -> Use:
        """A sink that finds `lines` waiting."""
        feed = await self.new_feed()
        await feed.fill(lines, requests_in_record)
        total = feed.published_records
        lines = total * requests_in_record * self._lines_in_request
        with running_sink(feed.settings, sink) as running:
            assert running.process is not None
            watch = await Watch.open(feed.settings, sink, {"sink": running.process.pid, **self.pids()})
            await watch.until(total // 5)
            at, before = await watch.look()
            await watch.until(total)
            stored, after = await watch.look()
            await watch.close()
        return between(before, after, lines * (stored - at) // total)

    async def paced(self, sink: str, rate: int, seconds: float, requests_in_record: int) -> Use:
        """A sink that follows at `rate` lines a second."""
        feed = await self.new_feed()
        with running_sink(feed.settings, sink) as running:
            assert running.process is not None
            await feed.pace(rate, 3.0, requests_in_record)
            watch = await Watch.open(feed.settings, sink, {"sink": running.process.pid, **self.pids()})
            await watch.until(feed.published_records)
            _, before = await watch.look()
            lines = await feed.pace(rate, seconds, requests_in_record)
            await watch.until(feed.published_records)
            _, after = await watch.look()
            await watch.close()
        return between(before, after, lines)

    def pids(self) -> dict[str, int]:
        return pids_of(self._services)


def pids_of(services: Installation) -> dict[str, int]:
    state = read_state(services.state_file)
    assert state is not None
    return {p["name"]: p["pid"] for p in state["processes"] if p["name"] in ("postgres", "kafka") and p["pid"]}


@dataclass
class Watch:
    """How far a sink is, by its offsets in Postgres, and what the processes have used."""

    connection: asyncpg.Connection[asyncpg.Record]
    sink: str
    topic: str
    observer: ProcessObserver

    @classmethod
    async def open(cls, settings: Settings, sink: str, pids: dict[str, int]) -> Watch:
        connection = await asyncpg.connect(settings.postgres_owner_url)
        return cls(connection, sink, topic_name(settings, ANALYSED), ProcessObserver(pids))

    async def until(self, records: int) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while await self._stored() < records:
            assert time.monotonic() < deadline, f"{await self._stored()} of {records} records stored"
            await asyncio.sleep(POLL_SECONDS)

    async def _stored(self) -> int:
        query = "SELECT coalesce(sum(next_offset), 0)::bigint FROM consumer_offsets WHERE sink = $1 AND topic = $2"
        return int(await self.connection.fetchval(query, self.sink, self.topic))

    async def look(self) -> tuple[int, dict[str, Any]]:
        row = await self.connection.fetchrow(
            "SELECT pg_current_wal_lsn() - '0/0' AS wal, xact_commit AS transactions FROM pg_stat_database WHERE datname = current_database()"
        )
        assert row is not None
        return await self._stored(), {"cpu": self.observer.cpu_seconds(), "at": time.monotonic(), **dict(row)}

    async def close(self) -> None:
        await self.connection.close()


def between(before: dict[str, Any], after: dict[str, Any], lines: int) -> Use:
    return Use(
        lines,
        after["at"] - before["at"],
        {name: after["cpu"][name] - before["cpu"][name] for name in before["cpu"]},
        after["transactions"] - before["transactions"],
        int(after["wal"] - before["wal"]),
    )


async def library_calls(feed: Feed, pids: dict[str, int], lines: int) -> None:
    """What fetching, decoding, packing and copying take alone, in this process and in the server."""
    settings = feed.settings
    await feed.fill(lines, 1)
    values, micros = await _fetch_all(settings, feed.published_records)
    _show("fetch (aiokafka, zstd)", micros, lines)
    gc.collect()
    started = process_time()
    requests = [request for value in values for request in decode_analysed(value)]
    _show("decode (msgspec)", process_time() - started, lines)
    started = process_time()
    rows = pack_rows(requests)
    _show("pack rows", process_time() - started, lines)
    chunk = _COPY_LINES // LINES_IN_BODY
    observer = ProcessObserver({"postgres": pids["postgres"]})
    connection = await asyncpg.connect(settings.postgres_sink_url)
    before, started = observer.cpu_seconds()["postgres"], process_time()
    for at in range(0, len(rows), chunk):
        await connection.copy_to_table(
            "scenario_logs", source=_source(rows[at : at + chunk]), columns=COLUMNS, format="binary"
        )
    await connection.close()
    _show("COPY, client", process_time() - started, lines)
    _show("COPY, server", observer.cpu_seconds()["postgres"] - before, lines)
    located = [LocatedRequest(request, "t", uuid.UUID(int=1), 0, offset) for offset, request in enumerate(requests)]
    started = process_time()
    for at in range(0, len(located), chunk):
        for key, group in group_requests(located[at : at + chunk]).items():
            build_object(key, group)
    _show("Parquet object of 20,000 lines", process_time() - started, lines)


async def _fetch_all(settings: Settings, records: int) -> tuple[list[bytes], float]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers, auto_offset_reset="earliest", fetch_min_bytes=256 * 1024
    )
    await consumer.start()
    topic = topic_name(settings, ANALYSED)
    consumer.assign([TopicPartition(topic, number) for number in range(settings.kafka_partitions)])
    values: list[bytes] = []
    started = process_time()
    while len(values) < records:
        for batch in (await consumer.getmany(timeout_ms=1000)).values():
            values += [record.value for record in batch]
    used = process_time() - started
    await consumer.stop()
    return values, used


async def _source(rows: Sequence[bytes]) -> AsyncIterator[bytes]:
    yield HEADER
    yield b"".join(rows)
    yield TRAILER


def _show(name: str, seconds: float, lines: int) -> None:
    print(f"  {name:34} {seconds / lines * 1e6:5.2f}", flush=True)


async def run(bench: Bench, arguments: argparse.Namespace) -> None:
    for sink in arguments.sinks:
        print(f"{sink} sink (CPU µs a line)")
        for requests_in_record in arguments.requests_in_record:
            use = await bench.drained(sink, arguments.lines, requests_in_record)
            use.show(f"drains, {requests_in_record * arguments.lines_in_request} lines a record")
        if arguments.rate:
            use = await bench.paced(sink, arguments.rate, arguments.seconds, arguments.requests_in_record[0])
            use.show(f"follows {arguments.rate:,} lines/s")
    if arguments.calls:
        print("library calls alone (CPU µs a line)")
        feed = await bench.new_feed()
        await library_calls(feed, bench.pids(), min(arguments.lines, 200_000))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_sinks", description=__doc__)
    parser.add_argument("--lines", type=int, default=800_000, help="drained by each sink")
    parser.add_argument("--requests-in-record", type=int, nargs="*", default=[1, 5])
    parser.add_argument("--rate", type=int, default=16_000, help="lines a second to follow; 0: don't")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to follow")
    parser.add_argument("--sinks", nargs="*", default=["postgres", "parquet"])
    parser.add_argument("--lines-in-request", type=int, default=LINES_IN_BODY)
    parser.add_argument("--no-calls", dest="calls", action="store_false", help="don't measure library calls alone")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="mockupaws-bench-") as name,
        running_services(Path(name) / "services") as services,
    ):
        print(f"machine: {machine()}")
        asyncio.run(run(Bench(services, Path(name), arguments.lines_in_request), arguments))


if __name__ == "__main__":
    main()
