from __future__ import annotations

import httpx
import pytest

from mockupaws.cli.tenants import TenantError, add_tenant, list_tenants
from mockupaws.runtime.settings import Settings
from tests.conftest import Demo
from tests.integration.api.conftest import PASSWORD, bearer, log_in


async def test_a_new_tenants_owner_signs_in_and_sees_their_own_alone(
    api: httpx.AsyncClient, settings: Settings, demo: Demo
) -> None:
    tenant_id = await add_tenant(settings, "Acme", "Owner@Acme.example", PASSWORD)
    assert [(row["name"], row["users"]) for row in await list_tenants(settings)][-1] == ("Acme", 1)
    owner = bearer(await log_in(api, "owner@acme.example"))
    assert (await api.get("/api/v1/scenarios", headers=owner)).json()["scenarios"] == []
    users = (await api.get("/api/v1/users", headers=owner)).json()["users"]
    assert [user["email"] for user in users] == ["owner@acme.example"]
    entries = (await api.get("/api/v1/audit", headers=owner)).json()["entries"]
    assert [entry["action"] for entry in entries] == ["session.opened", "tenant.created"]
    assert entries[1]["target"] == str(tenant_id)


@pytest.mark.parametrize(
    ("name", "email", "why"),
    [("", "a@b.example", "name"), ("x" * 201, "a@b.example", "name"), ("a\nb", "a@b.example", "name"),
     ("A", "nobody", "e-mail"), ("A", "DEMO@example.com", "already")],
)  # fmt: skip
async def test_tenants_that_cannot_be(settings: Settings, demo: Demo, name: str, email: str, why: str) -> None:
    with pytest.raises(TenantError, match=why):
        await add_tenant(settings, name, email, PASSWORD)
    assert len(await list_tenants(settings)) == 1
