from __future__ import annotations

import asyncio

import asyncpg
import pytest

from mockupaws.runtime.postgres import is_connection_lost, is_retriable, open_pool, tenant_transaction
from mockupaws.runtime.settings import Settings
from tests.conftest import Demo

SEEN = "SELECT current_setting('app.current_tenant', true), (SELECT count(*) FROM scenarios)"


@pytest.mark.parametrize("ending", ["commit", "rollback", "cancel"])
async def test_the_tenant_ends_with_the_transaction(settings: Settings, demo: Demo, ending: str) -> None:
    pool = await open_pool(settings.postgres_api_url, settings, max_size=1)
    inside = asyncio.Event()

    async def act() -> None:
        async with tenant_transaction(pool, demo.tenant_id) as connection:
            assert tuple(await connection.fetchrow(SEEN) or ()) == (str(demo.tenant_id), 1)
            inside.set()
            if ending == "rollback":
                raise ZeroDivisionError
            if ending == "cancel":
                await connection.execute("SELECT pg_sleep(30)")

    task = asyncio.create_task(act())
    await inside.wait()
    if ending == "cancel":
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with pool.acquire() as connection:
        assert not await connection.fetchval("SELECT current_setting('app.current_tenant', true)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no tenant is set"):
            await connection.fetch("SELECT id FROM scenarios")
    await pool.close()


async def test_a_statement_has_a_limit_and_it_is_retriable(settings: Settings, demo: Demo) -> None:
    pool = await open_pool(settings.postgres_api_url, settings)
    with pytest.raises(asyncpg.QueryCanceledError) as caught:
        async with tenant_transaction(pool, demo.tenant_id, timeout_seconds=0.2) as connection:
            await connection.execute("SELECT pg_sleep(5)")
    assert is_retriable(caught.value)
    with pytest.raises(asyncpg.PostgresError) as refused:
        async with tenant_transaction(pool, demo.tenant_id, readonly=True) as connection:
            await connection.execute("SELECT 1 / 0")
    assert not is_retriable(refused.value)
    await pool.close()


async def test_a_statement_is_prepared_once_and_anew_after_a_migration(settings: Settings, demo: Demo) -> None:
    owner = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    await owner.execute("CREATE TABLE growing AS SELECT 1 AS a; GRANT SELECT ON growing TO mockupaws_api")
    pool = await open_pool(settings.postgres_api_url, settings, max_size=1)

    async def look() -> tuple[int, ...]:
        async with tenant_transaction(pool, demo.tenant_id, readonly=True) as connection:
            return tuple(await connection.fetchrow("SELECT * FROM growing") or ())

    assert await look() == await look() == (1,)
    async with pool.acquire() as connection:
        prepared = "SELECT count(*), sum(generic_plans + custom_plans) FROM pg_prepared_statements WHERE statement ~ $1"
        assert tuple(await connection.fetchrow(prepared, "FROM growing") or ()) == (1, 2)
    await owner.execute("ALTER TABLE growing ADD b int DEFAULT 2")
    with pytest.raises(asyncpg.FeatureNotSupportedError) as outdated:
        await look()
    assert is_retriable(outdated.value)
    assert is_connection_lost(outdated.value)
    assert await look() == (1, 2)
    await owner.close()
    await pool.close()
