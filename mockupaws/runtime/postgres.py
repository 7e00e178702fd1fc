"""Connections to Postgres that are safe behind a transaction pooler, and the one way to act for a tenant.

Promises: no session state is ever set, so whichever server connection a pooler lends knows nothing of the tenant
before; every acquisition and statement has a limit; the tenant stands for one transaction and no longer. Statements are
prepared once for each connection that leads to the server itself, never through a pooler.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib import resources
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import asyncpg
from asyncpg.pgproto import pgproto

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
_KEPT_STATEMENTS = 100
"""Of a connection; each costs the server some hundred KB where it reads many partitions."""
_ISOLATION = {"read_committed": "READ COMMITTED", "repeatable_read": "REPEATABLE READ"}
_BLOCK_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)$", re.MULTILINE)


class QueryFileError(PermanentError):
    """A .sql file has a block without a name, a description or a statement."""


class _StatelessConnection(asyncpg.Connection):
    """Sends nothing when it is released: there is no session state to clear, and behind a transaction pooler
    the default `RESET ALL` would cost a round trip on some other server connection."""

    def get_reset_query(self) -> str:
        return ""

    def keep_statements(self) -> None:
        """A statement is prepared once, and parsed no more: not for a connection through a transaction pooler, which
        lends another server connection each time. asyncpg lets that be said only before it connects."""
        self._stmt_cache.set_max_size(_KEPT_STATEMENTS)  # type: ignore[attr-defined]
        self._stmt_cache_enabled = True


def uuids_of(identifiers: Iterable[bytes]) -> list[UUID]:
    """As parameters, of 16 bytes each: equal to `UUID(bytes=…)`, and made in a tenth of the time."""
    return list(map(pgproto.UUID, identifiers))


async def open_pool(url: str, settings: Settings, max_size: int = 10, application_name: str = "mockupaws") -> Pool:
    """A pool that connects on demand: it opens while the server is down, and recovers when the server does."""
    timeout = settings.postgres_timeout_seconds
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=max_size,
        statement_cache_size=0,  # until `init` has found no pooler
        init=_keep_statements_if_direct,
        max_inactive_connection_lifetime=60.0,
        timeout=timeout,
        command_timeout=timeout,
        connection_class=_StatelessConnection,
        server_settings={"application_name": application_name},
    )


async def _keep_statements_if_direct(connection: Connection) -> None:
    """A pooler tells its clients a process id of its own invention, so that they can cancel through it."""
    assert isinstance(connection, _StatelessConnection)
    if await connection.fetchval("SELECT pg_backend_pid()") == connection.get_server_pid():
        connection.keep_statements()


@asynccontextmanager
async def owner_connection(
    settings: Settings, application_name: str, command_seconds: float, **server_settings: str
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection of its own for upkeep by the owner of the tables, closed in the end."""
    connection = await asyncpg.connect(
        settings.postgres_owner_url,
        timeout=settings.postgres_timeout_seconds,
        command_timeout=command_seconds,
        statement_cache_size=0,
        server_settings={"application_name": application_name, **server_settings},
    )
    try:
        yield connection
    finally:
        await connection.close()


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

    The tenant and the statement timeout are set with SET LOCAL, so they end with the transaction however it ends. All
    is one simple query: one round trip, and nothing prepared. Within, asyncpg knows no savepoints.
    """
    tenant = UUID(int=tenant_id.int)  # nothing but a UUID gets into the text
    access = "READ ONLY" if readonly else "READ WRITE"
    begin = (
        f"BEGIN ISOLATION LEVEL {_ISOLATION[isolation]} {access};"
        f"SET LOCAL app.current_tenant = '{tenant}';"
        f"SET LOCAL statement_timeout = {int(timeout_seconds * 1000)};"
        "SET LOCAL max_parallel_workers_per_gather = 0;"  # to start them takes longer than a short read
        "SET LOCAL plan_cache_mode = force_custom_plan"  # one without the values would look at all lines of a scenario
    )
    async with pool.acquire(timeout=timeout_seconds) as connection:
        if connection.is_in_transaction():  # BEGIN would only warn, and go on in it
            raise asyncpg.InterfaceError("the connection was left in another transaction")
        try:
            await connection.execute(begin)
            yield connection
        except BaseException:
            if not connection.is_closed():
                await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")


def is_retriable(error: BaseException) -> bool:
    """Whether the same call may succeed later, perhaps on another connection or server."""
    if isinstance(error, asyncpg.PostgresError):
        return is_outdated(error) or (error.sqlstate or "").startswith(_RETRIABLE_CLASSES)
    return isinstance(error, _RETRIABLE_ERRORS) and not isinstance(error, asyncpg.exceptions.ClientConfigurationError)


def is_outdated(error: BaseException) -> bool:
    """Whether a migration has changed what a prepared statement answers: asyncpg prepares it anew the next time."""
    return isinstance(error, asyncpg.exceptions.InvalidCachedStatementError)


def is_connection_lost(error: BaseException) -> bool:
    """Whether the server went away under the call (it ended, was told to, or the connection broke), or what this
    connection had prepared is outdated: the same call on another connection may succeed at once."""
    if isinstance(error, asyncpg.PostgresError):
        return is_outdated(error) or (error.sqlstate or "").startswith(("08", "57P", "40001", "25001"))
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
