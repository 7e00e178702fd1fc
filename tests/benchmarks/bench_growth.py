"""`make bench-growth`: what a line costs the Postgres sink and the server beside 10⁵ to 10⁸ stored lines.

`fill` makes a database of each size and settles it (VACUUM, ANALYZE, CHECKPOINT); `measure` lets a real sink drain the
same records into each of them, in the order given, on Kafka and Postgres of its own; autovacuum is off meanwhile, and what
it would do is done and measured after each. `--home` keeps what was filled
for another `measure`; it is the caller's to delete. Lines beyond 10⁷ stand in partitions of earlier months.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import tempfile
import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import asyncpg

from mockupaws.archive.lifecycle import plan_months
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.kafka import create_topics
from mockupaws.runtime.settings import Settings
from tests.benchmarks.analysed_records import Feed, analysed_templates
from tests.benchmarks.bench_sinks import DEADLINE_SECONDS, SCENARIO, TENANT, Watch, between, pids_of
from tests.benchmarks.log_lines import LINES_IN_BODY
from tests.benchmarks.measure_rate import machine
from tests.integration.sinks.sink_process import running_sink
from tests.running_services import TEMPLATE, running_services

PARTITION_LINES = 10_000_000
_FILL_SECONDS = 900.0
_STORE_LINES = """
INSERT INTO scenario_logs (tenant_id, scenario_id, id, received_at, message_hash, message_preview, source, level,
                           size_bytes, has_pii, pii_types, token_count, sqs_blocks, attributes)
SELECT $1::uuid, $2::uuid, gen_random_uuid(), now() - number * interval '1 millisecond', sha256(int8send(number)),
       rpad('line ' || number, 150, '.'), 'checkout', 'info', 250, false, '{}', 60, 1, '{"host": "node-1", "ms": 7}'
FROM generate_series($3::bigint, 1, -1) AS number"""
_STORE_REQUESTS = """
INSERT INTO applied_requests (sink, request_id, body_hash)
SELECT sink, ('01900000-' || lpad(to_hex(number >> 12), 4, '0') || '-7' || lpad(to_hex(number & 4095), 3, '0')
              || '-8000-000000000000')::uuid, '\\x00112233445566778899aabbccddeeff'
FROM unnest(ARRAY['postgres', 'parquet']) AS sink, generate_series(1, $1::bigint) AS number"""
_STORE_RECEIPTS = """
INSERT INTO ingest_receipts (tenant_id, request_id, scenario_id, accepted, stored, received_at)
SELECT $1::uuid, request_id, $2::uuid, 100, 100, now() - interval '1 day' FROM applied_requests WHERE sink = 'postgres'"""
# An older month takes no lines any more: its rows are short and not in the WAL, its index is as in truth.
_STORE_MONTH = """
CREATE UNLOGGED TABLE {table} (LIKE scenario_logs INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (autovacuum_enabled = off);
INSERT INTO {table} (tenant_id, scenario_id, id, received_at, message_hash, message_preview, source, level,
                     size_bytes, has_pii, pii_types, token_count, sqs_blocks)
SELECT tenant_id, scenario_id, id, '{month}'::timestamptz + (received_at - date_trunc('month', received_at)), message_hash, '',
       source, level, size_bytes, has_pii, pii_types, token_count, sqs_blocks FROM {filled};
ALTER TABLE {table} ADD PRIMARY KEY (scenario_id, received_at, id);
ALTER TABLE scenario_logs ATTACH PARTITION {table} FOR VALUES FROM ('{month}') TO ('{next_month}')"""


def database_of(lines: int) -> str:
    return f"stored_{lines}"


def settings_of(services: Installation, database: str, topics: str, home: Path) -> Settings:
    """A database and topics of these names on the servers."""
    owner, sink, api = (
        services.postgres_url(role, services.secrets[role], database)
        for role in ("mockupaws_owner", "mockupaws_sink", "mockupaws_api")
    )
    return dataclasses.replace(
        services.settings,
        home=home,
        kafka_topic_prefix=f"{topics}.",
        archive_url=f"file://{home}/archive",
        postgres_owner_url=owner,
        postgres_sink_url=sink,
        postgres_api_url=api,
    )


async def fill(services: Installation, sizes: list[int]) -> None:
    for lines in sizes:
        started = time.monotonic()
        server = await asyncpg.connect(services.superuser_url, timeout=10)
        await server.execute(f"CREATE DATABASE {database_of(lines)} TEMPLATE {TEMPLATE} OWNER mockupaws_owner")
        await server.close()
        settings = settings_of(services, database_of(lines), "fill", services.home)
        connection = await asyncpg.connect(settings.postgres_owner_url, command_timeout=_FILL_SECONDS)
        await connection.execute("SELECT set_config('app.current_tenant', $1, false)", str(TENANT))
        written = min(lines, PARTITION_LINES)
        await connection.execute(_STORE_LINES, TENANT, SCENARIO, written)
        await connection.execute(_STORE_REQUESTS, lines // LINES_IN_BODY)
        await connection.execute(_STORE_RECEIPTS, TENANT, SCENARIO)
        this_month = datetime.fromtimestamp(SystemClock().now_us() / 1e6, UTC).date().replace(day=1)
        older = plan_months(this_month.replace(year=this_month.year - 1), lines // written)
        for month, next_month in pairwise(older[: lines // written]):
            await connection.execute(
                _STORE_MONTH.format(
                    table=f"scenario_logs_{month:%Y_%m}",
                    filled=f"scenario_logs_{this_month:%Y_%m}",
                    month=f"{month} 00:00+00",
                    next_month=f"{next_month} 00:00+00",
                )
            )
            print(f"  {month} after {time.monotonic() - started:.0f} s", flush=True)
        await connection.execute(
            "VACUUM (ANALYZE) applied_requests, ingest_receipts, " + f"scenario_logs_{this_month:%Y_%m}"
        )
        await connection.close()
        print(f"filled {lines:,} in {time.monotonic() - started:.0f} s", flush=True)
    await _checkpoint(services)


async def measure(services: Installation, folder: Path, sizes: list[int], lines: int) -> None:
    """One set of records for each time a size is named: what stands in a database already would be left out."""
    server = await asyncpg.connect(services.superuser_url, timeout=10)
    await server.execute("ALTER SYSTEM SET autovacuum = off")
    await server.execute("SELECT pg_reload_conf()")
    await server.close()
    sets: list[Feed] = []
    for place, size in enumerate(sizes):
        times = sizes[:place].count(size)
        if times == len(sets):
            settings = settings_of(services, database_of(size), f"round_{time.time_ns()}", folder)
            await create_topics(settings)
            sets.append(Feed(settings, analysed_templates(TENANT, SCENARIO)))
            await sets[times].fill(lines, 1)
        await _checkpoint(services)
        await _drain(services, sets[times], size)


async def _drain(services: Installation, feed: Feed, size: int) -> None:
    settings = settings_of(services, database_of(size), feed.settings.kafka_topic_prefix[:-1], feed.settings.home)
    total = feed.published_records
    with running_sink(settings, "postgres") as running:
        assert running.process is not None
        watch = await Watch.open(settings, "postgres", {"sink": running.process.pid, **pids_of(services)})
        await watch.until(total // 5)
        at, before = await watch.look()
        await watch.until(total)
        stored, after = await watch.look()
        await watch.close()
    between(before, after, (stored - at) * LINES_IN_BODY).show(f"beside {size:,} stored lines")
    watch = await Watch.open(settings, "postgres", {"postgres": pids_of(services)["postgres"]})
    _, before = await watch.look()
    await watch.connection.execute(
        f"VACUUM (ANALYZE) {await _written_tables(watch.connection)}", timeout=DEADLINE_SECONDS
    )
    _, after = await watch.look()
    await watch.close()
    between(before, after, total * LINES_IN_BODY).show("  VACUUM and ANALYZE of what was written")


async def _written_tables(connection: asyncpg.Connection[asyncpg.Record]) -> str:
    """Those of this database that took writes, without the months that were filled."""
    names: str = await connection.fetchval(
        "SELECT string_agg(s.relname, ', ') FROM pg_stat_user_tables AS s JOIN pg_class AS c ON c.oid = s.relid"
        " WHERE s.n_ins_since_vacuum + s.n_mod_since_analyze > 0 AND c.relpersistence = 'p'"
    )
    return names


async def _checkpoint(services: Installation) -> None:
    server = await asyncpg.connect(services.superuser_url, timeout=10)
    await server.execute("CHECKPOINT", timeout=DEADLINE_SECONDS)
    await server.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_growth", description=__doc__)
    parser.add_argument("step", choices=("fill", "measure", "both"))
    parser.add_argument("sizes", type=int, nargs="+", help="stored lines; one named twice is measured twice")
    parser.add_argument("--home", type=Path, help="of the servers; none: a temporary one")
    parser.add_argument("--lines", type=int, default=500_000, help="drained each time")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="mockupaws-bench-") as name,
        running_services(arguments.home or Path(name) / "services") as services,
    ):
        print(f"machine: {machine()}")
        if arguments.step != "measure":
            asyncio.run(fill(services, sorted(set(arguments.sizes))))
        if arguments.step != "fill":
            asyncio.run(measure(services, Path(name), arguments.sizes, arguments.lines))


if __name__ == "__main__":
    main()
