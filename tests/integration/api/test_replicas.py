"""Reads on a real primary with two streaming replicas: where they go, and what they may not miss."""

from __future__ import annotations

import asyncio
import dataclasses
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx
import pytest

from mockupaws.api.app import build_app
from mockupaws.api.databases import FALLBACK_CONNECTIONS, READ_AFTER, WRITTEN, Databases
from mockupaws.api.errors import RefusedError
from mockupaws.runtime.migrations import create_database, create_roles, migrate
from mockupaws.runtime.settings import Settings
from tests.conftest import Demo, make_tenant
from tests.integration.api.replicated_postgres import Server, primary_with_replicas
from tests.running_services import ROLES

SECRET = "a secret of enough length for tests 1234567890"


async def installed(primary: Server, replicas: list[Server], home: Path) -> Settings:
    """A migrated database on the primary, and settings that know all three servers."""
    await create_roles(primary.server.superuser_url, dict.fromkeys(ROLES, "secret"))
    await create_database(primary.server.superuser_url, "mockupaws")

    def url(role: str, server: Server) -> str:
        return f"postgresql://{role}:secret@127.0.0.1:{server.port}/mockupaws"

    await migrate(url("mockupaws_owner", primary))
    return dataclasses.replace(
        Settings(),
        home=home,
        postgres_owner_url=url("mockupaws_owner", primary),
        postgres_api_url=url("mockupaws_api", primary),
        postgres_replica_urls=",".join(url("mockupaws_api", replica) for replica in replicas),
        postgres_timeout_seconds=5.0,
        replica_max_lag_seconds=0.5,
        api_key_pepper=SECRET,
        jwt_secret=SECRET,
        audit_key=SECRET,
    )


async def read(databases: Databases, tenant_id: uuid.UUID) -> tuple[int, int, bool]:
    """The port of the server that served, how many scenarios the tenant has there, and whether that is stale."""
    async with databases.read(tenant_id) as reading:
        row = await reading.connection.fetchrow("SELECT inet_server_port(), (SELECT count(*) FROM scenarios)")
        assert row is not None
        return row[0], row[1], reading.stale


async def add_scenario(databases: Databases, tenant_id: uuid.UUID) -> None:
    async with databases.write(tenant_id) as connection:
        await connection.execute(
            "INSERT INTO scenarios (id, tenant_id, name, region, architecture) VALUES ($1, $2, 'x', 'y', '{}')",
            uuid.uuid4(),
            tenant_id,
        )


async def look_until(databases: Databases, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        await databases.look()
        await asyncio.sleep(0.1)


async def test_reads_go_where_they_miss_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("replicated")
    async with primary_with_replicas(folder) as (primary, first, second):
        settings = await installed(primary, [first, second], folder)
        mine = await make_tenant(settings, "mine@example.com")
        other = await make_tenant(settings, "other@example.com")
        for replica in (first, second):
            await replica.until_replayed(primary)
        databases, elsewhere = await Databases.open(settings), await Databases.open(settings)
        try:
            await reads_follow_writes(databases, elsewhere, (primary, first, second), mine, other)
            await reads_pass_by_what_lags_or_fails(databases, (primary, first, second), mine.tenant_id)
            await the_primary_may_go(databases, settings, (primary, second), mine)
        finally:
            for opened in (databases, elsewhere):
                for pool in (opened.primary, opened.fallback, *opened.replicas):
                    pool.terminate()


async def reads_follow_writes(
    databases: Databases, elsewhere: Databases, servers: tuple[Server, Server, Server], mine: Demo, other: Demo
) -> None:
    primary, first, second = servers
    served = [await read(databases, mine.tenant_id) for _ in range(4)]
    assert {port for port, _, _ in served} == {first.port, second.port}
    for replica in (first, second):
        await replica.run("SELECT pg_wal_replay_pause()")
    await add_scenario(databases, mine.tenant_id)
    assert await read(databases, mine.tenant_id) == (primary.port, 2, False)
    assert (await read(databases, other.tenant_id))[0] != primary.port  # it has written nothing

    # Another process knows of the write by the header only.
    position = WRITTEN.get()
    assert position is not None
    assert (await read(elsewhere, mine.tenant_id))[1] == 1
    token = READ_AFTER.set(position)
    assert await read(elsewhere, mine.tenant_id) == (primary.port, 2, False)
    await first.run("SELECT pg_wal_replay_resume()")
    await first.until_replayed(primary)
    assert [await read(elsewhere, mine.tenant_id) for _ in range(2)] == [(first.port, 2, False)] * 2
    READ_AFTER.reset(token)
    assert [await read(databases, mine.tenant_id) for _ in range(2)] == [(first.port, 2, False)] * 2


async def reads_pass_by_what_lags_or_fails(
    databases: Databases, servers: tuple[Server, Server, Server], tenant_id: uuid.UUID
) -> None:
    primary, first, second = servers
    waiting = databases._replicas[1]  # the second: its replay is paused
    await look_until(databases, lambda: not waiting.serves)
    assert {(await read(databases, tenant_id))[0] for _ in range(4)} == {first.port}
    first.stop()
    assert [await read(databases, tenant_id) for _ in range(4)] == [(primary.port, 2, False)] * 4

    # What falls back leaves the primary's other connections to the writes.
    databases.timeout_seconds = 0.5
    async with asyncio.TaskGroup() as tasks:
        done, holding = asyncio.Event(), asyncio.Semaphore(0)

        async def hold() -> None:
            async with databases.read(tenant_id):
                holding.release()
                await done.wait()

        for _ in range(FALLBACK_CONNECTIONS):
            tasks.create_task(hold())
        for _ in range(FALLBACK_CONNECTIONS):
            await holding.acquire()
        with pytest.raises(RefusedError, match="too many reads wait"):
            await read(databases, tenant_id)
        await add_scenario(databases, tenant_id)
        done.set()
    databases.timeout_seconds = 5.0
    await second.run("SELECT pg_wal_replay_resume()")
    await second.until_replayed(primary)
    await look_until(databases, lambda: waiting.serves)
    assert await read(databases, tenant_id) == (second.port, 3, False)


async def the_primary_may_go(
    databases: Databases, settings: Settings, servers: tuple[Server, Server], mine: Demo
) -> None:
    primary, second = servers
    app = await build_app(settings)
    headers = {"Authorization": f"Bearer {mine.api_key}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", headers=headers) as client,
    ):
        path = f"/api/v1/scenarios/{mine.scenario_id}/summary"
        before = await client.get(path)
        assert before.status_code == 200, before.text
        assert before.json()["stale"] is False
        assert float(before.headers["replica-lag-seconds"]) < 60
        created = await client.post("/api/v1/scenarios", json={"name": "new"})
        again = await client.get(created.headers["location"], headers={"Read-After": created.headers["write-position"]})
        assert again.status_code == 200
        refused = await client.get(path, headers={"Read-After": "-1"})
        assert refused.json()["error"]["code"] == "invalid_parameter"
        primary.stop()
        deadline = time.monotonic() + 60
        while True:
            answered = await client.get(path)
            assert answered.status_code == 200, answered.text
            if answered.json()["stale"]:
                break
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)
        assert (await client.get("/health/db")).status_code == 503
        assert (await client.post("/api/v1/scenarios", json={"name": "new"})).status_code == 503
    await databases.look()
    assert await read(databases, mine.tenant_id) == (second.port, 4, True)
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        await add_scenario(databases, mine.tenant_id)
