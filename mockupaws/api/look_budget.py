"""How many bytes the searches of a tenant may look at: one who searches for what is rare mustn't slow others down."""

from __future__ import annotations

import time
from collections import OrderedDict
from uuid import UUID

from mockupaws.api.errors import RefusedError

WINDOW_SECONDS = 60.0
MAX_BYTES = 500_000_000
"""A tenant's in a window, in one process, of texts and filters: about a quarter of a core of the database server."""
_MAX_TENANTS = 10_000


class LookBudget:
    def __init__(self) -> None:
        self._used: OrderedDict[UUID, tuple[float, int]] = OrderedDict()

    def check(self, tenant_id: UUID) -> None:
        """Raises RefusedError where the tenant has used up what it had; with the time until it may go on."""
        began, used = self._used.get(tenant_id, (0.0, 0))
        left = began + WINDOW_SECONDS - time.monotonic()
        if used >= MAX_BYTES and left > 0:
            raise RefusedError(
                "look_budget_used",
                "your searches have looked at too much text: narrow `from` and `to`, or go on later",
                retry_after=int(left) + 1,
            )

    def take(self, tenant_id: UUID, looked_bytes: int) -> None:
        now = time.monotonic()
        began, used = self._used.pop(tenant_id, (now, 0))
        if now - began >= WINDOW_SECONDS:
            began, used = now, 0
        self._used[tenant_id] = began, used + looked_bytes
        if len(self._used) > _MAX_TENANTS:
            self._used.popitem(last=False)
