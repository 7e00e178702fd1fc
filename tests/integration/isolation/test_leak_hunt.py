"""No tenant is shown anything of another, by any route, to any caller, through a real PgBouncer. `make leak-hunt`."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import redis.asyncio as redis
from starlette.applications import Starlette

from mockupaws.api.app import build_app
from mockupaws.ingest_gateway.app import create_app
from mockupaws.runtime.settings import Settings
from tests.integration.isolation.ask import ask
from tests.integration.isolation.hunt import Hunt
from tests.integration.isolation.pgbouncer import pgbouncer
from tests.integration.isolation.rules import API_RULES, GATEWAY_RULES
from tests.integration.isolation.tenants import Tenant, seed, unseeded

NOW = datetime.now(UTC) - timedelta(minutes=2)  # noqa: TID251 - rows must fall into today's partitions
REDIS_DATABASE = 9
SECRET = "a secret of the test's own, long enough"
START_SECONDS = 60


@pytest.fixture
async def pooled(settings: Settings, tmp_path: Path) -> AsyncIterator[Settings]:
    """Settings of processes behind a PgBouncer, with a Redis database of their own."""
    with pgbouncer(settings.postgres_api_url, tmp_path / "pgbouncer") as url:
        address = urlsplit(settings.redis_url)._replace(path=f"/{REDIS_DATABASE}").geturl()
        yield dataclasses.replace(
            settings,
            postgres_api_url=url,
            redis_url=address,
            tenant_key_secret="a secret of the test's own, long enough",
            limit_sign_ins=0,
        )


async def test_no_answer_holds_anything_of_another_tenant(pooled: Settings) -> None:
    began = time.monotonic()
    cache = redis.Redis.from_url(pooled.redis_url)
    await cache.flushdb()
    owner = await asyncpg.create_pool(pooled.postgres_owner_url, min_size=1, max_size=4)
    tenants = Tenant("A", "zqalphacanaryqz", 918_273_641), Tenant("B", "zqbravocanaryqz", 736_418_295)
    api, gateway = await build_app(pooled), create_app(pooled)
    try:
        for tenant in tenants:
            await seed(owner, pooled, tenant, NOW)
            await cache.set(f"receipt:{{{tenant.id}}}:{tenant.things['queued_id']}", tenant.number)
        async with api.router.lifespan_context(api), gateway.router.lifespan_context(gateway):
            async with asyncio.timeout(START_SECONDS):
                while (await ask(gateway, "GET", "/health/ready", {}, {}, None)).status != 200:
                    await asyncio.sleep(0.05)
            hunt = Hunt(pooled, owner, tenants, api)
            await hunt.sign_in()
            await hunt.run(api, API_RULES, "api")
            await hunt.run(gateway, GATEWAY_RULES, "gateway")
            swapped = await hunt.swap_cursors()
            hunt.findings += await share_an_idempotency_key(hunt, gateway)
        for tenant in tenants:
            hunt.findings += await unseeded(owner, tenant)
        await hunt.look_through()
        keys = {key.decode() async for key in cache.scan_iter()}
        hunt.findings += [
            f"cache key {key} names no tenant" for key in keys if not any(str(t.id) in key for t in tenants)
        ]
        print(
            f"\n{hunt.matrix()}\n{len(keys)} cache keys, each with its tenant; "
            f"{swapped} cursors of other lists refused; {time.monotonic() - began:.0f} s"
        )
    finally:
        await owner.close()
        await cache.flushdb()
        await cache.aclose()
    if hunt.findings:
        pytest.fail("\n".join(hunt.findings), pytrace=False)


async def share_an_idempotency_key(hunt: Hunt, gateway: Starlette) -> list[str]:
    """What one tenant has sent under a key is no duplicate of what the other sends under it."""
    said = []
    for tenant in (*hunt.tenants, *hunt.tenants):
        body = {"scenario_id": tenant.things["scenario_id"], "logs": [{"message": "hello"}]}
        headers = {"idempotency-key": "the same"} | hunt.headers_of(tenant, "producer")
        answered = await ask(gateway, "POST", "/api/v1/ingest", {}, headers, body)
        document = json.loads(answered.body)
        said.append((answered.status, document.get("duplicate"), document.get("request_id")))
    (*_, one), (*_, other) = said[:2]
    fine = said == [(202, False, one), (202, False, other), (202, True, one), (202, True, other)] and one != other
    return [] if fine else [f"two tenants with one Idempotency-Key were answered {said}"]
