"""Connections to Postgres that are safe behind a transaction pooler, and the one way to act for a tenant.

Promises: no session state is ever set, so whichever server connection a pooler lends knows nothing of the tenant
before; every acquisition and statement has a limit; the tenant stands for one transaction and no longer.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import asyncpg

from mockupaws.runtime.errors import PermanentError

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from mockupaws.runtime.settings import Settings

    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:  # asyncpg's classes are generic for type checkers only
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection

_RETRIABLE_CLASSES = ("08", "53", "55", "57P", "58", "40", "25001", "25006", "25P03", "57014")
"""Connection, resources, lock not available, operator intervention, system error, serialization or deadlock, a
connection that a call given up left in its transaction (rolled back when the pool gets it back), a server that became
read-only (failover), a transaction that stood idle for too long, statement timeout."""

_RETRIABLE_ERRORS = (
    TimeoutError,
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_BLOCK_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)$", re.MULTILINE)


class QueryFileError(PermanentError):
    """A .sql file has a block without a name, a description or a statement."""


class _StatelessConnection(asyncpg.Connection):
    """Sends nothing when it is released: there is no session state to clear, and behind a transaction pooler
    the default `RESET ALL` would cost a round trip on some other server connection."""

    def get_reset_query(self) -> str:
        return ""


async def open_pool(url: str, settings: Settings, max_size: int = 10, application_name: str = "mockupaws") -> Pool:
    """A pool that connects on demand: it opens while the server is down, and recovers when the server does."""
    timeout = settings.postgres_timeout_seconds
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=max_size,
        statement_cache_size=0,  # a pooler in transaction mode lends another server connection each time
        max_inactive_connection_lifetime=60.0,
        timeout=timeout,
        command_timeout=timeout,
        connection_class=_StatelessConnection,
        server_settings={"application_name": application_name},
    )


@asynccontextmanager
async def tenant_transaction(
    pool: Pool,
    tenant_id: UUID,
    *,
    readonly: bool = False,
    timeout_seconds: float = 5.0,
    isolation: Literal["read_committed", "repeatable_read"] = "read_committed",
) -> AsyncIterator[Connection]:
    """One transaction in which row-level security shows and admits only this tenant's rows.

    The tenant and the statement timeout are set with SET LOCAL, so they end with the transaction however it ends.
    """
    async with (
        pool.acquire(timeout=timeout_seconds) as connection,
        connection.transaction(readonly=readonly, isolation=isolation),
    ):
        await connection.execute(
            "SELECT set_config('app.current_tenant', $1, true), set_config('statement_timeout', $2, true),"
            " set_config('max_parallel_workers_per_gather', '0', true)",  # to start them takes longer than a short read
            str(tenant_id),
            str(int(timeout_seconds * 1000)),
        )
        yield connection


def is_retriable(error: BaseException) -> bool:
    """Whether the same call may succeed later, perhaps on another connection or server."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_RETRIABLE_CLASSES)
    return isinstance(error, _RETRIABLE_ERRORS) and not isinstance(error, asyncpg.exceptions.ClientConfigurationError)


def is_connection_lost(error: BaseException) -> bool:
    """Whether the server went away under the call: it ended, was told to, or the connection broke."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(("08", "57P", "40001", "25001"))
    return isinstance(error, (ConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError))


def load_queries(package: str, file: str) -> dict[str, str]:
    """The statements of a .sql file by name. Each block: `-- name: x`, lines of description (`-- …`), the statement.

    Raises QueryFileError on a repeated name, or a block without description or statement.
    """
    text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
    pieces = _BLOCK_NAME.split(text)
    queries: dict[str, str] = {}
    for name, block in zip(pieces[1::2], pieces[2::2], strict=True):
        lines = block.strip().splitlines()
        statement = "\n".join(line for line in lines if not line.startswith("--")).strip().rstrip(";")
        if name in queries:
            raise QueryFileError(f"{file}: two blocks are named {name}")
        if not statement or not lines[0].startswith("-- "):
            raise QueryFileError(f"{file}: block {name} needs a description and a statement")
        queries[name] = statement
    if not queries:
        raise QueryFileError(f"{file}: has no `-- name:` block")
    return queries
