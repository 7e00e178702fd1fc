"""API keys: rotation, expiry, last use, and how soon a revoked one is refused everywhere."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from mockupaws.api.app import build_app
from mockupaws.runtime.settings import Settings
from tests.conftest import Demo
from tests.integration.api.conftest import bearer
from tests.integration.api.test_api import NOW

KEYS = "/api/v1/api-keys"


async def make(api: httpx.AsyncClient, demo: Demo, **body: Any) -> dict[str, Any]:
    answered = await api.post(KEYS, json={"name": "k", "scopes": ["read"], **body}, headers=bearer(demo.api_key))
    assert answered.status_code == 201, answered.text
    made: dict[str, Any] = answered.json()
    return made


async def status_of(api: httpx.AsyncClient, key: dict[str, Any]) -> int:
    return (await api.get("/api/v1/scenarios", headers=bearer(key["key"]))).status_code


async def test_a_key_is_rotated_with_an_overlap(api: httpx.AsyncClient, demo: Demo) -> None:
    old = await make(api, demo, expires_at=(NOW + timedelta(days=30)).isoformat())
    path = f"{KEYS}/{old['id']}/rotate"
    assert (await api.post(path, json={"overlap_hours": -1}, headers=bearer(demo.api_key))).status_code == 422
    new = (await api.post(path, json={"overlap_hours": 2}, headers=bearer(demo.api_key))).json()
    assert (new["name"], new["scopes"]) == (old["name"], old["scopes"])
    assert (await status_of(api, old), await status_of(api, new)) == (200, 200)
    listed = {key["id"]: key for key in (await api.get(KEYS, headers=bearer(demo.api_key))).json()["api_keys"]}
    assert listed[old["id"]]["replaced_by"] == new["id"]
    assert listed[old["id"]]["expires_at"] < (NOW + timedelta(hours=3)).isoformat()
    assert listed[new["id"]]["expires_at"] > (NOW + timedelta(days=29)).isoformat()
    again = await api.post(path, json={}, headers=bearer(demo.api_key))
    assert (again.status_code, again.json()["error"]["code"]) == (409, "key_ended")
    newer = (
        await api.post(f"{KEYS}/{new['id']}/rotate", json={"overlap_hours": 0}, headers=bearer(demo.api_key))
    ).json()
    assert (await status_of(api, new), await status_of(api, newer)) == (401, 200)


async def test_a_key_ends_when_it_expires(
    api: httpx.AsyncClient, demo: Demo, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    past = await api.post(
        KEYS, json={"name": "k", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, headers=bearer(demo.api_key)
    )
    assert past.status_code == 422
    key = await make(api, demo)
    await database.execute("UPDATE api_keys SET expires_at = now() WHERE prefix = $1", key["prefix"])
    assert await status_of(api, key) == 401


async def test_the_last_use_is_noted_later_and_is_no_change_for_the_gateway(
    settings: Settings, demo: Demo, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    before = await database.fetch("SELECT prefix, updated_at FROM api_keys ORDER BY prefix")
    app = await build_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client,
    ):
        for _ in range(3):
            assert (await client.get("/api/v1/scenarios", headers=bearer(demo.api_key))).status_code == 200
        unused = await database.fetchval("SELECT last_used_at FROM api_keys")
        assert unused is None
    assert await database.fetchval("SELECT last_used_at > now() - interval '1 minute' FROM api_keys")
    assert await database.fetch("SELECT prefix, updated_at FROM api_keys ORDER BY prefix") == before


async def test_a_revoked_key_is_refused_here_at_once_and_by_others_within_seconds_without_redis(
    settings: Settings, demo: Demo, api: httpx.AsyncClient
) -> None:
    app = await build_app(dataclasses.replace(settings, redis_url="redis://127.0.0.1:1/0"))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://other") as other,
    ):
        key = await make(api, demo)
        assert (await status_of(api, key), await status_of(other, key)) == (200, 200)
        assert (await api.delete(f"{KEYS}/{key['id']}", headers=bearer(demo.api_key))).status_code == 204
        assert await status_of(api, key) == 401
        async with asyncio.timeout(60):
            while await status_of(other, key) != 401:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "key",
    ["mk_", "mk_aaaaaaaaaaaaa_", "mk_aaaaaaaaaaaaa_" + "a" * 43, "mk_" + "'" * 13 + "_" + "a" * 43, "mk_a" * 50_000,
     "mk_../../etc/pas_" + "a" * 43, "MK_aaaaaaaaaaaaa_" + "a" * 43],
    ids=lambda key: key[:30],
)  # fmt: skip
async def test_keys_that_never_were(api: httpx.AsyncClient, demo: Demo, key: str) -> None:
    answered = await api.get("/api/v1/scenarios", headers=bearer(key))
    assert answered.status_code == (401 if len(key) < 1000 else 431)


async def test_a_database_dump_holds_no_usable_key(
    api: httpx.AsyncClient, demo: Demo, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    key = await make(api, demo)
    row = await database.fetchrow("SELECT * FROM api_keys WHERE prefix = $1", key["prefix"])
    assert row is not None
    secret = key["key"].rpartition("_")[2]
    assert secret not in str(dict(row))
    assert await status_of(api, {"key": f"mk_{key['prefix']}_{row['secret_hmac'].hex()[:43]}"}) == 401
