"""Lists by page: the query a cursor is bound to, where a page begins, and the cursor of the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import asyncpg
import msgspec

from mockupaws.api.cursor import Position, decode_cursor, encode_cursor
from mockupaws.api.errors import RefusedError
from mockupaws.api.routing import Call


class TimeRange(Protocol):
    @property
    def from_(self) -> datetime | None: ...
    @property
    def to(self) -> datetime | None: ...


def check_range(query: TimeRange) -> None:
    """Raises RefusedError where `from` is after `to`."""
    if query.from_ is not None and query.to is not None and query.from_ > query.to:
        raise RefusedError("invalid_parameter", "`from` is after `to`")


def conditions_of(query: msgspec.Struct) -> str:
    """All of a query that its cursors are bound to; `limit` may change from page to page."""
    return msgspec.json.encode(msgspec.structs.replace(query, limit=1, cursor=None)).decode()


def position_of(
    call: Call,
    binding: str,
    cursor: str | None,
    advice: str = "the cursor belongs to another query: start again without one",
) -> Position | None:
    """Where the page begins; None for the first. Raises RefusedError (`advice`) for a cursor of another binding."""
    if cursor is None:
        return None
    position = decode_cursor(call.services.settings.jwt_secret, binding, cursor)
    if position is None:
        raise RefusedError("invalid_cursor", advice)
    return position


def cursor_after(
    call: Call, binding: str, rows: Sequence[asyncpg.Record], limit: int, place: Callable[[asyncpg.Record], Position]
) -> str | None:
    """The cursor of the next page, where `rows` hold one more than `limit`; `place` tells a row's position."""
    if len(rows) <= limit:
        return None
    return cursor_at(call, binding, place(rows[limit - 1]))


def cursor_at(call: Call, binding: str, position: Position) -> str:
    """The cursor of a page that begins after `position`."""
    return encode_cursor(call.services.settings.jwt_secret, binding, position)
