"""The layer alone, around an application that does what a test wants."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any
from uuid import UUID

import msgspec
import pytest

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.http_edge import Application, HttpEdge, Receive, Scope, Send
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.http.headers import SECURITY_HEADERS

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
Answer = tuple[int, dict[str, str], bytes]


async def call(
    app: Application, *headers: tuple[str, str], settings: Settings | None = None, method: str = "GET",
    path: str = "/x", host: str = "localhost", client: tuple[str, int] = ("10.0.0.9", 1), shared: Any = None,
) -> Answer:  # fmt: skip
    scope: Scope = {
        "type": "http", "method": method, "path": path, "query_string": b"", "scheme": "http", "client": client,
        "headers": [(n.encode(), v.encode()) for n, v in (*([("host", host)] if host else []), *headers)],
        "state": {} if shared is None else shared,
    }  # fmt: skip
    status, found, body = 0, {}, b""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        nonlocal status, found, body
        if message["type"] == "http.response.start":
            assert not status, "answered once"
            status = message["status"]
            found = {name.decode(): value.decode() for name, value in message["headers"]}
            assert len(found) == len(message["headers"]), "no header stands twice"
        else:
            body += message["body"]

    await HttpEdge(app, settings or Settings(), "127.0.0.1", SystemClock())(scope, receive, send)
    return status, found, body


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells what it was given."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"public")]})
    told = [scope["state"]["request_id"], scope["client"][0], scope["scheme"]]
    await send({"type": "http.response.body", "body": msgspec.json.encode(told)})


async def test_each_answer_has_the_headers_and_a_routes_own_go_before() -> None:
    status, headers, _ = await call(echo)
    assert status == 200
    assert headers["cache-control"] == "public"
    assert {name.decode() for name, _ in SECURITY_HEADERS} < headers.keys()
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "strict-transport-security" not in headers
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ({"host": ""}, 400, "malformed_request"),
        ({"host": "a/b?x="}, 400, "malformed_request"),
        ({"host": "evil.example"}, 421, "host_not_allowed"),
        ({"path": "/" + "a" * 40_000}, 431, "head_too_large"),
    ],
)
async def test_heads_that_are_refused(arguments: dict[str, str], status: int, code: str) -> None:
    found, headers, body = await call(echo, **arguments)  # type: ignore[arg-type]
    error = msgspec.json.decode(body)["error"]
    assert (found, error["code"], error["request_id"]) == (status, code, headers["x-request-id"])
    assert headers["connection"] == "close"
    assert headers["x-content-type-options"] == "nosniff"
    assert "evil" not in body.decode()


async def test_two_hosts_and_many_headers_are_refused_and_probes_may_call_by_any_address() -> None:
    assert (await call(echo, ("host", "localhost")))[0] == 400
    assert (await call(echo, *[(f"x-{n}", "v" * 1000) for n in range(40)]))[0] == 431
    assert (await call(echo, host="10.3.2.1:8000", path="/health/ready"))[0] == 200
    assert (await call(echo, host="a b", path="/health"))[0] == 400


async def test_request_ids() -> None:
    _, headers, body = await call(echo, ("x-request-id", ID))
    assert (headers["x-request-id"], msgspec.json.decode(body)[0]) == (ID, ID)
    minted = set()
    for wrong in ((), ("jo@example.com",), (ID, ID), (ID.upper(),)):
        _, headers, body = await call(echo, *[("x-request-id", value) for value in wrong])
        assert msgspec.json.decode(body)[0] == headers["x-request-id"]
        assert UUID(headers["x-request-id"]).version == 7
        minted.add(headers["x-request-id"])
    assert len(minted) == 4


async def test_requests_share_no_state_though_the_server_hands_out_one_mapping() -> None:
    shared: dict[str, Any] = {"kept": 1}
    inside = asyncio.Event()
    seen = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        inside.set()
        await asyncio.sleep(0)
        seen.append((scope["state"]["request_id"], scope["state"]["kept"]))
        await echo(scope, receive, send)

    answers = await asyncio.gather(*[call(slow, shared=shared) for _ in range(3)])
    assert sorted(seen) == sorted((headers["x-request-id"], 1) for _, headers, _ in answers)
    assert shared == {"kept": 1}


async def test_only_a_trusted_proxy_speaks_for_its_client() -> None:
    headers = (("x-forwarded-for", "198.51.100.1"), ("x-forwarded-proto", "https"))
    _, found, body = await call(echo, *headers)
    assert msgspec.json.decode(body)[1:] == ["10.0.0.9", "http"]
    trusting = dataclasses.replace(Settings(), http_trusted_proxies="10.0.0.0/24")
    _, found, body = await call(echo, *headers, settings=trusting)
    assert msgspec.json.decode(body)[1:] == ["198.51.100.1", "https"]
    assert "max-age" in found["strict-transport-security"]
    _, found, body = await call(echo, *headers, settings=trusting, client=("10.0.1.9", 1))
    assert msgspec.json.decode(body)[1:] == ["10.0.1.9", "http"]


async def test_other_sites_read_answers_only_where_they_are_listed() -> None:
    listing = dataclasses.replace(Settings(), http_allowed_origins="https://dashboard.example")
    for settings, origin in (
        (Settings(), "https://dashboard.example"),
        (listing, "https://evil.example"),
        (listing, "null"),
    ):
        for method in ("GET", "OPTIONS"):
            _, headers, _ = await call(
                echo, ("origin", origin), ("access-control-request-method", "GET"), settings=settings, method=method
            )
            assert "access-control-allow-origin" not in headers
    _, headers, _ = await call(echo, ("origin", "https://dashboard.example"), settings=listing)
    assert headers["access-control-allow-origin"] == "https://dashboard.example"
    assert headers["vary"] == "Origin"
    assert {"etag", "data-through", "replica-lag-seconds"} <= set(headers["access-control-expose-headers"].split(", "))
    assert "access-control-allow-credentials" not in headers
    status, headers, body = await call(
        echo, ("origin", "https://dashboard.example"), ("access-control-request-method", "PUT"), settings=listing,
        method="OPTIONS",
    )  # fmt: skip
    assert (status, body) == (204, b"")
    assert "PUT" in headers["access-control-allow-methods"]
    assert "authorization" in headers["access-control-allow-headers"]


async def test_a_defect_is_answered_and_the_log_holds_no_text_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("4111 1111 1111 1111")

    status, headers, body = await call(broken)
    logged = "".join(capsys.readouterr())
    assert status == 500
    assert msgspec.json.decode(body)["error"]["request_id"] == headers["x-request-id"]
    assert "4111" not in body.decode() + logged
    assert "ValueError" in logged
    assert headers["x-request-id"] in logged


async def test_a_failure_in_the_middle_cuts_the_answer_short() -> None:
    async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError

    assert (await call(breaking))[::2] == (200, b"half")


async def test_a_client_that_stops_reading_is_let_go() -> None:
    ended = False

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal ended
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        finally:
            ended = True

    async def stuck(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def nothing() -> dict[str, Any]:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "scheme": "http", "client": None,
             "headers": [(b"host", b"localhost")]}  # fmt: skip
    await HttpEdge(endless, Settings(http_send_seconds=0.01), "127.0.0.1", SystemClock())(scope, nothing, stuck)
    assert ended
