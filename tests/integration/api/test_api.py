"""Each route on a real Postgres, with its refusals."""

from __future__ import annotations

import dataclasses
import json
import os
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import bcrypt
import httpx
import jwt
import pytest
import redis.asyncio as redis

from mockupaws.api.app import build_app
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.distributions import bucket_of
from mockupaws.schemas.rollups import UNIT_OF
from tests.conftest import Demo, make_tenant

NOW = datetime.now(UTC).replace(microsecond=0)  # noqa: TID251 - rows must fall into today's partitions


@pytest.fixture
async def client(settings: Settings, demo: Demo) -> AsyncIterator[httpx.AsyncClient]:
    app = await build_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://api",
            headers={"Authorization": f"Bearer {demo.api_key}"},
        ) as made,
    ):
        yield made


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    yield connection
    await connection.close()


async def store_lines(owner: asyncpg.Connection[asyncpg.Record], demo: Demo, count: int, start: datetime = NOW) -> None:
    for n in range(count):
        await owner.execute(
            "INSERT INTO scenario_logs VALUES ($1,$2,$3,$4,NULL,$5,$6,$7,$8,100,$9,$10,25,1,$11)",
            demo.tenant_id,
            demo.scenario_id,
            uuid.uuid4(),
            start + timedelta(milliseconds=n // 3),  # threes share a moment: the id decides
            os.urandom(32),
            f"line {n} 100% <EMAIL>",
            "app" if n % 2 else "db",
            "error" if n % 5 == 0 else "info",
            n % 2 == 0,
            ["EMAIL"] if n % 2 == 0 else [],
            json.dumps({"n": n}),
        )


async def store_rollups(owner: asyncpg.Connection[asyncpg.Record], demo: Demo, minute: datetime = NOW) -> None:
    minute = minute.replace(second=0)
    rollups: list[tuple[str, str, int, dict[str, int] | None]] = [
        ("ingest", "requests", 2, None),
        ("ingest", "entries", 20, {"0": 15, "7": 5}),
        ("ingest", "bytes", 2000, {str(bucket_of(100)): 20}),
        ("bedrock", "tokens", 500, {str(bucket_of(25)): 20}),
        ("sqs", "blocks", 20, {"2": 10, "10": 4}),
        ("pii", "entries", 10, None),
        ("pii", "EMAIL", 10, None),
        ("size", "128", 20, None),
    ]
    for kind, name, value, counts in rollups:
        await owner.execute(
            "INSERT INTO scenario_metrics VALUES ($1,$2,$3,$4,$5,$6,$7,$8)",
            demo.tenant_id,
            demo.scenario_id,
            minute,
            kind,
            name,
            value,
            UNIT_OF[kind, name],
            json.dumps(counts) if counts else None,
        )
    await owner.execute(
        "INSERT INTO scenario_hours VALUES ($1, $2, $3, 1) ON CONFLICT (scenario_id, hour) DO NOTHING",
        demo.tenant_id,
        demo.scenario_id,
        minute.replace(minute=0),
    )


async def pages(client: httpx.AsyncClient, demo: Demo, **params: Any) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await client.get(f"/api/v1/scenarios/{demo.scenario_id}/logs", params={**params, **cursor})).json()
        lines += page["logs"]
        if page["next_cursor"] is None:
            return lines
        cursor = {"cursor": page["next_cursor"]}


async def test_login_gives_a_token_that_reads(
    client: httpx.AsyncClient, owner: asyncpg.Connection[asyncpg.Record], demo: Demo, settings: Settings
) -> None:
    hashed = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
    await owner.execute("UPDATE users SET password_hash = $1 WHERE id = $2", hashed, demo.user_id)
    wrong = await client.post("/api/v1/auth/login", json={"email": "demo@example.com", "password": "wrong"})
    unknown = await client.post("/api/v1/auth/login", json={"email": "nobody@example.com", "password": "wrong"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json()["error"]["message"] == unknown.json()["error"]["message"]
    right = await client.post("/api/v1/auth/login", json={"email": "Demo@example.com", "password": "correct horse"})
    token = right.json()["access_token"]
    assert right.json()["token_type"] == "Bearer"
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await client.get("/api/v1/scenarios", headers=bearer)).status_code == 200
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["tenant_id"] == str(demo.tenant_id)
    for forged in (
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, "another secret of enough length 1234", algorithm="HS256"),
        jwt.encode({**claims, "exp": 1}, settings.jwt_secret, algorithm="HS256"),
        jwt.encode({**claims, "aud": "other"}, settings.jwt_secret, algorithm="HS256"),
        jwt.encode(claims, settings.jwt_secret + "x" * 64, algorithm="HS512"),
        "garbage",
    ):
        refused = await client.get("/api/v1/scenarios", headers={"Authorization": f"Bearer {forged}"})
        assert refused.status_code == 401
        assert set(refused.json()["error"]) == {"code", "message", "retryable", "request_id"}


async def test_scopes_and_keys(client: httpx.AsyncClient) -> None:
    made = (await client.post("/api/v1/api-keys", json={"name": "reader", "scopes": ["read"]})).json()
    reader = {"Authorization": "", "X-API-Key": made["key"]}
    assert (await client.get("/api/v1/scenarios", headers=reader)).status_code == 200
    refused = await client.post("/api/v1/scenarios", headers=reader, json={"name": "x"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    listed = (await client.get("/api/v1/api-keys")).json()["api_keys"]
    assert made["key"] not in json.dumps(listed)
    assert "secret" not in json.dumps(listed)
    assert (await client.delete(f"/api/v1/api-keys/{made['id']}")).status_code == 204
    assert (await client.delete(f"/api/v1/api-keys/{uuid.uuid4()}")).status_code == 404
    assert (await client.get("/api/v1/scenarios", headers={"Authorization": ""})).status_code == 401


async def test_scenarios_live_their_life(client: httpx.AsyncClient) -> None:
    made = await client.post(
        "/api/v1/scenarios", json={"name": "A", "region": "eu-west-1", "architecture": {"queue": {"type": "fifo"}}}
    )
    assert made.status_code == 201
    path = made.headers["location"]
    queue = {"type": "fifo", "batch_size": 10, "pollers": 5, "wait_seconds": 20}
    assert queue.items() <= made.json()["architecture"]["queue"].items(), "what was given, and defaults for the rest"
    changed = await client.patch(
        path, json={"name": "B", "architecture": {"queue": {"batch_size": 1}}}, headers={"If-Match": '"1"'}
    )
    assert (changed.json()["version"], changed.json()["name"], changed.json()["region"]) == (2, "B", "eu-west-1")
    assert changed.json()["architecture"]["queue"]["type"] == "fifo"
    assert (await client.patch(path, json={"version": 1, "name": "C"})).status_code == 409
    assert (await client.patch(path, json={"name": "C"})).status_code == 422
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    first = (await client.get("/api/v1/scenarios", params={"limit": 1})).json()
    assert len(first["scenarios"]) == 1


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "it is empty; send `{}`"),
        (b"{", 400, "JSON object: Input data was truncated"),
        (b"[]", 422, "object"),
        (b"{}", 422, "name"),
        (b'{"name": "x", "tenant_id": "y"}', 422, "tenant_id"),
        (b'{"name": "x", "architecture": {"queue": {"batch_size": 11}}}', 422, "$.architecture.queue.batch_size"),
        (b'{"name": "a\\u0000b"}', 422, "NUL"),
        (b'{"name": "' + b"x" * 70_000 + b'"}', 413, "bytes"),
        (b'{"name": "\xff"}', 400, "JSON"),
    ],
)
async def test_bodies_that_cannot_be(client: httpx.AsyncClient, body: bytes, status: int, words: str) -> None:
    refused = await client.post("/api/v1/scenarios", content=body)
    assert refused.status_code == status
    assert words in refused.json()["error"]["message"]


async def test_pages_hold_each_line_once_while_others_arrive(
    client: httpx.AsyncClient, owner: asyncpg.Connection[asyncpg.Record], demo: Demo
) -> None:
    await store_lines(owner, demo, 25)
    path = f"/api/v1/scenarios/{demo.scenario_id}/logs"
    first = (await client.get(path, params={"limit": 7})).json()
    await store_lines(owner, demo, 10, NOW + timedelta(seconds=5))
    seen = [line["id"] for line in first["logs"]]
    cursor = first["next_cursor"]
    while cursor:
        page = (await client.get(path, params={"limit": 7, "cursor": cursor})).json()
        seen += [line["id"] for line in page["logs"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 25
    newest_first = await pages(client, demo, limit=6)
    oldest_first = await pages(client, demo, limit=9, order="asc")
    assert len(newest_first) == 35
    assert newest_first == oldest_first[::-1]
    assert first["logs"][0]["attributes"] == {"n": int(first["logs"][0]["message"].split()[1])}
    assert len(first["logs"][0]["message_hash"]) == 64


async def test_filters(client: httpx.AsyncClient, owner: asyncpg.Connection[asyncpg.Record], demo: Demo) -> None:
    await store_lines(owner, demo, 20)
    for params, expected in [
        ({"source": "app"}, 10),
        ({"level": "error"}, 4),
        ({"has_pii": "true"}, 10),
        ({"has_pii": "false"}, 10),
        ({"pii_type": "EMAIL"}, 10),
        ({"q": "LINE 1"}, 11),
        ({"q": "100%"}, 20),
        ({"q": "' OR 1=1 --"}, 0),
        ({"source": "app' OR '1'='1"}, 0),
        ({"from": (NOW + timedelta(milliseconds=3)).isoformat()}, 11),
        ({"to": (NOW + timedelta(milliseconds=3)).isoformat()}, 9),
    ]:
        assert len(await pages(client, demo, limit=1000, **params)) == expected, params


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "yesterday"},
        {"from": "2026-02-01T00:00:00"},
        {"limit": 0},
        {"limit": 1001},
        {"limit": "many"},
        {"pii_type": "NOPE"},
        {"cursor": "AAAA"},
        {"colour": "red"},
        {"q": "a\0b"},
        {"order": "sideways"},
    ],
)
async def test_log_queries_that_cannot_be(client: httpx.AsyncClient, demo: Demo, params: dict[str, Any]) -> None:
    refused = await client.get(f"/api/v1/scenarios/{demo.scenario_id}/logs", params=params)
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] in {"invalid_parameter", "invalid_cursor"}


async def test_a_cursor_serves_its_own_query_only(
    client: httpx.AsyncClient, owner: asyncpg.Connection[asyncpg.Record], demo: Demo
) -> None:
    await store_lines(owner, demo, 5)
    path = f"/api/v1/scenarios/{demo.scenario_id}/logs"
    cursor = (await client.get(path, params={"limit": 2})).json()["next_cursor"]
    assert (await client.get(path, params={"limit": 3, "cursor": cursor})).status_code == 200
    refused = await client.get(path, params={"limit": 2, "source": "app", "cursor": cursor})
    assert refused.json()["error"]["code"] == "invalid_cursor"


async def test_totals_series_and_bill_are_those_of_the_rollups(
    client: httpx.AsyncClient, owner: asyncpg.Connection[asyncpg.Record], demo: Demo
) -> None:
    await store_rollups(owner, demo)
    await store_rollups(owner, demo, NOW - timedelta(minutes=2))
    path = f"/api/v1/scenarios/{demo.scenario_id}"
    summary = (await client.get(f"{path}/summary")).json()
    assert (summary["entries"], summary["sqs_blocks"], summary["tokens"]) == (40, 40, 1000)
    assert summary["pii"] == {"EMAIL": 20}
    assert summary["sizes"] == [{"up_to_bytes": 128, "entries": 40}]
    params = {"to": (NOW + timedelta(minutes=1)).isoformat()}
    series = (await client.get(f"{path}/metrics", params={"name": "sqs.blocks", **params})).json()
    assert [point["value"] for point in series["points"]] == [20, 20]
    hourly = (await client.get(f"{path}/metrics", params={"name": "sqs.blocks", "step": "1d", **params})).json()
    assert sum(point["value"] for point in hourly["points"]) == 40
    for bad in ({"name": "nope"}, {"step": "1s"}, {"step": "0m"}, {"from": "2000-01-01T00:00:00Z"}):
        assert (await client.get(f"{path}/metrics", params=bad)).status_code == 400, bad
    costs = (await client.get(f"{path}/costs")).json()
    tokens = next(i for i in costs["measured"]["items"] if i["name"] == "input tokens")
    assert (tokens["quantity"]["likely"], tokens["amount"]["likely"]) == ("1150", "0.001265")
    assert tokens["estimated"] is True
    assert (summary["model_tokens"]["input_tokens"], summary["model_tokens"]["estimated"]) == (1150, True)
    assert costs["complete"] is True
    other = await client.post(f"{path}/what-if", json={"architecture": {"model": {"id": "nobody.knows"}}})
    assert other.json()["after"]["complete"] is False
    wrong = await client.post(f"{path}/what-if", json={"architecture": {"queue": {"batch_size": 0}}})
    assert wrong.status_code == 422


async def test_the_profile_is_that_of_the_minutes_asked_for(
    client: httpx.AsyncClient, owner: asyncpg.Connection[asyncpg.Record], demo: Demo
) -> None:
    await store_rollups(owner, demo)
    await store_rollups(owner, demo, NOW - timedelta(minutes=2))
    path = f"/api/v1/scenarios/{demo.scenario_id}/profile"
    profile = (await client.get(path)).json()
    assert profile["sqs_requests"] == {"1": 40, "2": 20, "10": 8}
    assert (profile["tokens"]["p50"], profile["tokens"]["sum"], profile["tokens"]["mean"]) == (25, 1000, "25")
    assert profile["size_bytes"]["relative_error"] == "0.03125"
    assert abs(profile["size_bytes"]["p99"] - 100) <= 3
    rate = profile["lines_per_second"]
    assert (rate["seconds"], rate["max"], rate["p50"], rate["p99"]) == (120, 15, 0, 15)
    one = (await client.get(path, params={"from": (NOW - timedelta(minutes=1)).isoformat()})).json()
    assert one["sqs_requests"]["2"] == 10
    assert (await client.get(path, params={"from": NOW.isoformat(), "to": "2000-01-01T00:00:00Z"})).status_code == 400


async def test_patterns_are_weighted_to_what_was_stored_and_priced(
    client: httpx.AsyncClient, owner: asyncpg.Connection[asyncpg.Record], demo: Demo
) -> None:
    await store_rollups(owner, demo)  # 20 entries of the hour, of which 10 were looked at
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    for template, entries in (("GET /health <n>", 6), ("order <*> failed", 2), ("order <n> failed", 1), ("", 1)):
        await owner.execute(
            "INSERT INTO scenario_patterns VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $6)",
            demo.tenant_id,
            demo.scenario_id,
            hour,
            template.encode().ljust(16)[:16],
            template,
            entries,
            entries * 100,
            entries * 25,
        )
    path = f"/api/v1/scenarios/{demo.scenario_id}/patterns"
    params = {"to": (NOW + timedelta(minutes=1)).isoformat()}
    found = (await client.get(path, params=params)).json()
    assert (found["found"], found["entries"], found["sampled_entries"]) == (3, 20, 10)
    assert [(p["template"], p["entries"], p["share_of_tokens"]) for p in found["patterns"]] == [
        ("GET /health <n>", 12, "0.6"),
        ("order <*> failed", 6, "0.3"),
        ("", 2, "0.1"),
    ]
    assert sum(Decimal(p["share_of_cost"]) for p in found["patterns"]) == 1
    month = (await client.get(f"/api/v1/scenarios/{demo.scenario_id}/costs")).json()["month"]["total"]["likely"]
    assert abs(sum(Decimal(p["month_cost"]) for p in found["patterns"]) / Decimal(month) - 1) < Decimal("1e-20")
    assert len((await client.get(path, params=params | {"limit": 1})).json()["patterns"]) == 1
    for bad in (
        {"limit": 0},
        {"from": "2020-01-01T00:00:00Z"},
        {"to": "2000-01-01T00:00:00Z", "from": NOW.isoformat()},
    ):
        assert (await client.get(path, params=bad)).status_code == 400, bad


async def test_receipts(
    client: httpx.AsyncClient, owner: asyncpg.Connection[asyncpg.Record], demo: Demo, settings: Settings
) -> None:
    through: dict[str, str] = {}
    for accepted, stored, dead, state in [
        (5, 5, 0, "stored"),
        (5, 3, 2, "partly_dead_lettered"),
        (5, 0, 5, "dead_lettered"),
        (5, 3, 0, "queued"),
    ]:
        request_id = uuid.uuid4()
        await owner.execute(
            "INSERT INTO ingest_receipts (tenant_id, request_id, scenario_id, accepted, stored, dead_lettered, "
            "received_at) VALUES ($1,$2,$3,$4,$5,$6,now())",
            demo.tenant_id,
            request_id,
            demo.scenario_id,
            accepted,
            stored,
            dead,
        )
        assert (await client.get(f"/api/v1/ingest/receipts/{request_id}")).json()["state"] == state
        through[str(request_id)] = state
    hinted = uuid.uuid4()
    path = f"/api/v1/ingest/receipts/{hinted}"
    assert (await client.get(path)).status_code == 404
    async with redis.Redis.from_url(settings.redis_url) as cache:
        await cache.set(f"receipt:{{{demo.tenant_id}}}:{hinted}", 3)
    assert (await client.get(path)).json() == {
        "request_id": str(hinted),
        "state": "queued",
        "accepted": 3,
        "stored": 0,
        "dead_lettered": 0,
    }
    asked = [str(hinted), *through, str(uuid.uuid4()), str(hinted)]
    many = (await client.get("/api/v1/ingest/receipts", params={"request_ids": ",".join(asked)})).json()
    states = [(receipt["request_id"], receipt["state"]) for receipt in many["receipts"]]
    assert states == [(str(hinted), "queued"), *through.items()]


@pytest.mark.parametrize(
    ("request_ids", "message"),
    [
        ("", "`request_ids` must be UUIDs"),
        ("1,2", "`request_ids` must be UUIDs"),
        (",".join([uuid.UUID(int=0).hex] * 101), "`request_ids` may have 100 of them, not 101"),
        ("0" * 3701, "length <= 3700"),
    ],
)
async def test_receipts_asked_for_wrongly(client: httpx.AsyncClient, request_ids: str, message: str) -> None:
    refused = await client.get("/api/v1/ingest/receipts", params={"request_ids": request_ids})
    assert refused.status_code == 400
    assert message in refused.json()["error"]["message"]


async def test_another_tenants_things_are_as_unknown_as_none(
    client: httpx.AsyncClient, owner: asyncpg.Connection[asyncpg.Record], demo: Demo, settings: Settings
) -> None:
    other = await make_tenant(settings, "other@example.com")
    await store_lines(owner, other, 3)
    await store_rollups(owner, other)
    attempts: list[tuple[str, str, dict[str, Any] | None]] = [
        ("GET", "", None),
        ("PATCH", "", {"version": 1, "name": "mine"}),
        ("DELETE", "", None),
        ("GET", "/logs", None),
        ("GET", "/logs/export", None),
        ("GET", "/logs/hits", None),
        ("GET", "/logs/facets", None),
        ("GET", "/logs/values", None),
        ("GET", "/pii", None),
        ("GET", "/tail", None),
        ("GET", "/metrics", None),
        ("GET", "/summary", None),
        ("GET", "/profile", None),
        ("GET", "/patterns", None),
        ("GET", "/costs", None),
        ("POST", "/what-if", {"architecture": {}}),
    ]
    for method, suffix, body in attempts:
        answers = []
        for scenario_id in (other.scenario_id, uuid.uuid4()):
            response = await client.request(method, f"/api/v1/scenarios/{scenario_id}{suffix}", json=body)
            error = response.json()["error"]
            answers.append((response.status_code, error["code"], error["message"]))
        assert answers[0] == answers[1], suffix
        assert answers[0][0] == 404, suffix
    listed = (await client.get("/api/v1/scenarios")).json()["scenarios"]
    assert [scenario["id"] for scenario in listed] == [str(demo.scenario_id)]


@pytest.mark.parametrize("form", ["ndjson", "csv"])
async def test_export_streams_every_line(
    client: httpx.AsyncClient, owner: asyncpg.Connection[asyncpg.Record], demo: Demo, form: str
) -> None:
    await store_lines(owner, demo, 12)
    response = await client.get(f"/api/v1/scenarios/{demo.scenario_id}/logs/export", params={"format": form})
    lines = response.text.strip().splitlines()
    assert len(lines) == (12 if form == "ndjson" else 13)


async def test_health_and_envelope(client: httpx.AsyncClient) -> None:
    for path in ("/health", "/health/ready", "/health/db", "/metrics", "/api/v1/openapi.json"):
        response = await client.get(path, headers={"Authorization": ""})
        assert response.status_code == 200, path
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-request-id"]
    assert (await client.get("/nothing")).json()["error"]["code"] == "not_found"
    page = await client.get("/", headers={"Authorization": ""})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await client.get("/style.css")).status_code == 200
    assert (await client.put("/health")).json()["error"]["code"] == "method_not_allowed"


async def test_without_a_database_it_says_so(settings: Settings) -> None:
    url = "postgresql://nobody@127.0.0.1:9/none"
    app = await build_app(dataclasses.replace(settings, postgres_api_url=url, postgres_timeout_seconds=1.0))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client,
    ):
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/health/db")).status_code == 503
        refused = await client.post("/api/v1/auth/login", json={"email": "a", "password": "b"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
