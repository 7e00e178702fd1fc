"""The tenant of a transaction, through a real PgBouncer: many tenants over few server connections, much going wrong.

What goes wrong on a server connection (an error, a timeout, a client that went away) must leave no tenant on it for
whoever gets it next, and who says no tenant gets an error, not the last one's rows.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from mockupaws.runtime.postgres import Connection, Pool, open_pool, tenant_transaction
from mockupaws.runtime.settings import Settings
from tests.integration.isolation.pgbouncer import BACKENDS, pgbouncer

TENANTS = 200
ROUNDS = 6
CLIENT_CONNECTIONS = 40
SEED = 4711
PATIENCE_SECONDS = 90.0
"""For a connection or a turn: a busy machine is no leak."""
SHARES = {"read": 6, "error": 2, "timeout": 1, "cancelled": 1, "write": 2, "foreign write": 1, "nothing": 2}
"""How often each kind of transaction comes."""


@pytest.fixture
async def pool(settings: Settings, tmp_path: Path) -> AsyncIterator[Pool]:
    """Of clients of a PgBouncer."""
    with pgbouncer(settings.postgres_api_url, tmp_path / "pgbouncer") as url:
        patient = dataclasses.replace(settings, postgres_timeout_seconds=PATIENCE_SECONDS)
        made = await open_pool(url, patient, max_size=CLIENT_CONNECTIONS, application_name="test")
        yield made
        made.terminate()


@pytest.fixture
async def tenants(settings: Settings) -> list[uuid.UUID]:
    """Each with a scenario."""
    ids = [uuid.uuid4() for _ in range(TENANTS)]
    owner = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    try:
        await owner.execute("INSERT INTO tenants (id, name) SELECT id, 'T' FROM unnest($1::uuid[]) AS id", ids)
        await owner.execute(
            "INSERT INTO scenarios (id, tenant_id, name, region, architecture)"
            " SELECT gen_random_uuid(), id, 'S', 'eu-west-1', '{}' FROM unnest($1::uuid[]) AS id",
            ids,
        )
    finally:
        await owner.close()
    return ids


async def test_each_row_is_the_callers_whatever_goes_wrong_before(pool: Pool, tenants: list[uuid.UUID]) -> None:
    seen: Counter[str] = Counter()
    backends: set[int] = set()
    chance = random.Random(SEED)

    async def look(tenant: uuid.UUID, connection: Connection) -> None:
        rows = await connection.fetch("SELECT tenant_id, pg_backend_pid() AS backend FROM scenarios")
        assert [row["tenant_id"] for row in rows] == [tenant]
        backends.add(rows[0]["backend"])

    async def act(tenant: uuid.UUID, what: str) -> None:
        try:
            async with tenant_transaction(pool, tenant, timeout_seconds=PATIENCE_SECONDS) as connection:
                await look(tenant, connection)
                match what:
                    case "error":
                        await connection.execute("SELECT 1 / 0")
                    case "timeout":
                        await connection.execute("SET LOCAL statement_timeout = '5ms'")
                        await connection.execute("SELECT pg_sleep(20)")
                    case "cancelled":
                        await connection.execute("SELECT pg_sleep(20)")
                    case "write":
                        updated = await connection.execute("UPDATE scenarios SET version = version + 1")
                        assert updated == "UPDATE 1"
                    case "foreign write":
                        other = tenants[(tenants.index(tenant) + 1) % TENANTS]
                        assert await connection.execute(
                            "UPDATE scenarios SET version = 0 WHERE tenant_id = $1", other
                        ) == "UPDATE 0"  # fmt: skip
                        await connection.execute("UPDATE scenarios SET tenant_id = $1", other)
                await look(tenant, connection)
        except (asyncpg.DivisionByZeroError, asyncpg.QueryCanceledError, asyncpg.InsufficientPrivilegeError) as error:
            seen[type(error).__name__] += 1
        except asyncio.CancelledError:
            seen["cancelled"] += 1
            raise
        seen[what] += 1

    async def cancel(tenant: uuid.UUID) -> None:
        task = asyncio.create_task(act(tenant, "cancelled"))
        await asyncio.wait([task], timeout=chance.uniform(0.01, 0.2))
        task.cancel()
        await asyncio.wait([task])

    async def say_nothing() -> None:
        async with pool.acquire() as connection, connection.transaction():
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no tenant is set"):
                await connection.fetch("SELECT tenant_id FROM scenarios")
        seen["nothing said"] += 1

    work = [
        (tenant, what)
        for tenant in tenants
        for what in chance.choices(
            ["read", "error", "timeout", "cancelled", "write", "foreign write", "nothing"],
            [6, 2, 1, 1, 2, 1, 2],
            k=ROUNDS,
        )
    ]
    chance.shuffle(work)
    async with asyncio.TaskGroup() as group:
        for tenant, what in work:
            match what:
                case "cancelled":
                    group.create_task(cancel(tenant))
                case "nothing":
                    group.create_task(say_nothing())
                case _:
                    group.create_task(act(tenant, what))
    assert len(backends) <= BACKENDS + seen["cancelled"], "PgBouncer replaces a server whose query was cancelled"
    assert {"read", "DivisionByZeroError", "QueryCanceledError", "cancelled", "write", "nothing said"} <= seen.keys()
    assert seen["InsufficientPrivilegeError"], "writing a row into another tenant was not refused"
    print(f"\n{TENANTS} tenants, {len(work)} transactions over {BACKENDS} server connections: {dict(seen)}; 0 leaks")


@pytest.mark.parametrize("said", [None, "", "not a uuid"])
async def test_no_tenant_is_an_error(pool: Pool, tenants: list[uuid.UUID], said: str | None) -> None:
    async with pool.acquire() as connection:
        if said is not None:
            await connection.execute("SELECT set_config('app.current_tenant', $1, true)", said)
        for statement in ("SELECT * FROM scenarios", "SELECT count(*) FROM users", "UPDATE scenarios SET version = 2"):
            async with connection.transaction():
                await connection.execute("SELECT set_config('app.current_tenant', $1, true)", said or "")
                with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.InvalidTextRepresentationError)):
                    await connection.fetch(statement)


async def test_a_tenant_stands_for_one_transaction(pool: Pool, tenants: list[uuid.UUID]) -> None:
    for _ in range(3 * BACKENDS):  # each server connection has had a tenant then
        async with tenant_transaction(pool, tenants[0]) as connection:
            assert await connection.fetchval("SELECT count(*) FROM scenarios") == 1
        async with pool.acquire() as connection:
            assert await connection.fetchval("SELECT coalesce(current_setting('app.current_tenant', true), '')") == ""
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no tenant is set"):
                await connection.fetch("SELECT tenant_id FROM scenarios")


async def test_nothing_is_prepared_through_a_pooler(pool: Pool, tenants: list[uuid.UUID]) -> None:
    for _ in range(2 * BACKENDS):
        async with tenant_transaction(pool, tenants[0], readonly=True) as connection:
            assert await connection.fetchval("SELECT count(*) FROM scenarios") == 1
            assert await connection.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == 0
