"""Reads the tenant's audit log: by page, the newest first, for whoever may manage."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.cursor import Position
from mockupaws.api.logs import Instant
from mockupaws.api.paging import check_range, conditions_of, cursor_after, position_of
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer

Filter = Annotated[str, Meta(min_length=1, max_length=200)] | None


class AuditQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"from_": "from"}):
    from_: Instant | None = None
    to: Instant | None = None
    actor: Filter = None
    action: Filter = None
    """The whole of it, or its first part: `user` finds `user.created` and `user.removed`."""
    target: Filter = None
    outcome: Literal["done", "refused"] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: str | None = None


class Entry(msgspec.Struct, frozen=True):
    number: int
    """In the tenant's chain, from 1 on without a gap."""
    at: datetime
    actor: str
    action: str
    target: str
    outcome: str
    reason: str
    address: str
    request_id: str
    details: msgspec.Raw
    hash: str


class AuditPage(msgspec.Struct, frozen=True):
    entries: list[Entry]
    next_cursor: str | None


async def list_entries(call: Call) -> Response:
    query: AuditQuery = call.query
    check_range(query)
    binding = f"audit/{call.tenant_id}/{conditions_of(query)}"
    position = position_of(call, binding, query.cursor)
    async with call.services.databases.read(call.tenant_id) as reading:
        rows = await reading.connection.fetch(
            SQL["list_audit_entries"],
            query.from_,
            query.to,
            query.actor,
            query.action,
            query.target,
            query.outcome,
            position and position.id.int,
            query.limit + 1,
        )
    following = cursor_after(call, binding, rows, query.limit, _position_of)
    return answer(AuditPage([_entry_of(row) for row in rows[: query.limit]], following))


def _entry_of(row: asyncpg.Record) -> Entry:
    return Entry(**{**row, "details": msgspec.Raw(row["details"].encode()), "hash": row["hash"].hex()})


def _position_of(row: asyncpg.Record) -> Position:
    # Its number is the position: a cursor has room for one as an id.
    return Position(row["at"], UUID(int=row["number"]))
