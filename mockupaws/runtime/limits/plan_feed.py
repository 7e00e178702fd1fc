"""The tenants' plans, and the tokens they have stored today: copies of what Postgres holds, kept fresh."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from mockupaws.runtime.postgres import is_retriable
from mockupaws.runtime.telemetry import get_logger
from mockupaws.schemas.limits import TenantPlan

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Pool

OVERLAP = timedelta(seconds=10)
"""A transaction that began before the last reading may commit after it with an older `limits_changed_at`."""
WANTED_SECONDS = 60.0
"""How long after a tenant's last request its tokens are still read."""
MAX_WANTED = 1000
"""Tenants whose tokens are read at a time; those asked for longest ago wait for the next time."""
_EPOCH = datetime.fromtimestamp(0, UTC)
_CHANGED = "SELECT tenant_id, tier, overrides, changed_at FROM changed_limits($1)"
_TOKENS = "SELECT tenant_id, tokens, resets_in FROM tokens_today($1)"
_log = get_logger(__name__)


class TenantPlans:
    """By tenant. Pure."""

    def __init__(self) -> None:
        self._plans: dict[bytes, TenantPlan] = {}

    def find(self, tenant_id: UUID) -> TenantPlan | None:
        return self._plans.get(tenant_id.bytes)

    def apply(self, plans: Iterable[TenantPlan]) -> bool:
        """Whether anything differs from before."""
        differs = False
        for plan in plans:
            differs = differs or self._plans.get(plan.tenant_id) != plan
            self._plans[plan.tenant_id] = plan
        return differs

    def all(self) -> list[TenantPlan]:
        return list(self._plans.values())


class PlanFeed:
    """Keeps a copy as new as its last `refresh`."""

    def __init__(self, pool: Pool, timeout_seconds: float) -> None:
        self.plans = TenantPlans()
        self._pool = pool
        self._timeout_seconds = timeout_seconds
        self._newest = _EPOCH + OVERLAP

    async def refresh(self) -> bool:
        """Reads what was changed since the last time; answers whether anything was. Raises what asyncpg raises."""
        async with asyncio.timeout(self._timeout_seconds):
            rows = await self._pool.fetch(_CHANGED, self._newest - OVERLAP)
        self._newest = max([self._newest, *(row["changed_at"] for row in rows)])
        return self.plans.apply(_plan(row) for row in rows)

    async def run(self, seconds: float) -> None:
        """Refreshes until cancelled; while the database is down the copy stays as it is."""
        await _refresh_forever(self.refresh, seconds, "limits_not_read")


class TokensToday:
    """Tokens of the tenants that are being served: as old as their way to the rollups, and up to a refresh more."""

    def __init__(self, pool: Pool, timeout_seconds: float) -> None:
        self._pool = pool
        self._timeout_seconds = timeout_seconds
        self._wanted: dict[UUID, float] = {}
        self._known: dict[UUID, tuple[int, float]] = {}

    def used(self, tenant_id: UUID) -> tuple[int, float]:
        """Tokens, and the seconds until they are forgotten. (0, 0) until they were read; from now on they will be."""
        now = time.monotonic()
        self._wanted[tenant_id] = now
        tokens, until = self._known.get(tenant_id, (0, now))
        return (tokens, until - now) if until > now else (0, 0.0)

    async def refresh(self) -> None:
        """Raises what asyncpg raises."""
        now = time.monotonic()
        recent = [tenant for tenant, at in self._wanted.items() if now - at < WANTED_SECONDS]
        self._wanted = {tenant: self._wanted[tenant] for tenant in recent}
        wanted = sorted(recent, key=lambda tenant: -self._wanted[tenant])[:MAX_WANTED]
        self._known = {tenant: known for tenant, known in self._known.items() if known[1] > now}
        if not wanted:
            return
        async with asyncio.timeout(self._timeout_seconds):
            rows = await self._pool.fetch(_TOKENS, wanted)
        now = time.monotonic()
        self._known |= {row["tenant_id"]: (row["tokens"], now + row["resets_in"]) for row in rows}

    async def run(self, seconds: float) -> None:
        """Refreshes until cancelled; while the database is down, what is known stands until its day ends."""
        await _refresh_forever(self.refresh, seconds, "tokens_not_read")


async def _refresh_forever(refresh: Callable[[], Awaitable[object]], seconds: float, event: str) -> None:
    """`event`: what the log says of a refresh that failed in a way that passes; any other error is raised."""
    while True:
        try:
            await refresh()
        except Exception as error:
            if not is_retriable(error):
                raise
            _log.warning(event, error=type(error).__name__)
        await asyncio.sleep(seconds)


def _plan(row: Any) -> TenantPlan:
    return TenantPlan(row["tenant_id"].bytes, row["tier"], msgspec.json.decode(row["overrides"], type=dict[str, int]))
