"""The API's application on a real Postgres, and people who sign in to it."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import bcrypt
import httpx
import pytest

from mockupaws.api.app import build_app
from mockupaws.runtime.settings import Settings
from tests.conftest import Demo

PASSWORD = "correct horse battery"


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Without a credential; passwords may be tried as often as a test likes, and webhooks lead to this machine."""
    app = await build_app(dataclasses.replace(settings, limit_sign_ins=0, outgoing_allowed_networks="127.0.0.0/8"))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as made,
    ):
        yield made


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """As the owner."""
    connection = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    yield connection
    await connection.close()


@pytest.fixture
async def owner_email(demo: Demo, database: asyncpg.Connection[asyncpg.Record]) -> str:
    """Of the demo tenant's owner, whose password is PASSWORD; hashed cheaply, to be quick."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    await database.execute("UPDATE users SET password_hash = $1 WHERE id = $2", hashed, demo.user_id)
    return "demo@example.com"


async def log_in(api: httpx.AsyncClient, email: str, password: str = PASSWORD) -> dict[str, Any]:
    answered = await api.post("/api/v1/auth/login", json={"email": email, "password": password})
    assert answered.status_code == 200, answered.text
    tokens: dict[str, Any] = answered.json()
    return tokens


def bearer(token: str | dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {token if isinstance(token, str) else token['access_token']}"}
