"""The database itself keeps tenants apart, whatever a query forgets."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import asyncpg
import pytest

from mockupaws.runtime.settings import Settings


async def test_the_api_role_sees_its_tenant_only_and_no_partition(settings: Settings) -> None:
    mine, other = uuid.uuid4(), uuid.uuid4()
    owner = await asyncpg.connect(settings.postgres_owner_url)
    api = await asyncpg.connect(settings.postgres_api_url)
    try:
        for tenant in (mine, other):
            await owner.execute(
                "INSERT INTO scenario_metrics VALUES ($1, $2, now(), 'ingest', 'entries', 1, 'entries')",
                tenant,
                uuid.uuid4(),
            )
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no tenant is set"):
            await api.fetchval("SELECT count(*) FROM scenario_metrics")
        async with api.transaction():
            await api.execute("SELECT set_config('app.current_tenant', $1, true)", str(mine))
            assert [r["tenant_id"] for r in await api.fetch("SELECT tenant_id FROM scenario_metrics")] == [mine]
        partition = f"scenario_metrics_{datetime.now(UTC):%Y_%m_%d}"  # noqa: TID251 - the database uses its own now()
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api.fetch(f'SELECT * FROM "{partition}"')
    finally:
        await api.close()
        await owner.close()


async def test_the_sink_role_reads_no_log(settings: Settings) -> None:
    sink = await asyncpg.connect(settings.postgres_sink_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await sink.fetch("SELECT * FROM scenario_logs")
    finally:
        await sink.close()
