"""Limits at the gateway, over real Valkey and Postgres: what is counted, what is answered, and while Redis is away."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from mockupaws.cli.tenant_limits import Change, change_limits
from mockupaws.runtime.settings import Settings
from tests.integration.ingest_gateway.test_gateway import INGEST, body_of, gateway, stored, until_ready


@pytest.fixture
async def client(settings: Settings, demo: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Of a gateway that knows the demo tenant's limits: 100 requests a minute, of 10 entries and 10,000 bytes each."""
    await change_limits(settings, demo.tenant_id, Change("free", {"ingest_requests": 100}))
    quick = dataclasses.replace(
        settings,
        redis_timeout_seconds=2.0,  # a busy machine is no fault of Redis
        directory_refresh_seconds=0.2,
        limit_refresh_seconds=0.2,
        limit_request_entries=10,
        limit_request_bytes=10_000,
    )
    async with gateway(quick) as made:
        made.headers["Authorization"] = f"Bearer {demo.api_key}"
        await until_ready(made)
        async with asyncio.timeout(60):
            while "ratelimit-limit" not in (await made.post(INGEST, json=body_of(demo, "first"))).headers:
                await asyncio.sleep(0.05)
        yield made


async def test_a_tenant_over_its_limit_is_told_and_nothing_of_it_is_stored(
    settings: Settings, demo: Any, client: httpx.AsyncClient
) -> None:
    first = await client.post(INGEST, json=body_of(demo, "one"))
    assert (first.status_code, first.headers["ratelimit-limit"]) == (202, "100")
    left = int(first.headers["ratelimit-remaining"])
    assert 90 <= left <= 98
    assert 1 <= int(first.headers["ratelimit-reset"]) <= 60
    answers = [await client.post(INGEST, json=body_of(demo, "more")) for _ in range(left + 5)]
    refused = [answer for answer in answers if answer.status_code != 202]
    assert 1 <= len(refused) <= 5
    for answer in refused:
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["retryable"]) == (429, "rate_limited", True)
        assert "100 requests a minute" in error["message"]
        assert "/api/v1/limits" in error["message"]
        assert answer.headers["ratelimit-remaining"] == "0"
        assert 1 <= int(answer.headers["retry-after"]) <= 120
        assert answer.headers["retry-after"] == answer.headers["ratelimit-reset"]
    assert "ratelimit-limit" not in (await client.post(INGEST, json={}, headers={"Authorization": ""})).headers
    accepted = [request for request in await stored(settings) if request.entries[0].message == "more"]
    assert len(accepted) == len(answers) - len(refused)


async def test_a_large_request_counts_as_several(demo: Any, client: httpx.AsyncClient) -> None:
    before = int((await client.post(INGEST, json=body_of(demo, "a"))).headers["ratelimit-remaining"])
    assert (await client.post(INGEST, json=body_of(demo, *["b"] * 100))).status_code == 202
    assert (await client.post(INGEST, json=body_of(demo, "c" * 99_000))).status_code == 202
    after = int((await client.post(INGEST, json=body_of(demo, "d"))).headers["ratelimit-remaining"])
    assert before - after == 10 + 10 + 1
    # Spread over spellings of one path it is the same limit; what no route knows is none of its business.
    for path in (f"{INGEST}?x=1", f"{INGEST}?dry_run=0"):
        answer = await client.post(path, json=body_of(demo, "e"))
        assert answer.status_code == 202
        after -= 1
        assert int(answer.headers["ratelimit-remaining"]) == after
    assert (await client.post("/api/v1//ingest", json=body_of(demo, "e"))).status_code == 404


async def test_bytes_of_the_day(settings: Settings, demo: Any, client: httpx.AsyncClient) -> None:
    await change_limits(settings, demo.tenant_id, Change(overrides={"ingest_requests": 0, "ingest_bytes": 20_000}))
    async with asyncio.timeout(60):
        while (answer := await client.post(INGEST, json=body_of(demo, "x"))).headers["ratelimit-limit"] != "20000":
            await asyncio.sleep(0.05)
    before = int(answer.headers["ratelimit-remaining"])
    unknown = {**body_of(demo, "y" * 9000), "scenario_id": str(uuid.uuid4())}
    assert (await client.post(INGEST, json=unknown)).status_code == 404
    small = await client.post(INGEST, json=body_of(demo, "x"))
    assert before - int(small.headers["ratelimit-remaining"]) < 1000, "a refused request's bytes are given back"
    assert (await client.post(INGEST, json=body_of(demo, "y" * 15_000))).status_code == 202
    refused = await client.post(INGEST, json=body_of(demo, "y" * 15_000))
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_exhausted")
    assert 1 <= int(refused.headers["retry-after"]) <= 86_400
    assert (await client.post(INGEST, json=body_of(demo, "z"))).status_code == 202, "what is small still fits"


async def test_tokens_of_the_day_once_they_are_known(settings: Settings, demo: Any, client: httpx.AsyncClient) -> None:
    await change_limits(settings, demo.tenant_id, Change(overrides={"ingest_tokens": 1000}))
    owner = await asyncpg.connect(settings.postgres_owner_url)
    try:
        for name, tokens in (("tokens", 600), ("tokens", 500), ("o200k_tokens", 10**6)):
            await owner.execute(
                "INSERT INTO scenario_metrics VALUES ($1, $2, now(), 'bedrock', $3, $4, 'tokens')",
                demo.tenant_id, uuid.uuid4(), name, tokens,
            )  # fmt: skip
    finally:
        await owner.close()
    async with asyncio.timeout(60):
        while (answer := await client.post(INGEST, json=body_of(demo, "x"))).status_code == 202:
            await asyncio.sleep(0.05)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "quota_exhausted")
    assert "1,000 tokens a day" in answer.json()["error"]["message"]
    assert 1 <= int(answer.headers["retry-after"]) <= 86_400


async def test_a_tenants_limits_are_its_own(settings: Settings, demo: Any, client: httpx.AsyncClient) -> None:
    await change_limits(settings, demo.tenant_id, Change(tier="unlimited", back_to_tier=("ingest_requests",)))
    async with asyncio.timeout(60):
        while "ratelimit-limit" in (await client.post(INGEST, json=body_of(demo, "x"))).headers:
            await asyncio.sleep(0.05)
    answers = await asyncio.gather(*(client.post(INGEST, json=body_of(demo, "x")) for _ in range(150)))
    assert 429 not in {answer.status_code for answer in answers}
