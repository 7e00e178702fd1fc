"""Postgres answers late, not at all, or not to the end: the sinks wait, go on, and store each line once."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from mockupaws.archive.lifecycle import maintain
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.embedded.postgres_server import PostgresServer
from mockupaws.runtime.embedded.run_as import arguments_of
from mockupaws.runtime.migrations import create_database, create_roles, migrate
from mockupaws.runtime.settings import Settings
from mockupaws.sinks.dead_letters.rows import time_of
from tests.adversity.fault_proxy import FaultProxy
from tests.adversity.faulty_flow import Faults
from tests.integration.sinks.sink_process import analysed_request, publish_requests, running_sink, until_equal
from tests.integration.sinks.stored import STORED, assert_exact
from tests.running_stack import free_ports, wait_until

SINKS = ("postgres", "parquet")
ROLES = ("mockupaws_owner", "mockupaws_sink", "mockupaws_api")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(settings, parquet_flush_seconds=0.1)


@contextlib.contextmanager
def through_proxy(settings: Settings) -> Iterator[tuple[Settings, FaultProxy]]:
    """The sink reaches Postgres through a proxy; the test doesn't."""
    address = urlsplit(settings.postgres_sink_url)
    assert address.port is not None
    with FaultProxy(address.port) as proxy:
        url = settings.postgres_sink_url.replace(f":{address.port}/", f":{proxy.port}/")
        yield dataclasses.replace(settings, postgres_sink_url=url), proxy


async def publish_lines(settings: Settings, count: int) -> None:
    await publish_requests(settings, *[analysed_request([f"line {n}", "and another"]) for n in range(count)])


@pytest.mark.parametrize("name", SINKS)
@pytest.mark.parametrize(
    "faults",
    [Faults(cut_after_pattern=b"COMMIT"), Faults(cut_before_pattern=b"COMMIT")],
    ids=["done and not told", "never asked"],
)
async def test_a_commit_in_doubt_is_settled_by_the_offsets(settings: Settings, name: str, faults: Faults) -> None:
    with through_proxy(settings) as (behind, proxy), running_sink(behind, name) as sink:
        await publish_lines(settings, 1)
        await until_equal(settings, STORED[name], 2)
        proxy.use(to_server=faults)
        await publish_lines(settings, 10)
        cut = {connection.number for connection in proxy.connections}
        async with asyncio.timeout(60):
            while cut & {connection.number for connection in proxy.connections}:
                await asyncio.sleep(0.02)
        proxy.heal()
        await until_equal(settings, STORED[name], 22)
        assert sink.process is not None
        assert sink.process.poll() is None
    await assert_exact(settings, name, 22, requests=11)


async def test_a_connection_reset_in_the_middle_of_a_copy(settings: Settings) -> None:
    with through_proxy(settings) as (behind, proxy), running_sink(behind, "postgres"):
        await publish_lines(settings, 1)
        await until_equal(settings, STORED["postgres"], 2)
        proxy.use(to_server=Faults(cut_after_bytes=200_000))
        large = [analysed_request([f"{n}: " + "x" * 400 for n in range(500)]) for _ in range(4)]
        await publish_requests(settings, *large)
        cut = {connection.number for connection in proxy.connections}
        async with asyncio.timeout(60):
            while cut & {connection.number for connection in proxy.connections}:
                await asyncio.sleep(0.02)
        proxy.heal()
        await until_equal(settings, STORED["postgres"], 2002)
    await assert_exact(settings, "postgres", 2002, requests=5)


@pytest.mark.parametrize("name", SINKS)
async def test_postgres_that_swallows_everything_is_given_up_and_asked_again(settings: Settings, name: str) -> None:
    with through_proxy(settings) as (behind, proxy), running_sink(behind, name, health=True) as sink:
        await publish_lines(settings, 1)
        await until_equal(settings, STORED[name], 2)
        proxy.use(to_server=Faults(blackhole=True), to_client=Faults(blackhole=True))
        await publish_lines(settings, 10)
        await sink.until_health(lambda report: "retrying" in report["detail"] and not report["ready"], seconds=90)
        proxy.heal()
        await until_equal(settings, STORED[name], 22, seconds=60)
        await sink.until_health(lambda report: bool(report["ready"]))
    await assert_exact(settings, name, 22, requests=11)


class OwnPostgres:
    """A server this test may kill."""

    def __init__(self, folder: Path) -> None:
        self.server = PostgresServer(folder / "postgres", free_ports(1)[0], "superuser")
        self._log = folder / "postgres.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.server.prepare()

    def start(self) -> None:
        plan = self.server.plan("postgres", self._log)
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                plan.command,
                env=dict(plan.environ),
                stdout=output,
                stderr=output,
                cwd="/",
                **arguments_of(plan.identity),
            )
        wait_until(lambda: asyncio.run(self.server.is_ready()), "the test's own Postgres answers", 60)

    def signal_all(self, number: signal.Signals) -> None:
        assert self.process is not None
        postmaster = psutil.Process(self.process.pid)
        for process in (postmaster, *postmaster.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)

    def url(self, role: str) -> str:
        return f"postgresql://{role}:{role}@127.0.0.1:{self.server.port}/own"


@pytest.fixture
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
    own = OwnPostgres(tmp_path_factory.mktemp("own"))
    own.start()
    try:
        yield own
    finally:
        own.signal_all(signal.SIGCONT)
        own.kill()


async def settings_on(own: OwnPostgres, settings: Settings) -> Settings:
    await create_roles(own.server.superuser_url, {role: role for role in ROLES})
    await create_database(own.server.superuser_url, "own")
    await migrate(own.url("mockupaws_owner"))
    moved = dataclasses.replace(
        settings,
        postgres_owner_url=own.url("mockupaws_owner"),
        postgres_sink_url=own.url("mockupaws_sink"),
        postgres_api_url=own.url("mockupaws_api"),
    )
    await maintain(moved, time_of(SystemClock().now_us()))
    return moved


async def test_postgres_killed_while_rows_arrive_and_then_frozen_for_45_seconds(
    settings: Settings, own_postgres: OwnPostgres
) -> None:
    settings = await settings_on(own_postgres, settings)
    with running_sink(settings, "postgres", health=True) as postgres, running_sink(settings, "parquet") as parquet:
        await publish_lines(settings, 1)
        for name in SINKS:
            await until_equal(settings, STORED[name], 2)
        feeding = asyncio.create_task(publish_lines(settings, 300))
        await until_equal(settings, f"SELECT ({STORED['postgres']}) > 2", True)
        await asyncio.to_thread(own_postgres.kill)
        await postgres.until_health(lambda report: "retrying" in report["detail"], seconds=60)
        await asyncio.to_thread(own_postgres.start)
        await feeding
        for name in SINKS:
            await until_equal(settings, STORED[name], 602, seconds=90)

        own_postgres.signal_all(signal.SIGSTOP)
        try:
            await publish_lines(settings, 20)
            await postgres.until_health(lambda report: "retrying" in report["detail"], seconds=90)
            await asyncio.sleep(45)
        finally:
            own_postgres.signal_all(signal.SIGCONT)
        for name in SINKS:
            await until_equal(settings, STORED[name], 642, seconds=90)
        for sink in (postgres, parquet):
            assert sink.process is not None
            assert sink.process.poll() is None, "it went on without a restart"
    for name in SINKS:
        await assert_exact(settings, name, 642, requests=321)
