"""Keeps a `Directory` fresh from Postgres, and its snapshot on disk."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mockupaws.cost_model.tokenizers import tokenizer_of
from mockupaws.ingest_gateway.directory import Directory, KeyRecord, ScenarioRecord
from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.runtime.access_tokens import TokenClaims
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.limits.plan_feed import PlanFeed
from mockupaws.runtime.postgres import is_retriable, load_queries
from mockupaws.runtime.replace_file import replace_file
from mockupaws.runtime.revocations import RevocationFeed
from mockupaws.runtime.telemetry import DIRECTORY_AGE_SECONDS, get_logger

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Pool

OVERLAP = timedelta(seconds=10)
"""A transaction that began before the last refresh may commit after it with an older `updated_at`."""
MISS_SECONDS = 2.0
"""How long a key or scenario the database didn't know is refused without asking again."""
MAX_MISSES = 10_000
MAX_LOOK_UPS = 4
"""Look-ups at once: a flood of made-up keys must not become a flood of queries."""

_QUERIES = load_queries("mockupaws.ingest_gateway", "queries.sql")
_log = get_logger(__name__)


class RefreshedDirectory:
    """The directory, refreshed every `refresh_seconds` by `run`, with direct look-ups for what it doesn't hold yet."""

    def __init__(
        self, pool: Pool, snapshot_path: Path, refresh_seconds: float, timeout_seconds: float, clock: Clock
    ) -> None:
        self.revocations = RevocationFeed(pool, timeout_seconds)
        self._plans = PlanFeed(pool, timeout_seconds)
        self.directory = Directory(self.revocations.tokens, self._plans.plans)
        self._pool = pool
        self._clock = clock
        self._path = snapshot_path
        self._refresh_seconds = refresh_seconds
        self._timeout_seconds = timeout_seconds
        self._misses: OrderedDict[str | bytes, float] = OrderedDict()
        self._look_ups = asyncio.Semaphore(MAX_LOOK_UPS)
        self._refreshed_at: float | None = None

    def load_snapshot(self) -> None:
        """Starts from what the last process knew, where that can be read."""
        with contextlib.suppress(OSError):
            loaded = self.directory.load_snapshot(self._path.read_bytes())
            self.revocations.known = self.revocations.known or loaded
            _log.info("directory_snapshot_read", usable=loaded)

    async def run(self) -> None:
        """Refreshes until cancelled; a database that is down leaves the directory as it is."""
        while True:
            try:
                await self.refresh()
            except Exception as error:
                if not is_retriable(error):
                    raise
                _log.warning("directory_not_refreshed", error=type(error).__name__)
            if self._refreshed_at is not None:
                DIRECTORY_AGE_SECONDS.set(asyncio.get_running_loop().time() - self._refreshed_at)
            await asyncio.sleep(self._refresh_seconds)

    async def refresh(self) -> None:
        since = datetime.fromtimestamp(self.directory.changed_us / 1e6, UTC)
        since = max(since - OVERLAP, datetime.fromtimestamp(0, UTC))
        async with asyncio.timeout(self._timeout_seconds), self._pool.acquire() as connection:
            keys = await connection.fetch(_QUERIES["changed_api_keys"], since)
            scenarios = await connection.fetch(_QUERIES["changed_scenarios"], since)
        newest = max((_us(row["updated_at"]) for row in (*keys, *scenarios)), default=0)
        differs = self.directory.apply(
            [_key_record(row["prefix"], row) for row in keys],
            [_scenario_record(row["id"].bytes, row, row["deleted"]) for row in scenarios],
            newest,
        )
        differs = await self.revocations.refresh(self._clock.now_us()) or differs
        differs = await self._plans.refresh() or differs
        self._refreshed_at = asyncio.get_running_loop().time()
        if differs:
            try:
                await asyncio.to_thread(replace_file, self._path, self.directory.to_snapshot(), 0o600)
            except OSError as error:  # only a start without a database needs the file
                _log.error("directory_snapshot_not_written", error=type(error).__name__)

    async def find_key(self, prefix: str) -> KeyRecord | None:
        """Raises RefusedError (503) where the directory doesn't hold it and the database can't be asked."""
        known = self.directory.key(prefix)
        if known is not None or self._missed(prefix):
            return known
        row = await self._look_up(lambda: self._pool.fetchrow(_QUERIES["find_api_key"], prefix))
        if row is None:
            self._note_miss(prefix)
            return None
        self.directory.apply([_key_record(prefix, row)], [], 0)
        return self.directory.key(prefix)

    async def look_again(self, prefix: str) -> None:
        """Does for a key that is held what `find_key` does for one that isn't, so that neither is the faster answer.

        Raises RefusedError as `find_key` does.
        """
        if not self._missed(prefix):
            await self._look_up(lambda: self._pool.fetchrow(_QUERIES["find_api_key"], prefix))
            self._note_miss(prefix)

    def is_revoked(self, claims: TokenClaims) -> bool:
        """Raises RefusedError (503) where what is revoked was never read, here or by the process before."""
        if not self.revocations.known:
            raise RefusedError("directory_unavailable", "the credential can't be checked yet; send again later")
        return self.directory.revoked.refuses(claims)

    async def find_scenario(self, scenario_id: bytes) -> ScenarioRecord | None:
        """Raises RefusedError (503) as `find_key` does."""
        known = self.directory.scenario(scenario_id)
        if known is not None or self._missed(scenario_id):
            return known
        wanted = UUID(bytes=scenario_id)
        row = await self._look_up(lambda: self._pool.fetchrow(_QUERIES["find_scenario"], wanted))
        if row is None:
            self._note_miss(scenario_id)
            return None
        self.directory.apply([], [_scenario_record(scenario_id, row)], 0)
        return self.directory.scenario(scenario_id)

    async def _look_up(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        try:
            async with asyncio.timeout(self._timeout_seconds), self._look_ups:
                return await ask()
        except Exception as error:
            if not is_retriable(error):
                raise
            raise RefusedError(
                "directory_unavailable", "the credential or scenario can't be checked now; send again later"
            ) from error

    def _missed(self, name: str | bytes) -> bool:
        at = self._misses.get(name)
        return at is not None and asyncio.get_running_loop().time() - at < MISS_SECONDS

    def _note_miss(self, name: str | bytes) -> None:
        self._misses[name] = asyncio.get_running_loop().time()
        self._misses.move_to_end(name)
        if len(self._misses) > MAX_MISSES:
            self._misses.popitem(last=False)


def _key_record(prefix: str, row: Any) -> KeyRecord:
    expires = row["expires_at"]
    return KeyRecord(
        prefix,
        row["tenant_id"].bytes,
        row["secret_hmac"],
        list(row["scopes"]),
        None if expires is None else _us(expires),
        row["revoked_at"] is not None,
    )


def _scenario_record(scenario_id: bytes, row: Any, deleted: bool = False) -> ScenarioRecord:
    encoding = tokenizer_of(row["model_id"] or "").encoding
    return ScenarioRecord(scenario_id, row["tenant_id"].bytes, deleted, encoding)


def _us(moment: datetime) -> int:
    return int((moment - datetime.fromtimestamp(0, UTC)) / timedelta(microseconds=1))
