"""Users of the tenant: who may sign in, and as what. The last owner can't be removed or demoted.

Nobody can give, take or reset what they don't have themselves: a key with `manage` alone can't make itself an owner.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from mockupaws.api.audit import record
from mockupaws.api.auth import Password, hash_new_password
from mockupaws.api.cursor import Position
from mockupaws.api.errors import RefusedError
from mockupaws.api.paging import cursor_after, position_of
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.api.sessions import end_sessions, revoke
from mockupaws.runtime.postgres import Connection
from mockupaws.schemas.accounts import SCOPES_OF_ROLE, Role, beyond, normalise_email
from mockupaws.schemas.identifiers import new_request_id


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    email: Annotated[str, Meta(min_length=3, max_length=400)]
    password: Password
    role: Role


class UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ends the user's sessions: what they may do from now on, they sign in for."""

    role: Role | UnsetType = UNSET
    password: Password | UnsetType = UNSET


class UserQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: str | None = None


class User(msgspec.Struct, frozen=True):
    id: UUID
    email: str
    role: str
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None


class UserPage(msgspec.Struct, frozen=True):
    users: list[User]
    next_cursor: str | None


async def list_users(call: Call) -> Response:
    query: UserQuery = call.query
    binding = f"users/{call.tenant_id}"
    position = position_of(call, binding, query.cursor, "start again without a cursor")
    async with call.services.databases.read(call.tenant_id) as reading:
        rows = await reading.connection.fetch(SQL["list_users"], *(position or (None, None)), query.limit + 1)
    following = cursor_after(call, binding, rows, query.limit, lambda row: Position(row["created_at"], row["id"]))
    return answer(UserPage([User(**row) for row in rows[: query.limit]], following))


async def get_user(call: Call) -> Response:
    async with call.services.databases.read(call.tenant_id) as reading:
        row = await reading.connection.fetchrow(SQL["find_user_by_id"], call.id("user_id"))
    if row is None:
        raise _unknown_user()
    return answer(User(**row))


async def create_user(call: Call) -> Response:
    body: NewUser = call.body
    _check_reach(call, body.role)
    email = normalise_email(body.email)
    if email is None:
        raise RefusedError("invalid_body", "this is no e-mail address - at `$.email`")
    hashed = await hash_new_password(body.password, "password")
    user_id = new_request_id(call.services.clock.now_us(), secrets.token_bytes(10))
    try:
        async with call.services.databases.write(call.tenant_id) as connection:
            row = await connection.fetchrow(SQL["insert_user"], user_id, call.tenant_id, email, hashed, body.role)
            await record(call, connection, "user.created", user_id, after={"role": body.role})
    except asyncpg.UniqueViolationError:
        raise RefusedError("email_taken", "this e-mail can't be used for a new user - at `$.email`") from None
    assert row is not None
    return answer(User(**row), 201, {"Location": f"/api/v1/users/{user_id}"})


async def change_user(call: Call) -> Response:
    body: UserChange = call.body
    if body.role is UNSET and body.password is UNSET:
        raise RefusedError("invalid_body", "state what to change: `$.role` or `$.password`")
    hashed = await hash_new_password(body.password, "password") if body.password is not UNSET else None
    services = call.services
    async with services.databases.write(call.tenant_id) as connection:
        user = await _lock(connection, call)
        role = user["role"] if body.role is UNSET else body.role
        _check_reach(call, role)
        if role != "owner":
            await _keep_an_owner(connection, user)
        row = await connection.fetchrow(SQL["update_user"], user["id"], role, hashed)
        ended = await end_sessions(connection, services.settings, call.tenant_id, user["id"])
        told = {"password_reset": hashed is not None, "sessions_ended": ended}
        await record(
            call, connection, "user.changed", user["id"], before={"role": user["role"]}, after={"role": role},
            details=told,
        )  # fmt: skip
    services.sign_in.refuse_tokens(ended)
    assert row is not None
    return answer(User(**row))


async def delete_user(call: Call) -> Response:
    """Tokens of the user are refused from now on; API keys belong to the tenant and stay."""
    services = call.services
    async with services.databases.write(call.tenant_id) as connection:
        user = await _lock(connection, call)
        await _keep_an_owner(connection, user)
        ended = await end_sessions(connection, services.settings, call.tenant_id, user["id"])
        await revoke(connection, services.settings, call.tenant_id, [user["id"]])
        await connection.execute(SQL["delete_user"], user["id"])
        await record(
            call, connection, "user.removed", user["id"], before={"role": user["role"]},
            details={"sessions_ended": ended},
        )  # fmt: skip
    services.sign_in.refuse_tokens([*ended, user["id"]])
    return Response(status_code=204)


async def _lock(connection: Connection, call: Call) -> asyncpg.Record:
    # Owners first, always: two changes that take the same locks in other orders would wait for one another for ever.
    await connection.fetch(SQL["lock_owners"])
    user = await connection.fetchrow(SQL["lock_user_for_change"], call.id("user_id"))
    if user is None:
        raise _unknown_user()
    _check_reach(call, user["role"])
    return user


async def _keep_an_owner(connection: Connection, user: asyncpg.Record) -> None:
    if user["role"] == "owner" and len(await connection.fetch(SQL["lock_owners"])) < 2:
        raise RefusedError("last_owner", "make another user an owner first")


def _check_reach(call: Call, role: str) -> None:
    missing = beyond(SCOPES_OF_ROLE[role], call.caller.scopes)
    if missing:
        raise RefusedError("forbidden", f"the role {role} has scopes you don't have: {', '.join(missing)}")


def _unknown_user() -> RefusedError:
    return RefusedError("not_found", "there is no such user")
