"""Where reads and writes go: replicas first and the primary after them; writes to the primary only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from mockupaws.api.errors import RefusedError
from mockupaws.runtime.postgres import Connection, Pool, is_retriable, open_pool, tenant_transaction
from mockupaws.runtime.settings import Settings

PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Reading:
    connection: Connection
    stale: bool
    """The primary is down: what is read is as new as the replica."""


@dataclass(frozen=True, slots=True)
class ServerState:
    name: str
    reachable: bool
    in_recovery: bool | None = None
    lag_seconds: float | None = None


class Databases:
    def __init__(self, primary: Pool, replicas: list[Pool], timeout_seconds: float) -> None:
        self.primary = primary
        self._replicas = replicas
        self._timeout_seconds = timeout_seconds
        self._next_replica = 0
        self._primary_down = False

    @classmethod
    async def open(cls, settings: Settings) -> Databases:
        """Opens while any of them is down."""
        urls = [url.strip() for url in settings.postgres_replica_urls.split(",") if url.strip()]
        primary = await open_pool(settings.postgres_api_url, settings, max_size=8, application_name="mockupaws-api")
        replicas = [await open_pool(url, settings, max_size=8, application_name="mockupaws-api") for url in urls]
        return cls(primary, replicas, settings.postgres_timeout_seconds)

    async def close(self) -> None:
        for pool in (self.primary, *self._replicas):
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    await pool.close()
            except TimeoutError:
                pool.terminate()

    @asynccontextmanager
    async def read(self, tenant_id: UUID) -> AsyncIterator[Reading]:
        """A read-only transaction of the tenant, all of one snapshot, on the first server that answers."""
        async with AsyncExitStack() as stack:
            yield await self._first_reachable(stack, tenant_id)

    async def _first_reachable(self, stack: AsyncExitStack, tenant_id: UUID) -> Reading:
        self._next_replica += 1
        turn = self._next_replica % len(self._replicas) if self._replicas else 0
        replicas = self._replicas[turn:] + self._replicas[:turn]
        for pool in (*replicas, self.primary):
            transaction = tenant_transaction(
                pool, tenant_id, readonly=True, timeout_seconds=self._timeout_seconds, isolation="repeatable_read"
            )
            try:
                connection = await stack.enter_async_context(transaction)
            except Exception as error:
                if not is_retriable(error):
                    raise
                continue
            return Reading(connection, stale=self._primary_down and pool is not self.primary)
        raise RefusedError("unavailable", "no database server answers; try again shortly")

    @asynccontextmanager
    async def write(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        async with tenant_transaction(self.primary, tenant_id, timeout_seconds=self._timeout_seconds) as connection:
            yield connection

    async def watch_primary(self) -> None:
        """Runs until cancelled; keeps `stale` true to the state of the primary."""
        while True:
            state = await self._state("primary", self.primary)
            self._primary_down = not state.reachable or state.in_recovery is True
            await asyncio.sleep(PROBE_SECONDS)

    async def states(self) -> list[ServerState]:
        named = [("primary", self.primary), *((f"replica-{n}", pool) for n, pool in enumerate(self._replicas, 1))]
        return await asyncio.gather(*(self._state(name, pool) for name, pool in named))

    async def _state(self, name: str, pool: Pool) -> ServerState:
        try:
            async with asyncio.timeout(self._timeout_seconds), pool.acquire() as connection:
                row = await connection.fetchrow(
                    "SELECT pg_is_in_recovery() AS in_recovery, CASE WHEN pg_is_in_recovery() THEN "
                    "extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 END AS lag_seconds"
                )
        except Exception as error:
            if not is_retriable(error):
                raise
            return ServerState(name, reachable=False)
        assert row is not None
        return ServerState(name, True, row["in_recovery"], row["lag_seconds"])
