"""Live tail: server-sent events of lines as they are stored, polled by position.

Each event's id is the line's position, signed; `Last-Event-ID` goes on after it. A reader that has fallen behind by
more than MAX_BEHIND goes on at the newest line, after an event `dropped` with the exact number of lines it misses and
between which times they stand: an export gives them. What commits after a poll has passed its received_at is not seen:
the tail is for watching, pages and exports are for completeness.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import msgspec
from starlette.responses import Response

from mockupaws.api.cursor import Position, decode_cursor, encode_cursor
from mockupaws.api.errors import RefusedError
from mockupaws.api.logs import LOOK_AT, LogFilter, attributes_wanted, check_filter, fetch_page, line_of, marks_wanted
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call
from mockupaws.api.scenarios import find_measured_scenario
from mockupaws.api.streaming import Stream
from mockupaws.runtime.postgres import Connection, is_retriable

POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 15.0
MAX_LINES_A_POLL = 1_000
MAX_BEHIND = timedelta(seconds=60)
MAX_TAILS = 200
MAX_SECONDS = 3600.0
"""After an hour, or when the credential is revoked, the stream ends; clients reconnect with Last-Event-ID."""

_encoder = msgspec.json.Encoder()
_open_tails: set[object] = set()


class Dropped(msgspec.Struct, frozen=True):
    """Data of an event `dropped`."""

    lines: int
    """Exactly so many lines that the tail would have shown stand after the last one shown."""
    after: datetime
    to: datetime
    """received_at of the line before the first and of the last one."""


class _Skipped(NamedTuple):
    end: Position
    told: Dropped


class TailQuery(LogFilter, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`from`, `to` and `order` are not for a tail."""


async def tail_logs(call: Call) -> Response:
    query: TailQuery = call.query
    check_filter(query)
    if query.from_ is not None or query.to is not None or query.order != "desc":
        raise RefusedError("invalid_parameter", "a tail has no `from`, `to` or `order`")
    if len(_open_tails) >= MAX_TAILS:
        raise RefusedError("too_many_tails", "too many live tails are open; try again shortly")
    scenario_id = call.id("scenario_id")
    binding = f"tail/{call.tenant_id}/{scenario_id}"
    secret = call.services.settings.jwt_secret
    last_event = call.request.headers.get("last-event-id")
    position = None
    if last_event:
        position = decode_cursor(secret, binding, last_event)
        if position is None:
            raise RefusedError("invalid_cursor", "Last-Event-ID is none of this tail's")
    async with call.services.databases.read(call.tenant_id) as reading:
        await find_measured_scenario(reading.connection, scenario_id)
        if position is None:
            newest = await reading.connection.fetchrow(SQL["newest_line"], scenario_id)
            position = Position(newest["received_at"], newest["id"]) if newest else None
        marks = await marks_wanted(call, reading.connection, query)

    async def events() -> AsyncGenerator[bytes]:
        ticket = object()
        _open_tails.add(ticket)
        try:
            async with aclosing(_follow(call, query, binding, position, marks)) as followed:
                async for event in followed:
                    yield event
        finally:
            _open_tails.discard(ticket)

    return Stream(events(), "text/event-stream", {"X-Accel-Buffering": "no"})


async def _follow(
    call: Call, query: TailQuery, binding: str, position: Position | None, marks: list[str] | None
) -> AsyncGenerator[bytes]:
    scenario_id, secret = call.id("scenario_id"), call.services.settings.jwt_secret
    oldest_first = msgspec.structs.replace(query, order="asc")
    started = spoken = time.monotonic()
    yield b": connected\n\n"
    while time.monotonic() - started < MAX_SECONDS and not call.services.stopping.is_set():
        try:
            if await call.services.authenticator.has_ended(call.caller):
                return
            async with call.services.databases.read(call.tenant_id) as reading:
                found = await fetch_page(
                    reading.connection, scenario_id, oldest_first, position, MAX_LINES_A_POLL, marks
                )
                rows, end = found.rows, found.end
                last = Position(rows[-1]["received_at"], rows[-1]["id"]) if len(rows) == MAX_LINES_A_POLL else end
                dropped = await _skip(reading.connection, scenario_id, oldest_first, last, marks) if last else None
        except Exception as error:
            if not (is_retriable(error) or isinstance(error, RefusedError)):
                raise
            rows, end, dropped = [], None, None
        for row in rows:
            position = Position(row["received_at"], row["id"])
            event_id = encode_cursor(secret, binding, position).encode()
            yield b"id: " + event_id + b"\nevent: log\ndata: " + _encoder.encode(line_of(row)) + b"\n\n"
        position = end or position
        if dropped is not None:
            position = dropped.end
            event_id = encode_cursor(secret, binding, position).encode()
            yield b"id: " + event_id + b"\nevent: dropped\ndata: " + _encoder.encode(dropped.told) + b"\n\n"
        now = time.monotonic()
        if rows:
            spoken = now
        elif now - spoken >= HEARTBEAT_SECONDS:
            spoken = now
            yield b": still here\n\n"
        if len(rows) < MAX_LINES_A_POLL and end is None:
            await asyncio.sleep(POLL_SECONDS)


async def _skip(
    connection: Connection, scenario_id: UUID, query: TailQuery, last: Position, marks: list[str] | None
) -> _Skipped | None:
    """What a reader at `last` misses when it goes on at the newest line; None where it isn't too far behind."""
    row = await connection.fetchrow(SQL["newest_line"], scenario_id)
    if row is None or row["received_at"] - last.received_at <= MAX_BEHIND:
        return None
    newest, position, lines = Position(row["received_at"], row["id"]), last, 0
    while position < newest:
        bound = await connection.fetchrow(SQL["look_end"], scenario_id, *position, LOOK_AT)
        end = newest if bound is None else min(Position(bound["received_at"], bound["id"]), newest)
        lines += await connection.fetchval(
            SQL["count_lines"],
            scenario_id,
            *position,
            *end,
            query.source,
            query.level,
            query.has_pii,
            query.pii_type,
            attributes_wanted(query.attributes),
            query.q,
            marks,
        )
        position = end
    return _Skipped(newest, Dropped(lines, last.received_at, newest.received_at))
