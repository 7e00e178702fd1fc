"""What an operator does with tenants' data on the command line stands in those tenants' audit logs, too."""

from __future__ import annotations

import getpass
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from mockupaws.runtime.audit import AuditEntry, Origin, append_entry
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.errors import RetriableError
from mockupaws.runtime.settings import Settings

OPERATOR = "operator"
_TIMEOUT_SECONDS = 10


class NotRecordedError(RetriableError):
    """Postgres doesn't answer, so what was asked for isn't done: it would leave no trace."""


async def record_as_operator(
    settings: Settings, tenant_ids: Iterable[UUID], action: str, target: str, details: Mapping[str, Any]
) -> None:
    """One entry for each tenant, before it is done. Raises NotRecordedError."""
    async with as_owner(settings) as connection, connection.transaction():
        await append_as_operator(connection, settings, tenant_ids, action, target, details)


async def append_as_operator(
    connection: asyncpg.Connection[asyncpg.Record],
    settings: Settings,
    tenant_ids: Iterable[UUID],
    action: str,
    target: str,
    details: Mapping[str, Any],
) -> None:
    """The same, in the caller's transaction."""
    origin = Origin(f"cli:{getpass.getuser()}")
    now = datetime.fromtimestamp(SystemClock().now_us() / 1e6, UTC)
    for tenant_id in sorted(tenant_ids):  # in one order: two operators mustn't wait for one another
        entry = AuditEntry(
            tenant_id=tenant_id, actor=OPERATOR, action=action, target=target, origin=origin, details=details
        )
        await append_entry(connection, settings.audit_key, entry, now)


async def tenants_of_scenario(settings: Settings, scenario_id: UUID) -> list[UUID]:
    """Its tenant, or none where it is unknown. Raises NotRecordedError."""
    async with as_owner(settings) as connection:
        return [
            row["tenant_id"]
            for row in await connection.fetch("SELECT tenant_id FROM scenarios WHERE id = $1", scenario_id)
        ]


@asynccontextmanager
async def as_owner(settings: Settings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Raises NotRecordedError where the database can't be reached or refuses, but for a violated constraint."""
    try:
        connection = await asyncpg.connect(
            settings.postgres_owner_url, timeout=_TIMEOUT_SECONDS, command_timeout=_TIMEOUT_SECONDS
        )
        try:
            yield connection
        finally:
            await connection.close()
    except asyncpg.IntegrityConstraintViolationError:
        raise
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise NotRecordedError(
            f"Postgres doesn't answer or refuses ({type(error).__name__}), so that nothing was done, and nothing "
            "written to the audit log: look at `mockupaws status`, then try again"
        ) from error
