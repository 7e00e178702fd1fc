"""Rotation of the tenant's key: a new one for the marks from now on, beside those of before. No key is ever shown.

Marks under older keys stay what they are: encrypted ones are revealed by the key they name, hashed ones are found by
the value, which is searched for under every key.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.audit import record
from mockupaws.api.errors import RefusedError
from mockupaws.api.policies import keys_of
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.stream_processors.policies.tenant_keys import (
    FIRST_KEY,
    KEY_BYTES,
    LAST_KEY,
    KeyRefusedError,
    wrap_key,
)


class KeyRotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    reason: Annotated[str, Meta(min_length=5, max_length=1000)]
    """Kept in the audit log, with who asked."""


class TenantKeyNumber(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    """The number that each encrypted mark made under the key names."""
    created_at: datetime


class TenantKeyNumbers(msgspec.Struct, frozen=True):
    keys: list[TenantKeyNumber]
    """Newest first: marks are made under that one."""


async def list_keys(call: Call) -> Response:
    async with call.services.databases.read(call.tenant_id) as reading:
        rows = await reading.connection.fetch(SQL["list_keys"])
    return answer(TenantKeyNumbers([TenantKeyNumber(**row) for row in rows]))


async def rotate_key(call: Call) -> Response:
    """Refused unless the keys of before can be unwrapped: a wrong secret must not make keys that look newer."""
    body: KeyRotation = call.body
    async with call.services.databases.write(call.tenant_id) as connection:
        keys = await keys_of(call, connection)
        number = keys[0].number + 1 if keys else FIRST_KEY
        if number > LAST_KEY:
            raise RefusedError("keys_used_up", f"the tenant has had {LAST_KEY} keys; marks name no more")
        try:
            wrapped = wrap_key(call.services.settings.tenant_key_secret, call.tenant_id, number, os.urandom(KEY_BYTES))
        except KeyRefusedError as error:
            raise RefusedError("no_tenant_key", str(error)) from None
        row = await connection.fetchrow(SQL["insert_key"], call.tenant_id, number, wrapped)
        if row is None:
            raise RefusedError("version_conflict", "somebody else rotated the key just now")
        await record(call, connection, "tenant_key.rotated", f"tenant-key/{number}", reason=body.reason)
    return answer(TenantKeyNumber(**row), status=201)
