"""A tenant's dead letters over HTTP: its own only, by page, and never their text."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import httpx
import pytest

from mockupaws.api.app import build_app
from mockupaws.runtime.settings import Settings
from tests.conftest import Demo, make_tenant

START = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = b"bob@example.com"


@pytest.fixture
async def client(settings: Settings, demo: Demo) -> AsyncIterator[httpx.AsyncClient]:
    app = await build_app(settings)
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {demo.api_key}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as made,
    ):
        yield made


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    yield connection
    await connection.close()


async def add_letter(
    owner: asyncpg.Connection[asyncpg.Record], tenant: Demo | None, number: int, reason: str = "analysis_failed"
) -> uuid.UUID:
    letter_id = uuid.uuid4()
    await owner.execute(
        "INSERT INTO dead_letters (id, tenant_id, scenario_id, request_id, reason, step, detail, topic, partition, "
        '"offset", accepted, '
        "entry_indexes, received_at, original, software_version, occurred_at) "
        "VALUES ($1, $2, $3, $4, $5, 'analyse', 'ValueError', 't', 0, $6, 5, '{1,3}', $7, $8, '0', $7)",
        letter_id,
        tenant and tenant.tenant_id,
        tenant and tenant.scenario_id,
        uuid.uuid4(),
        reason,
        number,
        START + timedelta(seconds=number // 2),  # pairs share a moment: the id decides
        SECRET,
    )
    return letter_id


async def test_pages_hold_each_letter_of_the_tenant_once(
    client: httpx.AsyncClient, owner: asyncpg.Connection[asyncpg.Record], settings: Settings, demo: Demo
) -> None:
    mine = {str(await add_letter(owner, demo, number)) for number in range(7)}
    other = await make_tenant(settings, "other@example.com")
    foreign, nobodys = await add_letter(owner, other, 1), await add_letter(owner, None, 2)
    found: list[str] = []
    times: list[str] = []
    query: dict[str, str] = {"limit": "3"}
    while True:
        answer = await client.get("/api/v1/dead-letters", params=query)
        assert answer.status_code == 200, answer.text
        assert SECRET.decode() not in answer.text
        assert "original" not in answer.text
        page = answer.json()
        found += [letter["id"] for letter in page["dead_letters"]]
        times += [letter["occurred_at"] for letter in page["dead_letters"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert len(found) == 7
    assert set(found) == mine
    assert times == sorted(times, reverse=True)
    for letter_id in (foreign, nobodys, uuid.uuid4()):
        assert (await client.get(f"/api/v1/dead-letters/{letter_id}")).status_code == 404
    one = (await client.get(f"/api/v1/dead-letters/{found[0]}")).json()
    assert (one["reason"], one["state"], one["attempts"], one["accepted"], one["entry_indexes"]) == (
        "analysis_failed", "dead", 1, 5, [1, 3]
    )  # fmt: skip
    stolen = await client.get("/api/v1/dead-letters", params={"reason": "too_large", "cursor": query["cursor"]})
    assert stolen.status_code == 400


async def test_filters_hold_together(
    client: httpx.AsyncClient, owner: asyncpg.Connection[asyncpg.Record], demo: Demo
) -> None:
    wanted = await add_letter(owner, demo, 4, "row_refused")
    await add_letter(owner, demo, 4)
    await add_letter(owner, demo, 0, "row_refused")
    params = {"reason": "row_refused", "step": "analyse", "state": "dead", "scenario_id": str(demo.scenario_id),
              "from": "2026-01-01T00:00:01Z", "to": "2026-01-02T00:00:00Z"}  # fmt: skip
    page = (await client.get("/api/v1/dead-letters", params=params)).json()
    assert [letter["id"] for letter in page["dead_letters"]] == [str(wanted)]
    for wrong in (
        {"reason": "no such"},
        {"state": "x"},
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
    ):
        assert (await client.get("/api/v1/dead-letters", params=wrong)).status_code == 400


async def test_it_needs_the_scope_and_the_role_reads_no_text(
    client: httpx.AsyncClient, owner: asyncpg.Connection[asyncpg.Record], settings: Settings, demo: Demo
) -> None:
    await owner.execute("UPDATE api_keys SET scopes = '{read,manage}' WHERE tenant_id = $1", demo.tenant_id)
    letter_id = await add_letter(owner, demo, 1)
    assert (await client.get("/api/v1/dead-letters")).status_code == 403
    assert (await client.get(f"/api/v1/dead-letters/{letter_id}")).status_code == 403
    api = await asyncpg.connect(settings.postgres_api_url, timeout=10)
    try:
        async with api.transaction():
            await api.execute("SELECT set_config('app.current_tenant', $1, true)", str(demo.tenant_id))
            assert await api.fetchval("SELECT count(*) FROM dead_letters") == 1
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await api.fetchval("SELECT original FROM dead_letters")
    finally:
        await api.close()
