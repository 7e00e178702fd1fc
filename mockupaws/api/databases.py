"""Where reads and writes go: writes to the primary, reads to replicas that are close behind it, else to the primary.

A tenant reads its own writes: each write notes the primary's position, and that tenant's reads pass by replicas that
haven't replayed it. The position also travels as a header (`Write-Position`), for clients whose next read may reach
another process. Reads of replicas that fall back share a small pool of the primary, so that writes go on.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from mockupaws.api.errors import RefusedError
from mockupaws.runtime.postgres import Connection, Pool, is_retriable, open_pool, tenant_transaction
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import API_READS, REPLICA_LAG_SECONDS

PROBE_SECONDS = 2.0
FALLBACK_CONNECTIONS = 4
"""To the primary, for the reads that no replica serves."""
_MAX_TENANTS = 10_000
_STATE = """
    SELECT pg_is_in_recovery() AS in_recovery,
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0'
               AS position,
           CASE WHEN pg_is_in_recovery()
                THEN extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 END AS since_replay
"""
WRITTEN: ContextVar[int | None] = ContextVar("written", default=None)
"""The primary's position after what this request wrote."""
READ_AFTER: ContextVar[int] = ContextVar("read_after", default=0)
"""The position this request's reads must not be behind, as its client says."""


@dataclass(frozen=True, slots=True)
class Reading:
    connection: Connection
    stale: bool
    """The primary is down: what is read is as new as the replica."""
    lag_seconds: float
    """How far the server was behind the primary when it was last looked at; 0 for the primary."""


LAST_READING: ContextVar[Reading | None] = ContextVar("last_reading", default=None)
"""What this request has read from last."""

DATA_THROUGH: ContextVar[datetime | None] = ContextVar("data_through", default=None)
"""received_at of the newest stored line of the scenario this request reads the traffic of; of two, the earlier."""


@dataclass(frozen=True, slots=True)
class ServerState:
    name: str
    reachable: bool
    in_recovery: bool | None = None
    lag_seconds: float | None = None


@dataclass(slots=True)
class _Replica:
    pool: Pool
    serves: bool = True
    position: int = 0
    lag_seconds: float = 0.0


@dataclass(slots=True)
class Databases:
    primary: Pool
    replicas: list[Pool]
    fallback: Pool
    """The primary's, for reads."""
    timeout_seconds: float
    max_lag_seconds: float
    _replicas: list[_Replica] = field(init=False)
    _next: int = 0
    _primary_down: bool = False
    _written: OrderedDict[UUID, int] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self._replicas = [_Replica(pool) for pool in self.replicas]

    @classmethod
    async def open(cls, settings: Settings) -> Databases:
        """Opens while any of them is down."""
        urls = [url.strip() for url in settings.postgres_replica_urls.split(",") if url.strip()]
        primary = await open_pool(settings.postgres_api_url, settings, max_size=8, application_name="mockupaws-api")
        replicas = [await open_pool(url, settings, max_size=8, application_name="mockupaws-api") for url in urls]
        fallback = primary
        if replicas:
            fallback = await open_pool(
                settings.postgres_api_url,
                settings,
                max_size=FALLBACK_CONNECTIONS,
                application_name="mockupaws-api-reads",
            )
        return cls(primary, replicas, fallback, settings.postgres_timeout_seconds, settings.replica_max_lag_seconds)

    async def close(self) -> None:
        for pool in {self.primary, self.fallback, *self.replicas}:
            try:
                async with asyncio.timeout(self.timeout_seconds):
                    await pool.close()
            except TimeoutError:
                pool.terminate()

    @asynccontextmanager
    async def read(self, tenant_id: UUID) -> AsyncIterator[Reading]:
        """A read-only transaction of the tenant, all of one snapshot that holds what the tenant has written here."""
        async with AsyncExitStack() as stack:
            reading = await self._first_reachable(stack, tenant_id)
            LAST_READING.set(reading)
            yield reading

    async def _first_reachable(self, stack: AsyncExitStack, tenant_id: UUID) -> Reading:
        after = max(READ_AFTER.get(), self._written.get(tenant_id, 0))
        for replica in self._in_turn():
            try:
                if replica.position < after and not await self._has_replayed(replica, after):
                    continue
                connection = await stack.enter_async_context(self._transaction(replica.pool, tenant_id))
            except Exception as error:
                if not is_retriable(error):
                    raise
                replica.serves = False  # until a probe finds it again: nobody else waits for it
                continue
            API_READS.labels("replica").inc()
            return Reading(connection, self._primary_down, replica.lag_seconds)
        try:
            connection = await stack.enter_async_context(self._transaction(self.fallback, tenant_id))
        except Exception as error:
            if not is_retriable(error):
                raise
            if isinstance(error, TimeoutError) and not self._primary_down:
                raise RefusedError(
                    "unavailable", "the database is slow, or too many reads wait for it; try again shortly"
                ) from None
            return await self._whatever_there_is(stack, tenant_id)
        API_READS.labels("primary").inc()
        return Reading(connection, stale=False, lag_seconds=0.0)

    async def _whatever_there_is(self, stack: AsyncExitStack, tenant_id: UUID) -> Reading:
        """Without a primary a replica serves however far it is behind, and says so."""
        for replica in self._replicas:
            try:
                connection = await stack.enter_async_context(self._transaction(replica.pool, tenant_id))
            except Exception as error:
                if not is_retriable(error):
                    raise
                continue
            API_READS.labels("stale_replica").inc()
            return Reading(connection, stale=True, lag_seconds=replica.lag_seconds)
        raise RefusedError("unavailable", "no database server answers; try again shortly")

    def _in_turn(self) -> list[_Replica]:
        self._next += 1
        turn = self._next % len(self._replicas) if self._replicas else 0
        return [replica for replica in self._replicas[turn:] + self._replicas[:turn] if replica.serves]

    def _transaction(self, pool: Pool, tenant_id: UUID) -> AbstractAsyncContextManager[Connection]:
        return tenant_transaction(
            pool, tenant_id, readonly=True, timeout_seconds=self.timeout_seconds, isolation="repeatable_read"
        )

    async def _has_replayed(self, replica: _Replica, position: int) -> bool:
        """Asked before the snapshot is taken: a snapshot holds what was replayed before it."""
        async with replica.pool.acquire(timeout=self.timeout_seconds) as connection:
            replica.position = int(await connection.fetchval("SELECT pg_last_wal_replay_lsn() - '0/0'"))
        return replica.position >= position

    @asynccontextmanager
    async def write(self, tenant_id: UUID) -> AsyncIterator[Connection]:
        async with tenant_transaction(self.primary, tenant_id, timeout_seconds=self.timeout_seconds) as connection:
            yield connection
        if self._replicas:
            await self._note_write(tenant_id)

    async def _note_write(self, tenant_id: UUID) -> None:
        try:
            async with self.primary.acquire(timeout=self.timeout_seconds) as connection:
                position = int(await connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'"))
        except Exception as error:
            if not is_retriable(error):
                raise
            return  # the write stands; what can't be told is only how far its readers have to wait
        WRITTEN.set(position)
        self._written.pop(tenant_id, None)
        self._written[tenant_id] = position
        if len(self._written) > _MAX_TENANTS:
            self._written.popitem(last=False)

    async def watch(self) -> None:
        """Runs until cancelled; knows which replicas may serve, and whether the primary does."""
        while True:
            await self.look()
            await asyncio.sleep(PROBE_SECONDS)

    async def look(self) -> None:
        """At each server once."""
        primary, position, _ = await self._probe("primary", self.primary)
        self._primary_down = not primary.reachable or primary.in_recovery is True
        probes = [self._probe(f"replica-{n}", replica.pool) for n, replica in enumerate(self._replicas, 1)]
        for replica, (state, replayed, since) in zip(self._replicas, await asyncio.gather(*probes), strict=True):
            replica.position = replayed
            replica.lag_seconds = 0.0 if replayed >= position and not self._primary_down else since
            near = replica.lag_seconds <= self.max_lag_seconds or self._primary_down
            replica.serves = state.reachable and near
            REPLICA_LAG_SECONDS.labels(state.name).set(replica.lag_seconds)

    async def states(self) -> list[ServerState]:
        named = [("primary", self.primary), *((f"replica-{n}", pool) for n, pool in enumerate(self.replicas, 1))]
        return [state for state, _, _ in await asyncio.gather(*(self._probe(name, pool) for name, pool in named))]

    async def _probe(self, name: str, pool: Pool) -> tuple[ServerState, int, float]:
        """Its state, its position in the log, and how long ago what it has replayed last was committed."""
        try:
            async with asyncio.timeout(self.timeout_seconds), pool.acquire() as connection:
                row = await connection.fetchrow(_STATE)
        except Exception as error:
            if not is_retriable(error):
                raise
            return ServerState(name, reachable=False), 0, 0.0
        assert row is not None
        since = row["since_replay"] or 0.0
        return ServerState(name, True, row["in_recovery"], row["since_replay"]), int(row["position"]), since
