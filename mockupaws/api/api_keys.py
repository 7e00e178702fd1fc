"""API keys of the tenant: made, listed, rotated, revoked. The key's text is shown once, when it is made."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.audit import record
from mockupaws.api.errors import RefusedError
from mockupaws.api.logs import Instant
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.api.search_blocks import LATEST
from mockupaws.runtime.api_keys import RANDOM_BYTES, mint, secret_hmac
from mockupaws.runtime.postgres import Connection
from mockupaws.schemas.accounts import Scope, beyond
from mockupaws.schemas.identifiers import new_request_id


class NewApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=4)]
    expires_at: Instant | None = None


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    overlap_hours: Annotated[int, Meta(ge=0, le=30 * 24)] = 24
    """How long the old key is still taken; 0: it ends at once."""


class ApiKey(msgspec.Struct, frozen=True, omit_defaults=True):
    id: UUID
    name: str
    prefix: str
    scopes: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    created_by: str
    """A user's id, `api-key:<id>`, or `installation`."""
    replaced_by: UUID | None
    """The key that followed it when it was rotated."""
    last_used_at: datetime | None
    """To a minute or so."""
    key: str | None = None
    """The whole key; only in the answer that made it."""


class ApiKeys(msgspec.Struct, frozen=True):
    api_keys: list[ApiKey]


async def create_api_key(call: Call) -> Response:
    body: NewApiKey = call.body
    _check_reach(call, body.scopes)
    if body.expires_at is not None and body.expires_at <= _now(call):
        raise RefusedError("invalid_body", "this moment is past - at `$.expires_at`")
    if body.expires_at is not None and body.expires_at > LATEST:
        raise RefusedError("invalid_body", f"this moment is after the year {LATEST.year - 1} - at `$.expires_at`")
    async with call.services.databases.write(call.tenant_id) as connection:
        made = await _insert(connection, call, body.name, body.scopes, body.expires_at)
        await record(call, connection, "api_key.created", made.id, after=_without_key(made))
    return answer(made, 201)


async def list_api_keys(call: Call) -> Response:
    async with call.services.databases.read(call.tenant_id) as reading:
        rows = await reading.connection.fetch(SQL["list_api_keys"])
    return answer(ApiKeys([ApiKey(**row) for row in rows]))


async def rotate_api_key(call: Call) -> Response:
    """A new key with the old one's name, scopes and length of life; the old one ends after the overlap."""
    body: Rotation = call.body
    now = _now(call)
    async with call.services.databases.write(call.tenant_id) as connection:
        old = await connection.fetchrow(SQL["lock_api_key"], call.id("key_id"))
        if old is None:
            raise _unknown_key()
        _check_reach(call, old["scopes"])
        if old["revoked_at"] or old["replaced_by"] or (old["expires_at"] and old["expires_at"] <= now):
            raise RefusedError("key_ended", "the key is revoked, expired or rotated already: make a new one")
        life = old["expires_at"] - old["created_at"] if old["expires_at"] else None
        made = await _insert(connection, call, old["name"], old["scopes"], now + life if life else None)
        await connection.execute(SQL["replace_api_key"], old["id"], made.id, now + timedelta(hours=body.overlap_hours))
        told = {"overlap_hours": body.overlap_hours}
        await record(call, connection, "api_key.rotated", old["id"], after=_without_key(made), details=told)
    call.services.authenticator.forget_key(old["prefix"])
    return answer(made, 201)


async def revoke_api_key(call: Call) -> Response:
    """In force here at once, in every other process within 5 s: see authenticate.CACHE_SECONDS."""
    async with call.services.databases.write(call.tenant_id) as connection:
        row = await connection.fetchrow(SQL["revoke_api_key"], call.id("key_id"))
        if row is None:
            raise _unknown_key()
        await record(call, connection, "api_key.revoked", row["id"])
    call.services.authenticator.forget_key(row["prefix"])
    return Response(status_code=204)


async def _insert(
    connection: Connection, call: Call, name: str, scopes: list[Scope], expires_at: datetime | None
) -> ApiKey:
    minted = mint(secrets.token_bytes(RANDOM_BYTES))
    row: asyncpg.Record | None = await connection.fetchrow(
        SQL["insert_api_key"],
        new_request_id(call.services.clock.now_us(), secrets.token_bytes(10)),
        call.tenant_id,
        name,
        minted.prefix,
        secret_hmac(call.services.settings.api_key_pepper, minted.secret),
        sorted(set(scopes)),
        expires_at,
        call.caller.subject,
    )
    assert row is not None
    return ApiKey(**row, key=minted.text)


def _without_key(made: ApiKey) -> ApiKey:
    return msgspec.structs.replace(made, key=None)


def _check_reach(call: Call, scopes: list[Scope]) -> None:
    missing = beyond(scopes, call.caller.scopes)
    if missing:
        raise RefusedError("forbidden", f"you can't give a scope you don't have: {', '.join(missing)}")


def _now(call: Call) -> datetime:
    return datetime.fromtimestamp(call.services.clock.now_us() / 1e6, UTC)


def _unknown_key() -> RefusedError:
    return RefusedError("not_found", "there is no such key")
