"""A sign-in and what follows from it: opened, refreshed, ended. Each function runs in the caller's transaction.

A refresh token is `mr_` and 256 random bits; stored is its HMAC. It is used once: the answer holds the next one. A used
one that comes again is held by two parties, one of whom shouldn't have it, so the whole session ends.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from uuid import UUID

from mockupaws.api.queries import SQL
from mockupaws.runtime.access_tokens import CLOCK_LEEWAY_SECONDS
from mockupaws.runtime.api_keys import secret_hmac
from mockupaws.runtime.postgres import Connection
from mockupaws.runtime.settings import Settings

_REFRESH_TOKEN = re.compile(r"mr_([A-Za-z0-9_-]{43})", re.ASCII)


def refresh_token_hmac(settings: Settings, text: str) -> bytes | None:
    """What is stored of a refresh token; None where the text is none."""
    found = _REFRESH_TOKEN.fullmatch(text)
    return secret_hmac(settings.api_key_pepper, text) if found else None


async def open_session(
    connection: Connection, settings: Settings, tenant_id: UUID, user_id: UUID, session_id: UUID
) -> str:
    """The first refresh token of a new session."""
    await connection.execute(SQL["insert_session"], session_id, tenant_id, user_id, settings.refresh_token_days)
    return await next_refresh_token(connection, settings, tenant_id, session_id)


async def next_refresh_token(connection: Connection, settings: Settings, tenant_id: UUID, session_id: UUID) -> str:
    text = f"mr_{secrets.token_urlsafe(32)}"
    stored = refresh_token_hmac(settings, text)
    await connection.execute(SQL["insert_refresh_token"], stored, tenant_id, session_id)
    return text


async def end_sessions(
    connection: Connection, settings: Settings, tenant_id: UUID, user_id: UUID, but_for: UUID | None = None
) -> list[UUID]:
    """Ends the sessions of a user; the ids whose access tokens are refused from the commit on."""
    rows = await connection.fetch(SQL["end_sessions_of_user"], user_id, but_for)
    ended = [row["id"] for row in rows]
    await revoke(connection, settings, tenant_id, ended)
    return ended


async def end_session(connection: Connection, settings: Settings, tenant_id: UUID, session_id: UUID) -> list[UUID]:
    """Ends one session; its access tokens are refused from the commit on, also where it had ended before."""
    await connection.execute(SQL["end_session"], session_id)
    await revoke(connection, settings, tenant_id, [session_id])
    return [session_id]


async def revoke(connection: Connection, settings: Settings, tenant_id: UUID, ids: Sequence[UUID]) -> None:
    """By the ids of tokens, sessions or users."""
    await connection.execute(SQL["revoke_tokens"], tenant_id, ids, revocation_seconds(settings))


def revocation_seconds(settings: Settings) -> int:
    """How long a revocation has to stand: no token issued before it lives longer."""
    return settings.access_token_seconds + 2 * CLOCK_LEEWAY_SECONDS
