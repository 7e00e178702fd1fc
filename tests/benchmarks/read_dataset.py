"""A Postgres with 10 million lines of 50 tenants in three monthly partitions, kept in a folder and made once.

Each week repeats the first one, a week later.
`python -m tests.benchmarks.read_dataset` makes it. The first tenant has a fifth of all lines and traffic in nearly each
minute; the fiftieth has a fiftieth of that.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from hashlib import md5
from pathlib import Path

import asyncpg

from mockupaws.archive.fold_rollups import fold_rollups
from mockupaws.cost_model.architecture import Architecture, architecture_document
from mockupaws.runtime.embedded.installation import DATABASE, Installation
from mockupaws.runtime.embedded.postgres_server import PostgresServer
from mockupaws.runtime.embedded.run_as import arguments_of
from mockupaws.runtime.embedded.supervisor import ProcessPlan
from mockupaws.runtime.migrations import ROLES, create_database, create_roles, migrate
from mockupaws.runtime.postgres import load_queries
from mockupaws.runtime.settings import Settings

FIRST, END = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
LINES = 10_000_000
TENANTS = 50
HOME = Path(os.environ.get("READ_DATASET") or Path(tempfile.gettempdir()) / "mockupaws-read-dataset")
START_SECONDS = 120
STATEMENT_SECONDS = 3600
TEMPLATES = [
    "GET /api/v1/orders/%s HTTP/1.1 200 %s upstream_response_time=0.%s state=%s user_agent=Mozilla/5.0 referer=https://shop.example.com/basket session renewed",
    "request finished order_id=%s trace_id=%s duration_ms=%s result=%s db_pool=primary cache=hit shard=7 retries=0 handler=OrdersController",
    "user <EMAIL> signed in from <IPV4> session=%s device=%s attempt=%s outcome=%s mfa=totp locale=it_IT client=android version=5.12.1",
    "payment authorised order=%s token=%s amount=%s.00 EUR status=%s card=<CREDIT_CARD> provider=stripe capture=deferred risk=low",
    'level=debug msg="cache lookup" key=basket:%s etag=%s ttl=%s outcome=%s node=cache-3 bytes=2048 compressed=true',
    "consumer group rebalance generation=%s member=%s partitions=%s outcome=%s topic=orders lag=0 assignor=cooperative-sticky",
    "worker picked job id=%s kind=send_invoice digest=%s priority=%s outcome=%s queue=mail attempts=1 scheduled by billing at midnight",
    "search query took longer than expected query_id=%s fingerprint=%s hits=%s outcome=%s index=products shards=5 timed_out=false",
    "connection pool exhausted waiting=%s pool=%s size=%s outcome=%s database=inventory statement timeout while acquiring connection",
    "deadlock detected transaction %s waits for %s on relation %s outcome=%s retrying after backoff of 120 ms in worker",
]


def tenant_id(number: int) -> uuid.UUID:
    """From 1, the largest, to TENANTS."""
    return uuid.UUID(bytes=md5(f"tenant {number}".encode(), usedforsecurity=False).digest())


def scenario_id(number: int) -> uuid.UUID:
    return uuid.UUID(bytes=md5(f"scenario {number}".encode(), usedforsecurity=False).digest())


@asynccontextmanager
async def read_dataset(home: Path = HOME) -> AsyncIterator[Installation]:
    """The server of the data set, which is made or brought to the newest schema where it must be."""
    installation = Installation.open(dataclasses.replace(Settings(), home=home))
    with installation.lock_file.open("w"):
        server = PostgresServer(
            home / "data" / "postgres", installation.ports["postgres"], installation.secrets["postgres_superuser"]
        )
        server.prepare()
        log_file = installation.log_file("postgres")
        plan = server.plan("postgres", log_file)
        process = _start(plan, log_file)
        try:
            give_up = time.monotonic() + START_SECONDS
            while not await server.is_ready():
                assert process.poll() is None, f"Postgres ended; see {log_file}"
                assert time.monotonic() < give_up, "Postgres didn't start"
                await asyncio.sleep(0.1)
            await create_roles(installation.superuser_url, {role: installation.secrets[role] for role in ROLES})
            await create_database(installation.superuser_url, DATABASE)
            await migrate(installation.settings.postgres_owner_url)
            await _fill(installation)
            await _place_minutes(installation)
            yield installation
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _start(plan: ProcessPlan, log_file: Path) -> subprocess.Popen[bytes]:
    with log_file.open("ab") as log:
        return subprocess.Popen(
            [*plan.command, "-c", "max_connections=200"],
            env=plan.environ,
            stdout=log,
            stderr=log,
            **arguments_of(plan.identity),
        )


async def _fill(installation: Installation) -> None:
    done = installation.home / "filled"
    if done.exists():
        return
    queries = load_queries("tests.benchmarks", "read_dataset.sql")
    connection = await asyncpg.connect(
        installation.settings.postgres_owner_url,
        timeout=10,
        command_timeout=STATEMENT_SECONDS,
        server_settings={"timezone": "UTC", "synchronous_commit": "off", "work_mem": "256MB"},
    )
    try:
        await connection.execute("TRUNCATE tenants, scenarios CASCADE")
        await connection.execute("TRUNCATE scenario_logs, scenario_metrics, scenario_hours, scenario_facets")
        await connection.execute("TRUNCATE scenario_days, scenario_summaries")
        await connection.execute("DROP TABLE IF EXISTS benchmark_requests, benchmark_week")
        days = [FIRST + timedelta(days=day) for day in range((END - FIRST).days)]
        for month in (9, 10, 11):
            await connection.execute("SELECT make_log_partition($1)", date(2026, month, 1))
        for day in days:
            await connection.execute("SELECT make_metric_partition($1)", day.date())
        await connection.execute(queries["make_tenants"], json.dumps(architecture_document(Architecture())))
        week = FIRST + timedelta(days=7)
        weeks = len(days) // 7
        await connection.execute(_in_line(queries["make_requests"], LINES // weeks, FIRST, week))
        await connection.execute(queries["order_requests"])
        await connection.execute("ANALYZE benchmark_requests")
        for day in days[:7]:
            await connection.execute(queries["make_lines"], day, day + timedelta(days=1), TEMPLATES)
            await connection.execute(queries["make_rollups"], day, day + timedelta(days=1))
            print(f"made {day:%Y-%m-%d}", flush=True)
        await connection.execute(queries["keep_week"])
        for number in range(1, weeks):
            await connection.execute(queries["repeat_lines"], timedelta(weeks=number))
            await connection.execute(queries["repeat_rollups"], timedelta(weeks=number), week)
            print(f"repeated week {number}", flush=True)
        await connection.execute("DROP TABLE benchmark_requests, benchmark_week")
        await connection.execute(queries["make_hours"])
        await connection.execute(queries["make_facets"])
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    done.touch()


async def _place_minutes(installation: Installation) -> None:
    """Where summaries were made before they kept their parts. Days are folded anew by whoever folds next."""
    queries = load_queries("tests.benchmarks", "read_dataset.sql")
    connection = await asyncpg.connect(
        installation.settings.postgres_owner_url,
        timeout=10,
        command_timeout=STATEMENT_SECONDS,
        server_settings={"synchronous_commit": "off", "work_mem": "512MB"},
    )
    try:
        if await connection.fetchval(queries["minutes_are_missing"]):
            await connection.execute(queries["place_minutes"])
            await fold_rollups(installation.settings, END + timedelta(days=1))
            await connection.execute("VACUUM ANALYZE scenario_summaries, scenario_days, scenario_hours")
    finally:
        await connection.close()


def _in_line(statement: str, *values: object) -> str:
    """CREATE TABLE AS takes no parameters."""
    for number, value in enumerate(values, 1):
        statement = statement.replace(f"${number}", f"'{value}'")
    return statement


async def main() -> int:
    async with read_dataset() as installation:
        connection = await asyncpg.connect(installation.settings.postgres_owner_url, timeout=10)
        try:
            for table in ("scenario_logs", "scenario_metrics"):
                print(table, await connection.fetchval(f"SELECT count(*) FROM {table}", timeout=STATEMENT_SECONDS))
        finally:
            await connection.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
