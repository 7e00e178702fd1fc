"""Users of a tenant: who may make, change and remove whom."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import asyncpg
import bcrypt
import httpx
import pytest

from mockupaws.runtime.settings import Settings
from mockupaws.schemas.accounts import SCOPES_OF_ROLE
from tests.conftest import Demo, make_tenant
from tests.integration.api.conftest import PASSWORD, bearer, log_in

USERS = "/api/v1/users"


@pytest.fixture
async def owner(api: httpx.AsyncClient, owner_email: str) -> dict[str, str]:
    return bearer(await log_in(api, owner_email))


async def add(api: httpx.AsyncClient, owner: dict[str, str], email: str, role: str = "analyst") -> dict[str, Any]:
    made = await api.post(USERS, json={"email": email, "password": PASSWORD, "role": role}, headers=owner)
    assert made.status_code == 201, made.text
    user: dict[str, Any] = made.json()
    return user


async def test_a_user_lives_and_goes(api: httpx.AsyncClient, owner: dict[str, str]) -> None:
    made = await add(api, owner, "Ada@Example.com")
    assert (made["email"], made["role"], made["last_login_at"]) == ("ada@example.com", "analyst", None)
    assert "password" not in json.dumps(made)
    tokens = await log_in(api, "ADA@example.com")
    path = f"{USERS}/{made['id']}"
    assert (await api.get(path, headers=owner)).json()["last_login_at"] is not None
    listed = (await api.get(USERS, params={"limit": 1}, headers=owner)).json()
    following = await api.get(USERS, params={"limit": 1, "cursor": listed["next_cursor"]}, headers=owner)
    assert [user["email"] for user in listed["users"] + following.json()["users"]] == [
        "demo@example.com",
        "ada@example.com",
    ]
    assert (await api.get("/api/v1/scenarios", headers=bearer(tokens))).status_code == 200
    assert (await api.get(USERS, headers=bearer(tokens))).status_code == 403
    assert (await api.delete(path, headers=owner)).status_code == 204
    assert (await api.get("/api/v1/scenarios", headers=bearer(tokens))).status_code == 401
    refreshed = await api.post("/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert refreshed.status_code == 401
    for method in ("GET", "DELETE"):
        assert (await api.request(method, path, headers=owner)).status_code == 404
    await add(api, owner, "ada@example.com")  # the address is free again, for another user


async def test_a_changed_role_holds_from_the_next_sign_in_and_the_old_one_ends(
    api: httpx.AsyncClient, owner: dict[str, str]
) -> None:
    made = await add(api, owner, "ada@example.com", "owner")
    tokens = bearer(await log_in(api, "ada@example.com"))
    assert (await api.get(USERS, headers=tokens)).status_code == 200
    changed = await api.patch(f"{USERS}/{made['id']}", json={"role": "operator"}, headers=owner)
    assert changed.json()["role"] == "operator"
    assert (await api.get(USERS, headers=tokens)).status_code == 401
    again = bearer(await log_in(api, "ada@example.com"))
    assert (await api.get(USERS, headers=again)).status_code == 403
    reset = await api.patch(f"{USERS}/{made['id']}", json={"password": "another horse battery"}, headers=owner)
    assert reset.status_code == 200
    assert (await api.get("/api/v1/scenarios", headers=again)).status_code == 401
    await log_in(api, "ada@example.com", "another horse battery")


async def test_the_last_owner_stays(api: httpx.AsyncClient, owner: dict[str, str], demo: Demo) -> None:
    path = f"{USERS}/{demo.user_id}"
    for refused in (
        await api.delete(path, headers=owner),
        await api.patch(path, json={"role": "analyst"}, headers=owner),
    ):
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "last_owner")


async def test_two_owners_who_are_demoted_at_once_leave_one(
    api: httpx.AsyncClient, demo: Demo, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    for n in range(4):
        other = await add(api, bearer(demo.api_key), f"other{n}@example.com", "owner")
        others = [demo.user_id, uuid.UUID(other["id"])]
        answers = await asyncio.gather(
            *(api.patch(f"{USERS}/{id_}", json={"role": "analyst"}, headers=bearer(demo.api_key)) for id_ in others)
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        assert await database.fetchval("SELECT count(*) FROM users WHERE role = 'owner'") == 1
        await database.execute("UPDATE users SET role = 'owner' WHERE id = $1", demo.user_id)
        await database.execute("UPDATE users SET role = 'analyst' WHERE id <> $1", demo.user_id)


async def test_nobody_gives_more_than_they_have(api: httpx.AsyncClient, owner: dict[str, str], demo: Demo) -> None:
    made = await api.post("/api/v1/api-keys", json={"name": "k", "scopes": ["manage", "read"]}, headers=owner)
    key = bearer(made.json()["key"])
    body = {"email": "eve@example.com", "password": PASSWORD}
    assert (await api.post(USERS, json={**body, "role": "owner"}, headers=key)).status_code == 403
    assert (await api.post(USERS, json={**body, "role": "operator"}, headers=key)).status_code == 403
    analyst = await api.post(USERS, json={**body, "role": "analyst"}, headers=key)
    assert analyst.status_code == 201
    path = f"{USERS}/{analyst.json()['id']}"
    assert (await api.patch(path, json={"role": "owner"}, headers=key)).status_code == 403
    taken_over = await api.patch(f"{USERS}/{demo.user_id}", json={"password": PASSWORD}, headers=key)
    assert taken_over.status_code == 403
    assert (await api.delete(f"{USERS}/{demo.user_id}", headers=key)).status_code == 403
    scopes = await api.post("/api/v1/api-keys", json={"name": "k", "scopes": ["operate"]}, headers=key)
    assert scopes.status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"tenant_id": str(uuid.UUID(int=7))}, {"id": str(uuid.UUID(int=8))}, {"password_hash": "x"},
        {"created_at": "x"}, {"role": "superuser"}, {"role": None}, {"password": "short"}, {"password": "x" * 80},
        {"email": "no address"}, {"email": "a\0@example.com"}, {"email": "\u202eada@example.com"},
    ],
    ids=str,
)  # fmt: skip
async def test_users_that_cannot_be(api: httpx.AsyncClient, owner: dict[str, str], change: dict[str, Any]) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD, "role": "analyst", **change}
    assert (await api.post(USERS, json=body, headers=owner)).status_code == 422


async def test_changes_that_cannot_be(api: httpx.AsyncClient, owner: dict[str, str], demo: Demo) -> None:
    path = f"{USERS}/{demo.user_id}"
    for body in (
        {},
        {"email": "x@example.com"},
        {"tenant_id": str(uuid.uuid4())},
        {"role": "x"},
        {"password": "short"},
    ):
        assert (await api.patch(path, json=body, headers=owner)).status_code == 422, body
    for id_ in ("1", "..%2f..", "' OR 1=1", str(uuid.uuid4())):
        assert (await api.get(f"{USERS}/{id_}", headers=owner)).status_code == 404


async def test_an_address_is_one_user_and_a_look_alike_another(api: httpx.AsyncClient, owner: dict[str, str]) -> None:
    await add(api, owner, "ada@example.com")
    for same in ("ADA@example.com", "ａｄａ@example.com"):
        again = await api.post(USERS, json={"email": same, "password": PASSWORD, "role": "analyst"}, headers=owner)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "email_taken")
    await add(api, owner, "аda@example.com")  # Cyrillic


async def test_another_tenants_users_are_as_unknown_as_none(
    api: httpx.AsyncClient, owner: dict[str, str], settings: Settings
) -> None:
    other = await make_tenant(settings, "other@example.com")
    for method, body in (("GET", None), ("PATCH", {"role": "owner"}), ("DELETE", None)):
        answers = [
            await api.request(method, f"{USERS}/{id_}", json=body, headers=owner)
            for id_ in (other.user_id, uuid.uuid4())
        ]
        assert {answer.status_code for answer in answers} == {404}
    assert "other@" not in (await api.get(USERS, headers=owner)).text


@pytest.mark.parametrize("role", SCOPES_OF_ROLE)
async def test_each_role_gets_the_scopes_of_the_table(
    api: httpx.AsyncClient, demo: Demo, database: asyncpg.Connection[asyncpg.Record], role: str
) -> None:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    await database.execute(
        "INSERT INTO users (id, tenant_id, email, password_hash, role) VALUES ($1, $2, 'r@example.com', $3, $4)",
        uuid.uuid4(), demo.tenant_id, hashed, role,
    )  # fmt: skip
    headers = bearer(await log_in(api, "r@example.com"))
    for scope, path in (("read", "/api/v1/scenarios"), ("manage", USERS)):
        expected = 200 if scope in SCOPES_OF_ROLE[role] else 403
        assert (await api.get(path, headers=headers)).status_code == expected


async def test_a_sign_in_that_is_being_checked_while_its_user_goes_is_refused(
    api: httpx.AsyncClient, owner_email: str, demo: Demo, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(11)).decode()
    await database.execute("UPDATE users SET password_hash = $1", hashed)
    signing_in = asyncio.create_task(api.post("/api/v1/auth/login", json={"email": owner_email, "password": PASSWORD}))
    async with asyncio.timeout(60):
        while not await database.fetchval("SELECT count(*) FROM sign_in_failures WHERE failures > 0"):
            await asyncio.sleep(0.01)
    await database.execute("DELETE FROM users WHERE id = $1", demo.user_id)
    assert (await signing_in).status_code == 401
