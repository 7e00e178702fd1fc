"""Signing in, going on and out: what holds, and what every wrong way is answered."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import asyncpg
import httpx
import pytest
import uvicorn

from mockupaws.api.app import build_app
from mockupaws.api.sign_in import FREE_FAILURES_OF_ACCOUNT, address_group
from mockupaws.archive.lifecycle import maintain
from mockupaws.runtime.settings import Settings
from tests.conftest import Demo
from tests.integration.api.conftest import PASSWORD, bearer, log_in
from tests.integration.api.test_api import NOW
from tests.running_stack import free_ports

LOGIN = "/api/v1/auth/login"


async def status_of(api: httpx.AsyncClient, tokens: dict[str, Any]) -> int:
    return (await api.get("/api/v1/scenarios", headers=bearer(tokens))).status_code


async def refresh(api: httpx.AsyncClient, tokens: dict[str, Any]) -> httpx.Response:
    return await api.post("/api/v1/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


async def test_refresh_tokens_are_used_once_and_a_repeat_ends_the_session(
    api: httpx.AsyncClient, owner_email: str
) -> None:
    first = await log_in(api, owner_email)
    other = await log_in(api, owner_email)
    second = (await refresh(api, first)).json()
    third = (await refresh(api, second)).json()
    assert {await status_of(api, tokens) for tokens in (first, second, third)} == {200}
    stolen = await refresh(api, first)
    assert (stolen.status_code, stolen.json()["error"]["code"]) == (401, "unauthenticated")
    assert (await refresh(api, third)).status_code == 401
    assert {await status_of(api, tokens) for tokens in (first, second, third)} == {401}
    assert await status_of(api, other) == 200


async def test_one_of_many_refreshes_at_once_wins_and_the_session_ends(
    api: httpx.AsyncClient, owner_email: str
) -> None:
    tokens = await log_in(api, owner_email)
    answers = await asyncio.gather(*(refresh(api, tokens) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers)[:2] in ([200, 401], [401, 401])
    assert sum(answer.status_code == 200 for answer in answers) <= 1
    assert await status_of(api, tokens) == 401


@pytest.mark.parametrize("token", ["", "x", "mr_", "mr_" + "a" * 43, "mk_" + "a" * 43, "' OR 1=1", "mr_" + "é" * 43])
async def test_refresh_tokens_that_never_were(api: httpx.AsyncClient, demo: Demo, token: str) -> None:
    refused = await api.post("/api/v1/auth/refresh", json={"refresh_token": token})
    assert refused.status_code in (401, 422)


async def test_an_expired_session_is_not_refreshed(
    api: httpx.AsyncClient, owner_email: str, database: asyncpg.Connection[asyncpg.Record], settings: Settings
) -> None:
    tokens = await log_in(api, owner_email)
    await database.execute("UPDATE sessions SET expires_at = now()")
    assert (await refresh(api, tokens)).status_code == 401
    await log_in(api, owner_email)
    await database.execute("UPDATE sessions SET expires_at = now()")
    await maintain(settings, NOW)
    assert await database.fetchval("SELECT count(*) FROM sessions") == 0


async def test_signing_out_ends_this_session_alone(api: httpx.AsyncClient, owner_email: str, demo: Demo) -> None:
    here, there = await log_in(api, owner_email), await log_in(api, owner_email)
    assert (await api.post("/api/v1/auth/logout", headers=bearer(here))).status_code == 204
    assert await status_of(api, here) == 401
    assert (await refresh(api, here)).status_code == 401
    assert await status_of(api, there) == 200
    assert (await api.post("/api/v1/auth/logout", headers=bearer(demo.api_key))).status_code == 403
    assert (await api.post("/api/v1/auth/logout")).status_code == 401


async def test_what_one_process_revokes_others_refuse_without_redis(
    settings: Settings, owner_email: str, api: httpx.AsyncClient
) -> None:
    """Within 5 s: both ask Postgres only."""
    cut_off = dataclasses.replace(settings, redis_url="redis://127.0.0.1:1/0")
    app = await build_app(cut_off)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://other") as other,
    ):
        tokens = await log_in(api, owner_email)
        assert await status_of(other, tokens) == 200
        await api.post("/api/v1/auth/logout", headers=bearer(tokens))
        async with asyncio.timeout(60):
            while await status_of(other, tokens) != 401:
                await asyncio.sleep(0.05)


async def test_a_password_is_changed_and_other_sessions_end(
    api: httpx.AsyncClient, owner_email: str, demo: Demo
) -> None:
    here, there = await log_in(api, owner_email), await log_in(api, owner_email)
    path, new = "/api/v1/auth/password", "another horse battery"

    async def change(**body: str) -> int:
        return (await api.post(path, json=body, headers=bearer(here))).status_code

    assert await change(current_password="wrong", new_password=new) == 401
    assert await change(current_password=PASSWORD, new_password="short") == 422
    assert await change(current_password=PASSWORD, new_password="é" * 40) == 422
    assert await change(current_password=PASSWORD, new_password=new, role="owner") == 422
    assert await change(current_password=PASSWORD, new_password=new) == 204
    assert (await status_of(api, here), await status_of(api, there)) == (200, 401)
    assert (await api.post(LOGIN, json={"email": owner_email, "password": PASSWORD})).status_code == 401
    await log_in(api, owner_email, new)
    refused = await api.post(
        path, json={"current_password": new, "new_password": PASSWORD}, headers=bearer(demo.api_key)
    )
    assert refused.status_code == 403


@pytest.mark.parametrize("email", ["demo@example.com", "nobody@example.com", "no address"])
async def test_failures_in_a_row_wait_longer_whether_or_not_the_account_exists(
    api: httpx.AsyncClient, owner_email: str, database: asyncpg.Connection[asyncpg.Record], email: str
) -> None:
    wrong = {"email": email, "password": "wrong"}
    answers = [await api.post(LOGIN, json=wrong) for _ in range(FREE_FAILURES_OF_ACCOUNT)]
    assert [answer.status_code for answer in answers] == [401] * FREE_FAILURES_OF_ACCOUNT
    await database.execute("UPDATE sign_in_failures SET locked_until = locked_until + interval '1 minute'")
    for attempt in ({**wrong, "email": email.upper()}, {"email": email, "password": PASSWORD}):
        locked = await api.post(LOGIN, json=attempt)  # not even the right password is looked at
        assert (locked.status_code, locked.json()["error"]["code"]) == (429, "too_many_attempts")
        assert 1 < int(locked.headers["retry-after"]) <= 61
    waits = []
    for _ in range(10):
        await database.execute("UPDATE sign_in_failures SET locked_until = now()")
        assert (await api.post(LOGIN, json=wrong)).status_code == 401
        waits.append(await database.fetchval(
            "SELECT max(extract(epoch FROM locked_until - failed_at))::integer FROM sign_in_failures"
        ))  # fmt: skip
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


async def test_a_success_forgets_the_failures_of_the_account(
    api: httpx.AsyncClient, owner_email: str, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    for _ in range(3):
        for _ in range(FREE_FAILURES_OF_ACCOUNT - 1):
            assert (await api.post(LOGIN, json={"email": owner_email, "password": "wrong"})).status_code == 401
        await log_in(api, owner_email)
    # The address keeps the failures, so that an own account can't be used to forget guesses at others.
    rows = await database.fetch("SELECT failures FROM sign_in_failures")
    assert [row["failures"] for row in rows] == [3 * (FREE_FAILURES_OF_ACCOUNT - 1)]


async def test_of_many_guesses_at_once_none_slips_through(
    api: httpx.AsyncClient, owner_email: str, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    wrong = {"email": owner_email, "password": "wrong"}
    await api.post(LOGIN, json=wrong)
    await database.execute("UPDATE sign_in_failures SET failures = 12")  # the next one waits 256 s
    answers = await asyncio.gather(*(api.post(LOGIN, json=wrong) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [401] + [429] * 19


async def test_guesses_at_many_accounts_from_one_address_wait(
    api: httpx.AsyncClient, owner_email: str, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    await api.post(LOGIN, json={"email": "first@example.com", "password": "wrong"})
    await database.execute("UPDATE sign_in_failures SET failures = 49")
    await database.execute("UPDATE sign_in_failures SET locked_until = now()")
    assert (await api.post(LOGIN, json={"email": "second@example.com", "password": "wrong"})).status_code == 401
    await database.execute("UPDATE sign_in_failures SET locked_until = locked_until + interval '1 minute'")
    third = await api.post(LOGIN, json={"email": "third@example.com", "password": "wrong"})
    assert third.status_code == 429
    forwarded = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9"}
    spoofed = await api.post(LOGIN, json={"email": "third@example.com", "password": "x"}, headers=forwarded)
    assert spoofed.status_code == 429


def test_an_address_is_counted_by_who_has_it() -> None:
    assert address_group("192.0.2.7") == address_group("::ffff:192.0.2.7") == "192.0.2.7"
    assert address_group("2001:db8::1") == address_group("2001:db8::ffff") != address_group("2001:db8:0:1::1")
    assert address_group("testclient") == "testclient"


async def test_the_store_of_failures_names_nobody(
    api: httpx.AsyncClient, owner_email: str, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    await api.post(LOGIN, json={"email": owner_email, "password": "wrong"})
    rows = await database.fetch("SELECT subject FROM sign_in_failures")
    assert {len(row["subject"]) for row in rows} == {32}
    assert all(b"demo" not in row["subject"] for row in rows)


async def test_credentials_that_cannot_be(api: httpx.AsyncClient, demo: Demo) -> None:
    for body, status in (
        ({"email": "a@b", "password": "x" * 2000}, 422),
        ({"email": "a@b", "password": "x" * 100}, 401),
        ({"email": "a" * 300, "password": "x"}, 422),
        ({"email": "a@b", "password": "a\0b"}, 422),
        ({"email": "' OR '1'='1' --", "password": "x"}, 401),
        ({"email": ["a@b"], "password": "x"}, 422),
        ({"email": "a@b", "password": "x", "tenant_id": str(demo.tenant_id)}, 422),
    ):
        assert (await api.post(LOGIN, json=body)).status_code == status, body


async def test_a_tail_ends_with_its_credential(
    settings: Settings, api: httpx.AsyncClient, owner_email: str, demo: Demo
) -> None:
    """Over a real socket: the client for ASGI holds a stream back until it ends."""
    session = await log_in(api, owner_email)
    key = (await api.post("/api/v1/api-keys", json={"name": "k", "scopes": ["read"]}, headers=bearer(session))).json()
    (port,) = free_ports(1)
    server = uvicorn.Server(uvicorn.Config(await build_app(settings), port=port, log_config=None))
    serving = asyncio.create_task(server.serve())
    path = f"http://127.0.0.1:{port}/api/v1/scenarios/{demo.scenario_id}/tail"
    try:
        async with asyncio.timeout(60):
            while not server.started:
                await asyncio.sleep(0.05)
        async with httpx.AsyncClient(timeout=20) as client:

            async def follow(token: str) -> int:
                lines = 0
                async with client.stream("GET", path, headers=bearer(token)) as stream:
                    async for _ in stream.aiter_lines():
                        connected.release()
                        lines += 1
                return lines

            connected = asyncio.Semaphore(0)
            tails = [asyncio.create_task(follow(token)) for token in (session["access_token"], key["key"])]
            async with asyncio.timeout(60):
                for _ in tails:
                    await connected.acquire()
            await api.delete(f"/api/v1/api-keys/{key['id']}", headers=bearer(session))
            await api.post("/api/v1/auth/logout", headers=bearer(session))
            async with asyncio.timeout(60):
                await asyncio.gather(*tails)
    finally:
        server.should_exit = True
        await serving
