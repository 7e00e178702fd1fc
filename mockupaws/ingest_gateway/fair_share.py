"""Which tenants are let in where not all of them can be: those above their fair share wait first. Pure.

The share is max-min fair: each tenant that asks for less than the share gets all it asks for, and what it leaves is
divided among the others. A tenant above it has a bucket that fills at the share's rate; a request is let in while the
bucket isn't empty, and may take it below. One that asks for less is never refused, however its requests bunch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

DEMAND_SECONDS = 5.0
"""Over how long what a tenant asks for is measured."""
BURST_SECONDS = 5.0
"""How much of its share a tenant may have saved up."""
MAX_RETRY_SECONDS = 30
MAX_TENANTS = 10_000
"""Known at a time; those that ask for least are forgotten, which leaves them a full bucket."""
_FORGOTTEN_BYTES = 1.0
FIRST_REQUEST_BYTES = 64 * 1024
"""As how large a request counts that announces no length, of a tenant that nothing is known of."""


def fair_level(demands: Iterable[float], rate: float) -> float:
    """The share: what a tenant gets at most, so that all get `rate` together; infinite where they ask for less."""
    left = rate
    ascending = sorted(demands)
    for number, demand in enumerate(ascending):
        level = left / (len(ascending) - number)
        if demand > level:
            return max(0.0, level)
        left -= demand
    return math.inf


@dataclass(slots=True)
class _Tenant:
    saved: float
    """Bytes it may still send; below 0: overdrawn."""
    demand: float = 0.0
    """Bytes a second it asks for."""
    asked: float = 0.0
    """Bytes since the last tick."""
    ratio: float = 1.0
    """Bytes of its records for each byte its requests announce: bodies may be compressed."""
    mean: float = FIRST_REQUEST_BYTES
    refused: int = 0
    """Requests since they were last taken."""


class FairShares:
    """Of one process. `level` None: everybody is let in."""

    def __init__(self) -> None:
        self.level: float | None = None
        """Bytes a second a tenant gets at most."""
        self._tenants: dict[bytes, _Tenant] = {}

    @property
    def offered_bytes_per_second(self) -> float:
        return sum(tenant.demand for tenant in self._tenants.values())

    def ask(self, tenant_id: bytes, announced: int | None) -> float:
        """Counts a request of so many bytes (None: not announced); answers what it is expected to weigh."""
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            tenant = self._tenants[tenant_id] = _Tenant(self._burst())
        expected = tenant.mean if announced is None else announced * tenant.ratio
        tenant.asked += expected
        return expected

    def admits(self, tenant_id: bytes) -> bool:
        tenant = self._tenants[tenant_id]
        return self.level is None or (self.level > 0 and (tenant.saved > 0 or tenant.demand <= self.level))

    def refuse(self, tenant_id: bytes) -> int:
        """Counts a refusal; answers after how many seconds the tenant may come again."""
        tenant = self._tenants[tenant_id]
        tenant.refused += 1
        if not self.level:
            return MAX_RETRY_SECONDS
        return min(MAX_RETRY_SECONDS, max(1, math.ceil(-tenant.saved / self.level)))

    def admit(self, tenant_id: bytes, expected: float) -> None:
        """The request is let in, and weighs what was expected until it is weighed."""
        self._tenants[tenant_id].saved -= expected

    def weigh(self, tenant_id: bytes, announced: int | None, expected: float, size: int) -> None:
        """What an admitted request came to; 0: nothing of it is sent on."""
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            return
        tenant.saved += expected - size
        tenant.asked += size - expected
        if size:
            tenant.mean += (size - tenant.mean) / 8
            if announced:
                tenant.ratio += (size / announced - tenant.ratio) / 8

    def tick(self, seconds: float, rate: float | None) -> None:
        """`seconds` since the last tick; `rate`: bytes a second that may be let in from now on, None: all."""
        weight = 1 - math.exp(-seconds / DEMAND_SECONDS)
        for tenant in self._tenants.values():
            tenant.demand += (max(0.0, tenant.asked) / seconds - tenant.demand) * weight
            tenant.asked = 0.0
        self._forget()
        level = None if rate is None else fair_level((tenant.demand for tenant in self._tenants.values()), rate)
        self.level = None if level == math.inf else level
        burst = self._burst()
        for tenant in self._tenants.values():
            tenant.saved = burst if self.level is None else _within(burst, tenant.saved + self.level * seconds)

    def take_refused(self) -> Mapping[bytes, int]:
        """Refusals of each tenant since the last call."""
        refused = {tenant_id: tenant.refused for tenant_id, tenant in self._tenants.items() if tenant.refused}
        for tenant_id in refused:
            self._tenants[tenant_id].refused = 0
        return refused

    def _burst(self) -> float:
        return 1.0 if not self.level else self.level * BURST_SECONDS

    def _forget(self) -> None:
        idle = [key for key, tenant in self._tenants.items() if tenant.demand < _FORGOTTEN_BYTES and not tenant.refused]
        if len(self._tenants) - len(idle) > MAX_TENANTS:
            by_demand = sorted(self._tenants, key=lambda key: self._tenants[key].demand)
            idle = by_demand[: len(by_demand) - MAX_TENANTS]
        for key in idle:
            del self._tenants[key]


def _within(burst: float, saved: float) -> float:
    return max(-burst, min(burst, saved))
