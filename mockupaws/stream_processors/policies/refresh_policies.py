"""Keeps a `PolicyDirectory` fresh from Postgres, and its snapshot on disk."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg

from mockupaws.runtime.postgres import is_retriable, load_queries, open_pool
from mockupaws.runtime.replace_file import replace_file
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import POLICIES_AGE_SECONDS, POLICY_PROBLEMS, get_logger
from mockupaws.stream_processors.policies.apply_policy import CompiledPolicy
from mockupaws.stream_processors.policies.directory import PolicyDirectory, PolicyRecord

SNAPSHOT_FILE = "policies.snapshot"
OVERLAP = timedelta(seconds=10)
"""A transaction that began before the last refresh may commit after it with an older `created_at`."""

_EPOCH = datetime.fromtimestamp(0, UTC)
_QUERIES = load_queries("mockupaws.stream_processors.policies", "queries.sql")
_log = get_logger(__name__)


class RefreshedPolicies:
    """All tenants' policies, refreshed every `policy_refresh_seconds` by `run`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._path: Path = settings.home / SNAPSHOT_FILE
        self._directory = PolicyDirectory(settings.tenant_key_secret)
        self._loaded = asyncio.Event()
        self._refreshed_at: float | None = None
        self._told: set[str] = set()

    def policy_of(self, tenant_id: bytes) -> CompiledPolicy:
        """To be asked once `wait_until_loaded` has returned: what was never loaded must not be taken for default."""
        return self._directory.policy_of(tenant_id)

    @property
    def loaded(self) -> bool:
        return self._loaded.is_set()

    async def wait_until_loaded(self) -> None:
        await self._loaded.wait()

    async def run(self) -> None:
        """Refreshes until cancelled; a database that is down leaves the copy as it is."""
        self._load_snapshot()
        settings = self._settings
        pool = await open_pool(settings.postgres_api_url, settings, max_size=1, application_name="mockupaws-policies")
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    async with asyncio.timeout(settings.postgres_timeout_seconds):
                        rows = await pool.fetch(_QUERIES["changed_policies"], self._since())
                    await self._take(rows)
                    self._refreshed_at = loop.time()
                except Exception as error:
                    if not is_retriable(error):
                        raise
                    _log.warning("policies_not_refreshed", error=type(error).__name__, loaded=self.loaded)
                if self._refreshed_at is not None:
                    POLICIES_AGE_SECONDS.set(loop.time() - self._refreshed_at)
                await asyncio.sleep(settings.policy_refresh_seconds)
        finally:
            pool.terminate()

    def _since(self) -> datetime:
        newest = datetime.fromtimestamp(self._directory.changed_us / 1e6, UTC)
        return max(newest - OVERLAP, _EPOCH)

    async def _take(self, rows: list[asyncpg.Record]) -> None:
        newest = max(((row["created_at"] - _EPOCH) // timedelta(microseconds=1) for row in rows), default=0)
        differs = self._directory.apply([_record_of(row) for row in rows], newest)
        self._tell_problems()
        if differs or not self._path.exists():
            try:
                await asyncio.to_thread(replace_file, self._path, self._directory.to_snapshot(), 0o600)
            except OSError as error:  # only a start without a database needs the file
                _log.error("policies_snapshot_not_written", error=type(error).__name__)
        self._loaded.set()

    def _load_snapshot(self) -> None:
        with contextlib.suppress(OSError):
            usable = self._directory.load_snapshot(self._path.read_bytes())
            _log.info("policies_snapshot_read", usable=usable)
            if usable:
                self._tell_problems()
                self._loaded.set()

    def _tell_problems(self) -> None:
        problems = self._directory.problems
        POLICY_PROBLEMS.set(len(problems))
        told = {f"{UUID(bytes=tenant_id)}: {problem}" for tenant_id, problem in problems.items()}
        for problem in sorted(told - self._told):
            _log.error("policy_not_applied_as_written", problem=problem)
        self._told = told


def _record_of(row: asyncpg.Record) -> PolicyRecord:
    keys = list(zip(row["key_numbers"], row["wrapped_keys"], strict=True))
    return PolicyRecord.of(row["tenant_id"].bytes, row["version"], row["document"], keys)
