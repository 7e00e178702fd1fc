"""What an attacker puts into ids, filters, bodies and headers, on every route of the table."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest

from mockupaws.api.app import build_app
from mockupaws.api.routes import ROUTES
from mockupaws.api.routing import ApiRoute
from mockupaws.runtime.settings import Settings
from tests.conftest import Demo
from tests.integration.api.test_api import store_lines

IDS = [
    "../../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2f", "....//....//",
    "..\\..\\windows", "\0", "%00",
    "' OR '1'='1", "1; DROP TABLE users --", "00000000-0000-0000-0000-00000000000\u0661", "\uff10" * 36,
    "*", "null", "-1",
    "x" * 4000, "{{7*7}}", "${jndi:ldap://x}", "\u202e", "00000000-0000-7000-8000-000000000000' --",
    "\r\nX-Injected: 1",
]  # fmt: skip
TEXTS = [
    "' OR '1'='1", "'; SELECT pg_sleep(10) --", "\\'; DROP TABLE scenario_logs; --", "%' OR 1=1 --", "x' UNION SELECT "
    "password_hash FROM users --", "$1", "$$; DROP TABLE users; $$", "1 OR 1=1", "{\"$ne\": null}",
    "\u2019 OR \u20191\u2019=\u20191",
    "a\0b", "\\x00", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "_", "../../etc/passwd",
]  # fmt: skip
NOT_OURS_TO_SET = (
    "tenant_id",
    "id",
    "user_id",
    "created_by",
    "is_admin",
    "scopes_",
    "received_at",
    "__proto__",
    "ROLE",
)


LINE_FILTERS = ("source", "level", "q", "value", "attributes")
"""What any text is a filter for."""


@pytest.fixture
async def client(settings: Settings, demo: Demo) -> AsyncIterator[httpx.AsyncClient]:
    app = await build_app(settings)
    transport = httpx.ASGITransport(app, client=("198.51.100.7", 1))
    headers = {"Authorization": f"Bearer {demo.api_key}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as made,
    ):
        yield made


async def test_no_id_leads_anywhere_else(client: httpx.AsyncClient, demo: Demo) -> None:
    for route in ROUTES:
        for name in re.findall(r"{(\w+)}", route.path):
            for bad in IDS:
                path = route.path.replace(f"{{{name}}}", quote(bad, safe="%"))
                path = re.sub(r"{\w+}", str(demo.scenario_id), path)
                answered = await client.request(route.method, path, json={} if route.body else None)
                # 405 and 200 are those of another route's path, which `..` and `%2f` may make of it after decoding.
                assert answered.status_code in (400, 401, 404, 405, 422), (route.path, bad, answered.text)
                assert "x-injected" not in answered.headers


def text_filters(route: ApiRoute) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(route.query)]


async def test_no_filter_reaches_the_database_as_sql(
    client: httpx.AsyncClient,
    database: Any,
    demo: Demo,
) -> None:
    await store_lines(database, demo, 3)
    before = await database.fetchval("SELECT count(*) FROM scenario_logs")
    for route in ROUTES:
        path = re.sub(r"{\w+}", str(demo.scenario_id), route.path)
        for name in text_filters(route):
            for text in TEXTS:
                if route.path.endswith("/tail") and "\0" not in text and name in LINE_FILTERS:
                    continue  # an answer without an end; its filter is that of the list of lines
                answered = await client.request(
                    route.method, path, params={name: text}, json={} if route.body else None
                )
                assert answered.status_code in (200, 400, 404, 422), (route.path, name, text, answered.text)
                if answered.status_code == 200 and "logs" in answered.headers["content-type"] + route.path:
                    assert "line " not in answered.text or text in ("_",), (route.path, name, text)
    assert await database.fetchval("SELECT count(*) FROM scenario_logs") == before
    assert await database.fetchval("SELECT count(*) FROM users") >= 1


TIMES = (
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "1899-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999-23:59",
)  # fmt: skip
"""Which Python can write down, and some not move by an hour."""


async def test_times_that_cannot_be_are_refused_wherever_times_are_taken(client: httpx.AsyncClient, demo: Demo) -> None:
    tried = set()
    for route in ROUTES:
        names = {"from", "to", "as_of"} & set(text_filters(route))
        path = re.sub(r"{\w+}", str(demo.scenario_id), route.path)
        cases = [{name: moment} for name in names for moment in TIMES]
        if {"from", "to"} <= names:
            cases.append({"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"})
        for params in cases:
            with_other = {"with": str(demo.scenario_id)} if path.endswith("/compare") else {}
            answered = await client.request(route.method, path, params=params | with_other)
            assert answered.status_code == 400, (route.path, params, answered.text)
            error = answered.json()["error"]
            assert error["code"] == "invalid_parameter"
            assert any(f"`{name}`" in error["message"] for name in params), error
            tried.add(route.path)
    assert len(tried) > 15
    far = {"name": "k", "scopes": ["read"], "expires_at": TIMES[-1]}
    refused = await client.post("/api/v1/api-keys", json=far)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_body")


async def test_no_body_sets_what_is_not_its_to_set(client: httpx.AsyncClient, database: Any, demo: Demo) -> None:
    before = await database.fetchval("SELECT json_agg(u ORDER BY id)::text FROM users u")
    with_bodies = [route for route in ROUTES if route.body is not None]
    assert len(with_bodies) > 10
    for route in with_bodies:
        assert route.body is not None
        required = {field.encode_name: "x" for field in msgspec.structs.fields(route.body) if field.required}
        path = re.sub(r"{\w+}", str(demo.scenario_id), route.path)
        for name in NOT_OURS_TO_SET:
            if name in {field.encode_name for field in msgspec.structs.fields(route.body)}:
                continue
            answered = await client.request(route.method, path, json={name: "x", **required})
            assert answered.status_code == 422, (route.path, name, answered.text)
    assert await database.fetchval("SELECT json_agg(u ORDER BY id)::text FROM users u") == before
    assert all(msgspec.json.schema(route.body)["$defs"][route.body.__name__]["additionalProperties"] is False
               for route in with_bodies if route.body is not None)  # fmt: skip


async def test_an_address_is_believed_from_a_trusted_proxy_alone(
    client: httpx.AsyncClient, settings: Settings, demo: Demo
) -> None:
    forwarded = {
        "X-Forwarded-For": "203.0.113.9, 192.0.2.44",
        "Forwarded": "for=203.0.113.9",
        "X-Real-IP": "203.0.113.9",
    }

    async def told(caller: httpx.AsyncClient) -> str:
        made = await caller.post("/api/v1/scenarios", json={"name": "x"}, headers=forwarded)
        assert made.status_code == 201
        return str((await client.get("/api/v1/audit", params={"limit": 1})).json()["entries"][0]["address"])

    assert await told(client) == "198.51.100.7"
    app = await build_app(dataclasses.replace(settings, http_trusted_proxies="198.51.100.0/24"))
    transport = httpx.ASGITransport(app, client=("198.51.100.7", 1))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api", headers=client.headers) as behind,
    ):
        assert await told(behind) == "192.0.2.44"


async def test_a_token_of_a_megabyte_is_refused_before_it_is_looked_at(client: httpx.AsyncClient) -> None:
    for header in ("Authorization", "X-API-Key"):
        answered = await client.get("/api/v1/scenarios", headers={header: "Bearer " + "eyJ." * 250_000})
        assert (answered.status_code, answered.json()["error"]["code"]) == (431, "head_too_large")
