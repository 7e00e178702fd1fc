"""One tenant's policy and key, read in a transaction of the tenant: for the API and the gateway's dry run."""

from __future__ import annotations

from uuid import UUID

from mockupaws.runtime.postgres import Connection, load_queries
from mockupaws.stream_processors.policies.apply_policy import DEFAULT_POLICY, CompiledPolicy
from mockupaws.stream_processors.policies.directory import PolicyRecord, compile_record
from mockupaws.stream_processors.policies.tenant_keys import TenantKey, unwrap_key

QUERIES = load_queries("mockupaws.stream_processors.policies", "queries.sql")


async def find_policy(connection: Connection, tenant_id: UUID, secret: str) -> CompiledPolicy:
    """The policy in force, compiled as the processor compiles it."""
    row = await connection.fetchrow(QUERIES["newest_policy"], tenant_id)
    if row is None:
        return DEFAULT_POLICY
    keys = [(key["number"], key["wrapped"]) for key in await connection.fetch(QUERIES["keys"], tenant_id)]
    return compile_record(PolicyRecord.of(tenant_id.bytes, row["version"], row["document"], keys), secret)[0]


async def find_keys(connection: Connection, tenant_id: UUID, secret: str) -> list[TenantKey]:
    """All keys of the tenant, the newest first. Raises KeyRefusedError where the secret is not theirs."""
    rows = await connection.fetch(QUERIES["keys"], tenant_id)
    return [unwrap_key(secret, tenant_id, row["number"], row["wrapped"]) for row in rows]
