"""Signing in and out, over HTTP: e-mail and password for an access token and a refresh token."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.audit import record
from mockupaws.api.errors import RefusedError
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.api.sessions import end_sessions
from mockupaws.api.sign_in import SignedIn
from mockupaws.runtime.passwords import PasswordError, hash_password
from mockupaws.schemas.accounts import MAX_EMAIL_CHARACTERS

Password = Annotated[str, Meta(min_length=1, max_length=1024)]


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: Annotated[str, Meta(min_length=1, max_length=MAX_EMAIL_CHARACTERS)]
    password: Password


class RefreshToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    refresh_token: Annotated[str, Meta(min_length=1, max_length=100)]


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    current_password: Password
    new_password: Password


class Tokens(msgspec.Struct, frozen=True):
    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str


async def log_in(call: Call) -> Response:
    body: Credentials = call.body
    return _tokens(call, await call.services.sign_in.log_in(body.email, body.password, call.origin))


async def refresh(call: Call) -> Response:
    body: RefreshToken = call.body
    return _tokens(call, await call.services.sign_in.refresh(body.refresh_token, call.origin))


async def log_out(call: Call) -> Response:
    await call.services.sign_in.log_out(call.caller, call.origin)
    return Response(status_code=204)


async def change_password(call: Call) -> Response:
    """Ends every other session of the user: whoever else knew the old password is out."""
    body: PasswordChange = call.body
    principal, services = call.caller, call.services
    if principal.user_id is None:
        raise RefusedError("forbidden", "an API key has no password; sign in with e-mail and password")
    matched = await services.sign_in.check_own_password(
        principal.tenant_id, principal.user_id, body.current_password, call.origin.address
    )
    hashed = await hash_new_password(body.new_password, "new_password")
    async with services.databases.write(principal.tenant_id) as connection:
        user = await connection.fetchrow(SQL["lock_user_for_change"], principal.user_id)
        if user is None or user["password_hash"] != matched:
            raise RefusedError("unauthenticated", "the password was changed meanwhile: sign in again")
        await connection.execute(SQL["update_user"], user["id"], user["role"], hashed)
        ended = await end_sessions(
            connection, services.settings, principal.tenant_id, principal.user_id, principal.session_id
        )
        await record(call, connection, "password.changed", principal.user_id, details={"sessions_ended": ended})
    services.sign_in.refuse_tokens(ended)
    return Response(status_code=204)


async def hash_new_password(password: str, field: str) -> str:
    """Raises RefusedError where it can't be a password."""
    try:
        return await asyncio.to_thread(hash_password, password)
    except PasswordError as error:
        raise RefusedError("invalid_body", f"{error} - at `$.{field}`") from None


def _tokens(call: Call, signed_in: SignedIn) -> Response:
    life = call.services.settings.access_token_seconds
    document = Tokens(signed_in.access_token, "Bearer", life, signed_in.refresh_token)
    return answer(document, headers={"Cache-Control": "no-store"})
