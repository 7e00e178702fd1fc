"""What a tenant's plan comes to is worked out once for each state of it, and remembered of a bounded number."""

from __future__ import annotations

from typing import Any, cast
from uuid import uuid4

import pytest

from mockupaws.ingest_gateway import limit_requests
from mockupaws.ingest_gateway.authenticate import Principal
from mockupaws.ingest_gateway.limit_requests import RequestLimits
from mockupaws.runtime.limits.plan_feed import TenantPlans
from mockupaws.runtime.settings import Settings


async def test_limits_of_tenants_beyond_the_bound_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit_requests, "MAX_TENANTS", 3)
    # Of tenants without a plan nothing is limited: neither counters nor tokens are asked.
    limits = RequestLimits(Settings.from_environ({}), cast(Any, None), TenantPlans(), cast(Any, None))
    tenants = [Principal.of(uuid4(), ("ingest",)) for _ in range(5)]
    for tenant in [*tenants, tenants[0]]:
        assert (await limits.admit(tenant, None)).verdict.admitted
    assert list(limits._limits) == [tenant.tenant_bytes for tenant in (*tenants[3:], tenants[0])]
