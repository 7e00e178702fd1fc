"""Lines on the topic become patterns in the table, whatever happens to the sampling meanwhile."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest

from mockupaws.runtime.postgres import open_pool
from mockupaws.runtime.settings import Settings
from mockupaws.sinks.patterns import sample
from mockupaws.sinks.patterns.collect import MAX_SCENARIOS, Collector
from mockupaws.sinks.patterns.sample import PatternSampling
from tests.conftest import make_tenant
from tests.integration.sinks.sink_process import SCENARIO, analysed_request, owner_connection, publish, publish_requests

TEMPLATES = (
    "SELECT template, sum(entries)::bigint AS entries FROM scenario_patterns WHERE scenario_id = $1 GROUP BY template"
)


@asynccontextmanager
async def sampling(settings: Settings) -> AsyncIterator[None]:
    pool = await open_pool(settings.postgres_sink_url, settings, max_size=1)
    stop = asyncio.Event()
    task = asyncio.create_task(PatternSampling(settings, pool).run(stop))
    try:
        yield
    finally:
        stop.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(task, 30)
        pool.terminate()


async def templates(settings: Settings) -> dict[str, int]:
    async with owner_connection(settings) as connection:
        rows = await connection.fetch(TEMPLATES, SCENARIO)
    return {row["template"]: row["entries"] for row in rows}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "STORE_SECONDS", 0.2)
    monkeypatch.setattr(sample, "CPU_SHARE", 1.0)


async def test_lines_become_patterns_of_their_scenario_and_a_bad_record_stops_nothing(
    settings: Settings, quick: None
) -> None:
    async with sampling(settings), asyncio.timeout(90):
        while not await templates(settings):  # it begins at the end of the log: what came before is not its own
            await publish(settings, [b"no record of ours"])
            await publish_requests(settings, analysed_request([f"order {n} accepted in {n} ms" for n in range(30)]))
            await asyncio.sleep(0.3)
    found = await templates(settings)
    # sink_process marks two of four lines as personal without a mark in the text: their text is not shown
    assert found.keys() == {"order <n> accepted in <n> ms", ""}
    assert sum(found.values()) % 30 == 0

    other = await make_tenant(settings, "other@example.com")
    api = await asyncpg.connect(settings.postgres_api_url)
    try:
        for tenant, rows in ((other.tenant_id, 0), (await _tenant_of_patterns(settings), 2)):
            async with api.transaction():
                await api.execute("SELECT set_config('app.current_tenant', $1, true)", str(tenant))
                assert await api.fetchval("SELECT count(DISTINCT template) FROM scenario_patterns") == rows
    finally:
        await api.close()


async def _tenant_of_patterns(settings: Settings) -> object:
    async with owner_connection(settings) as connection:
        return await connection.fetchval("SELECT tenant_id FROM scenario_patterns LIMIT 1")


async def test_a_database_that_is_down_only_delays_it(settings: Settings, quick: None) -> None:
    request = analysed_request(["disk full on node"])
    nowhere = re.sub(r"@[^/]*/", "@127.0.0.1:1/", settings.postgres_sink_url)
    pool = await open_pool(nowhere, settings, max_size=1)
    subject = PatternSampling(settings, pool)
    subject._collector.add(request)
    await subject._store()
    pool.terminate()
    subject._pool = await open_pool(settings.postgres_sink_url, settings, max_size=1)
    await subject._store()
    await subject._store()  # nothing new
    subject._pool.terminate()
    assert await templates(settings) == {"disk full on node": 1}


def test_a_large_request_is_sampled_evenly_and_weighted() -> None:
    collector = Collector()
    request = analysed_request([f"line {n}" for n in range(1050)])
    request.lines.pii_mask[:] = [0] * 1050
    assert collector.add(request) <= 100
    (row,) = collector.rows()
    assert (row.template, row.entries, row.tokens) == ("line <n>", 1050, 1050 * 7)
    collector.clear()
    assert collector.rows() == []
    assert collector.add(request)


def test_scenarios_held_at_once_are_bounded_and_old_hours_are_let_go() -> None:
    collector = Collector()
    for hour in range(2 * MAX_SCENARIOS):
        collector.add(analysed_request(["x"], received_at_us=1_800_000_000_000_000 + hour * 3_600_000_000))
    assert len(collector.rows()) == MAX_SCENARIOS
    collector.clear()
    assert len(collector._miners) == 2
