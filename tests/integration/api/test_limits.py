"""Limits of the API, why somebody was limited, sign-ins a minute, and what an operator changes."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from mockupaws.api.app import build_app
from mockupaws.cli.tenant_limits import Change, LimitsError, change_limits
from mockupaws.runtime.settings import Settings
from tests.conftest import Demo
from tests.integration.api.conftest import PASSWORD, bearer

LOGIN = "/api/v1/auth/login"


@pytest.fixture
async def settings(settings: Settings) -> Settings:
    return dataclasses.replace(
        settings, limit_free_api_requests=20, limit_free_ingest_requests=40, limit_sign_ins=5, redis_timeout_seconds=2.0
    )


@pytest.fixture
async def limited(settings: Settings, demo: Demo) -> AsyncIterator[httpx.AsyncClient]:
    """A free tenant's client, once the API knows its limits."""
    await change_limits(settings, demo.tenant_id, Change("free"))
    app = await build_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as made,
    ):
        made.headers.update(bearer(demo.api_key))
        async with asyncio.timeout(60):
            while (await made.get("/api/v1/limits")).status_code != 200:
                await asyncio.sleep(0.05)
        yield made


async def state_of(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    document = (await client.get("/api/v1/limits")).json()
    return next(limit for limit in document["limits"] if limit["name"] == name)


async def test_calls_beyond_the_limit_are_refused_and_the_page_says_why(limited: httpx.AsyncClient) -> None:
    answers = [await limited.get("/api/v1/scenarios") for _ in range(30)]
    admitted = [answer for answer in answers if answer.status_code == 200]
    # Where a minute turns meanwhile, a little of the limit is free again.
    assert 20 <= len(admitted) <= 23
    assert {answer.status_code for answer in answers} == {200, 429}
    assert answers[0].headers["ratelimit-limit"] == "20"
    assert [int(answer.headers["ratelimit-remaining"]) for answer in admitted[:5]] == [19, 18, 17, 16, 15]
    refused = answers[-1]
    error = refused.json()["error"]
    assert (error["code"], error["retryable"]) == ("rate_limited", True)
    assert "20 requests a minute" in error["message"]
    assert 1 <= int(refused.headers["retry-after"]) <= 120
    state = await state_of(limited, "api_requests")
    assert (state["maximum"], state["set_by"]) == (20, "tier")
    assert state["used"] >= 19
    assert state["refused_today"] >= 1
    assert 0 <= state["next_in_seconds"] <= 120
    assert datetime.fromisoformat(state["resets_at"]) > datetime.fromisoformat(state["last_refused_at"])
    # What ends a thief's access, and receipts, which have a limit of their own, go on.
    assert (await limited.delete(f"/api/v1/api-keys/{uuid.uuid4()}")).status_code == 404
    receipts = [await limited.get(f"/api/v1/ingest/receipts/{uuid.uuid4()}") for _ in range(50)]
    assert [answer.status_code for answer in receipts][:40] == [404] * 40
    assert receipts[-1].status_code == 429


async def test_quotas_tell_when_they_will_be_used_up(
    limited: httpx.AsyncClient, settings: Settings, demo: Demo, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    empty = await state_of(limited, "ingest_tokens")
    assert (empty["used"], empty["used_up_at"]) == (0, None)
    await database.execute(
        "INSERT INTO scenario_metrics VALUES ($1, $2, now(), 'bedrock', 'tokens', 249999999, 'tokens')",
        demo.tenant_id,
        demo.scenario_id,
    )
    other = uuid.uuid4()
    await database.execute(
        "INSERT INTO scenario_metrics VALUES ($1, $2, now(), 'bedrock', 'tokens', 5, 'tokens')", other, uuid.uuid4()
    )
    tokens = await state_of(limited, "ingest_tokens")
    assert (tokens["used"], tokens["remaining"]) == (249_999_999, 1), "used up before any day resets"
    seconds = (
        datetime.fromisoformat(tokens["used_up_at"]) - datetime.fromisoformat(tokens["resets_at"])
    ).total_seconds()
    assert seconds < 0
    assert tokens["per_second"] > 0
    async with Redis.from_url(settings.redis_url) as redis:
        key = f"limit:{{{demo.tenant_id}}}:ingest_bytes"
        now, _ = await redis.time()
        values: dict[Any, Any] = {
            "window": now // 86_400,
            "count": 2**29,
            "previous": 0,
            "epoch": 1,
            "day": 0,
            "refused": 0,
        }
        marks: dict[Any, Any] = {
            "refused_at": 0,
            "older_at": now - 300,
            "older": 0,
            "newer_at": now - 300,
            "newer": 0,
        }
        await redis.hset(key, mapping={**values, **marks})
    size = await state_of(limited, "ingest_bytes")
    assert (size["used"], size["maximum"], size["window_seconds"]) == (2**29, 2**30, 86_400)
    assert 2**29 / 320 < size["per_second"] <= 2**29 / 300
    if datetime.fromisoformat(size["resets_at"]).timestamp() - now > 700:
        assert datetime.fromisoformat(size["used_up_at"]).timestamp() - now == pytest.approx(310, abs=30)


async def test_without_redis_the_page_says_so(settings: Settings, demo: Demo) -> None:
    await change_limits(settings, demo.tenant_id, Change("free"))
    app = await build_app(dataclasses.replace(settings, redis_url="redis://127.0.0.1:1/0"))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client,
    ):
        client.headers.update(bearer(demo.api_key))
        async with asyncio.timeout(60):
            while (answer := await client.get("/api/v1/limits")).status_code != 200:
                await asyncio.sleep(0.05)
        assert (answer.json()["shared"], answer.json()["tier"]) == (False, "free")
        assert [limit["used"] for limit in answer.json()["limits"]] == [None, None, 0, None, None]
        statuses = [(await client.get("/api/v1/scenarios")).status_code for _ in range(30)]
        assert statuses[:20] == [200] * 20
        assert statuses[-1] == 429


async def test_a_minute_has_five_sign_ins_of_an_account_from_an_address(
    limited: httpx.AsyncClient, owner_email: str
) -> None:
    right, other = {"email": owner_email, "password": PASSWORD}, {"email": "other@example.com", "password": "x"}
    answers = [await limited.post(LOGIN, json=right) for _ in range(8)]
    assert [answer.status_code for answer in answers][:5] == [200] * 5
    assert 429 in {answer.status_code for answer in answers[5:]}
    answers = [answer for answer in answers if answer.status_code == 429]
    error = answers[-1].json()["error"]
    assert (error["code"], error["retryable"]) == ("too_many_attempts", True)
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 120
    upper = {**right, "email": owner_email.upper()}
    forwarded = {"X-Forwarded-For": "203.0.113.9"}
    spoofed = [await limited.post(LOGIN, json=upper, headers=forwarded) for _ in range(3)]
    assert 429 in {answer.status_code for answer in spoofed}
    assert (await limited.post(LOGIN, json=other)).status_code == 401


async def test_an_operators_change_is_checked_and_recorded(
    settings: Settings, demo: Demo, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    await change_limits(settings, demo.tenant_id, Change("premium", {"ingest_bytes": 7}))
    plan = await change_limits(settings, demo.tenant_id, Change(back_to_tier=("ingest_bytes",)))
    assert (plan.tier, plan.overrides) == ("premium", {})
    for wrong in (Change("gold"), Change(overrides={"sign_ins": 9}), Change(overrides={"ingest_bytes": -1})):
        with pytest.raises(LimitsError):
            await change_limits(settings, demo.tenant_id, wrong)
    with pytest.raises(LimitsError):
        await change_limits(settings, uuid.uuid4(), Change("free"))
    await change_limits(settings, demo.tenant_id, Change())  # only looks
    rows = await database.fetch("SELECT actor, details FROM audit_log WHERE action = 'tenant.limits_changed'")
    assert [row["actor"] for row in rows] == ["operator"] * 2
    api = await asyncpg.connect(settings.postgres_api_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await api.execute("UPDATE tenants SET tier = 'unlimited'")
    finally:
        await api.close()
