"""API keys of the tenant: made, listed, revoked. The key's text is shown once, when it is made."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.errors import RefusedError
from mockupaws.api.logs import Instant
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.runtime.api_keys import RANDOM_BYTES, mint, secret_hmac
from mockupaws.schemas.identifiers import new_request_id


class NewApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    scopes: Annotated[list[Literal["ingest", "read", "manage", "operate"]], Meta(min_length=1, max_length=4)]
    expires_at: Instant | None = None


class ApiKey(msgspec.Struct, frozen=True, omit_defaults=True):
    id: UUID
    name: str
    prefix: str
    scopes: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    key: str | None = None
    """The whole key; only in the answer that made it."""


class ApiKeys(msgspec.Struct, frozen=True):
    api_keys: list[ApiKey]


async def create_api_key(call: Call) -> Response:
    body: NewApiKey = call.body
    assert call.principal is not None
    # A key can't give more than its maker has; `ingest` comes with `manage`, since roles don't list it.
    beyond = set(body.scopes) - {*call.principal.scopes, "ingest"}
    if beyond:
        raise RefusedError("forbidden", f"you can't give a scope you don't have: {', '.join(sorted(beyond))}")
    services = call.services
    minted = mint(secrets.token_bytes(RANDOM_BYTES))
    async with services.databases.write(call.tenant_id) as connection:
        row = await connection.fetchrow(
            SQL["insert_api_key"],
            new_request_id(services.clock.now_us(), secrets.token_bytes(10)),
            call.tenant_id,
            body.name,
            minted.prefix,
            secret_hmac(services.settings.api_key_pepper, minted.secret),
            sorted(set(body.scopes)),
            body.expires_at,
        )
    assert row is not None
    return answer(ApiKey(**row, key=minted.text), 201)


async def list_api_keys(call: Call) -> Response:
    async with call.services.databases.read(call.tenant_id) as reading:
        rows = await reading.connection.fetch(SQL["list_api_keys"])
    return answer(ApiKeys([ApiKey(**row) for row in rows]))


async def revoke_api_key(call: Call) -> Response:
    """In force here within authenticate.KEY_CACHE_SECONDS, at the gateway with its next directory refresh."""
    async with call.services.databases.write(call.tenant_id) as connection:
        if await connection.fetchval(SQL["revoke_api_key"], call.id("key_id")) is None:
            raise RefusedError("not_found", "there is no such key")
    return Response(status_code=204)
