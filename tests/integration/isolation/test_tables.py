"""Each table as the API's role sees it, through a real PgBouncer: the tenant's rows, no other's, and no partition."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from mockupaws.runtime.postgres import Connection, Pool, open_pool, tenant_transaction
from mockupaws.runtime.settings import Settings
from tests.integration.isolation.catalogue import TABLES
from tests.integration.isolation.pgbouncer import pgbouncer
from tests.integration.isolation.tenants import Tenant, seed, unseeded

NOW = datetime.now(UTC) - timedelta(minutes=2)  # noqa: TID251 - rows must fall into today's partitions
SECRET = "a secret of the test's own, long enough"
COLUMNS = """
    SELECT attname FROM pg_attribute
    WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
      AND has_column_privilege('mockupaws_api', attrelid, attnum, $2)
    ORDER BY attnum
"""


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    pool = await asyncpg.create_pool(settings.postgres_owner_url, min_size=1, max_size=2)
    yield pool
    await pool.close()


@pytest.fixture
async def tenants(settings: Settings, owner: asyncpg.Pool[asyncpg.Record]) -> tuple[Tenant, Tenant]:
    made = Tenant("A", "zqalphacanaryqz", 918_273_641), Tenant("B", "zqbravocanaryqz", 736_418_295)
    for tenant in made:
        await seed(owner, dataclasses.replace(settings, tenant_key_secret=SECRET), tenant, NOW)
        assert await unseeded(owner, tenant) == []
    return made


@pytest.fixture
async def pool(settings: Settings, tmp_path: Path) -> AsyncIterator[Pool]:
    with pgbouncer(settings.postgres_api_url, tmp_path / "pgbouncer") as url:
        patient = dataclasses.replace(settings, postgres_timeout_seconds=60.0)
        made = await open_pool(url, patient, application_name="test")
        yield made
        made.terminate()


async def leaks(pool: Pool, owner: asyncpg.Pool[asyncpg.Record], mine: Tenant, other: Tenant) -> list[str]:
    """What the role can see or change of `other` while it acts for `mine`."""
    found: list[str] = []
    for table, rule in TABLES.items():
        if not rule.of_tenants or not rule.api:
            continue
        key = "id" if table == "tenants" else "tenant_id"
        readable = ", ".join(f'"{row[0]}"' for row in await owner.fetch(COLUMNS, table, "SELECT"))
        changeable = [row[0] for row in await owner.fetch(COLUMNS, table, "UPDATE")]
        async with tenant_transaction(pool, mine.id, timeout_seconds=60.0) as connection:
            rows = await connection.fetch(f"SELECT {readable} FROM {table}")
            if not rows:
                found.append(f"{table} shows the tenant nothing")
            if any(row[key] != mine.id for row in rows) or other.canary in str(rows):
                found.append(f"{table} shows rows of another tenant")
            if await connection.fetch(f"SELECT 1 FROM {table} WHERE {key} = $1", other.id):
                found.append(f"{table} is found by another tenant's id")
            statements = [f"UPDATE {table} SET {changeable[0]} = {changeable[0]}"] if changeable else []
            statements += [f"DELETE FROM {table}"] if "DELETE" in rule.api else []
            found += [
                f"{statement} changes another tenant's rows"
                for statement in statements
                if await _changes(connection, f"{statement} WHERE {key} = $1", other)
            ]
            if "INSERT" in rule.api and await _inserts(connection, table, other):
                found.append(f"{table} takes a row of another tenant")
    return found


async def _changes(connection: Connection, statement: str, other: Tenant) -> bool:
    await connection.execute("SAVEPOINT before")
    done = await connection.execute(statement, other.id)
    await connection.execute("ROLLBACK TO SAVEPOINT before")
    return not done.endswith(" 0")


async def _inserts(connection: Connection, table: str, other: Tenant) -> bool:
    """One of the tenant's own rows, as another's."""
    statement = (
        f"INSERT INTO {table} SELECT (jsonb_populate_record(t, jsonb_build_object('tenant_id', $1::uuid))).*"
        f" FROM {table} AS t LIMIT 1"
    )
    await connection.execute("SAVEPOINT before")
    try:
        await connection.execute(statement, other.id)
    except asyncpg.InsufficientPrivilegeError as error:
        return "row-level security" not in str(error)
    except asyncpg.IntegrityConstraintViolationError:
        return True  # refused for another reason, which may tell that something exists
    finally:
        await connection.execute("ROLLBACK TO SAVEPOINT before")
    return True


async def test_a_role_that_acts_for_a_tenant_sees_and_changes_only_its_rows(
    pool: Pool, owner: asyncpg.Pool[asyncpg.Record], tenants: tuple[Tenant, Tenant]
) -> None:
    assert await leaks(pool, owner, *tenants) == []
    assert await leaks(pool, owner, *tenants[::-1]) == []
    for weakened, words in (
        ("ALTER POLICY tenant_only ON ingest_receipts USING (true)", "ingest_receipts shows rows of another tenant"),
        ("ALTER TABLE scenario_logs DISABLE ROW LEVEL SECURITY", "scenario_logs shows rows of another tenant"),
        ("ALTER POLICY tenant_only ON scenarios WITH CHECK (true)", "scenarios takes a row of another tenant"),
    ):
        await owner.execute(weakened)
        assert words in await leaks(pool, owner, *tenants), "the hunt doesn't see what it is for"


async def test_without_a_tenant_each_table_answers_with_an_error(
    pool: Pool, owner: asyncpg.Pool[asyncpg.Record], tenants: tuple[Tenant, Tenant]
) -> None:
    for table, rule in TABLES.items():
        if rule.of_tenants and rule.api:
            readable = ", ".join(f'"{row[0]}"' for row in await owner.fetch(COLUMNS, table, "SELECT"))
            async with pool.acquire() as connection:
                with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no tenant is set"):
                    await connection.fetch(f"SELECT {readable} FROM {table}")


async def test_no_partition_can_be_named_and_the_sinks_read_no_line(
    pool: Pool, settings: Settings, owner: asyncpg.Pool[asyncpg.Record], tenants: tuple[Tenant, Tenant]
) -> None:
    partitions = [row[0] for row in await owner.fetch("SELECT partition_table FROM partition_bounds")]
    assert len(partitions) > 10
    sink = await asyncpg.connect(settings.postgres_sink_url, timeout=10)
    try:
        async with pool.acquire() as connection:
            for partition in partitions:
                for role in (connection, sink):
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await role.fetch(f'SELECT * FROM "{partition}"')
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await sink.fetch("SELECT message_preview FROM scenario_logs")
    finally:
        await sink.close()
