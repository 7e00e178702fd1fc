"""The stored lines of a scenario, redacted: pages by cursor, and the whole as a stream.

Order is by (received_at, id), newest first unless `order=asc`. A cursor stands at a row, so lines that arrive while
somebody pages neither shift nor repeat the others.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta
from starlette.responses import Response, StreamingResponse

from mockupaws.api.audit import record
from mockupaws.api.cursor import Position
from mockupaws.api.errors import RefusedError
from mockupaws.api.paging import check_range, conditions_of, cursor_after, position_of
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.api.scenarios import find_scenario
from mockupaws.runtime.postgres import Connection
from mockupaws.schemas.pii_types import PII_TYPES
from mockupaws.stream_processors.policies.find_policy import find_keys
from mockupaws.stream_processors.policies.marks import marks_of_value
from mockupaws.stream_processors.policies.tenant_keys import KeyRefusedError

EXPORT_PAGE = 2_000

Instant = Annotated[datetime, Meta(tz=True)]
Text = Annotated[str, Meta(max_length=500)]


class LogFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which lines: all conditions hold together. `from` is inclusive, `to` exclusive, both of received_at."""

    from_: Instant | None = msgspec.field(default=None, name="from")
    to: Instant | None = None
    source: Text | None = None
    level: Text | None = None
    has_pii: bool | None = None
    pii_type: Text | None = None
    q: Text | None = None
    """Text the redacted preview contains, in any case."""
    value: Text | None = None
    """A value whose hashed or encrypted mark stands in the line; with `pii_type` only as a value of that type. To be
    found by an encrypted mark it has to be written as it was."""
    order: Literal["asc", "desc"] = "desc"


class LogQuery(LogFilter, frozen=True, forbid_unknown_fields=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: str | None = None


class ExportQuery(LogFilter, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: Literal["ndjson", "csv"] = "ndjson"


class LogLine(msgspec.Struct, frozen=True):
    id: UUID
    received_at: datetime
    timestamp: datetime | None
    message: str
    """The first 500 characters of the redacted line."""
    message_hash: str
    source: str
    level: str
    size_bytes: int
    has_pii: bool
    pii_types: list[str]
    token_count: int
    sqs_blocks: int
    attributes: msgspec.Raw | None
    policy_version: int | None
    """Of the policy that redacted the line; 0: the default, all types masked; null: stored before this was kept."""


class LogPage(msgspec.Struct, frozen=True):
    logs: list[LogLine]
    next_cursor: str | None
    data_through: datetime | None
    """received_at of the newest stored line of the scenario."""
    stale: bool
    """The primary is down; a replica answered."""


async def list_logs(call: Call) -> Response:
    query: LogQuery = call.query
    check_filter(query)
    scenario_id = call.id("scenario_id")
    binding = f"logs/{call.tenant_id}/{scenario_id}/{conditions_of(query)}"
    position = position_of(call, binding, query.cursor)
    async with call.services.databases.read(call.tenant_id) as reading:
        await find_scenario(reading.connection, scenario_id)
        marks = await marks_wanted(call, reading.connection, query)
        rows = await fetch_lines(reading.connection, scenario_id, query, position, query.limit + 1, marks)
        newest = await reading.connection.fetchrow(SQL["newest_line"], scenario_id)
    following = cursor_after(call, binding, rows, query.limit, lambda row: Position(row["received_at"], row["id"]))
    page = [line_of(row) for row in rows[: query.limit]]
    return answer(LogPage(page, following, newest["received_at"] if newest else None, reading.stale))


async def export_logs(call: Call) -> Response:
    """Streams page by page, each in its own short transaction, so a slow client holds no connection.

    An export that can't be recorded in the audit log isn't begun.
    """
    query: ExportQuery = call.query
    check_filter(query)
    scenario_id = call.id("scenario_id")
    async with call.services.databases.read(call.tenant_id) as reading:
        await find_scenario(reading.connection, scenario_id)
        marks = await marks_wanted(call, reading.connection, query)
        first = await fetch_lines(reading.connection, scenario_id, query, None, EXPORT_PAGE, marks)
    asked = msgspec.structs.replace(query, q=None, value=None)  # what is searched for may be what is to be protected
    async with call.services.databases.write(call.tenant_id) as connection:
        await record(call, connection, "logs.exported", scenario_id, details={"filter": asked})

    async def pages() -> AsyncIterator[bytes]:
        rows = first
        if query.format == "csv":
            yield _csv([LogLine.__struct_fields__])
        while rows:
            lines = [line_of(row) for row in rows]
            yield _ndjson(lines) if query.format == "ndjson" else _csv(_csv_values(line) for line in lines)
            if len(rows) < EXPORT_PAGE:
                return
            last = Position(rows[-1]["received_at"], rows[-1]["id"])
            if await call.services.authenticator.has_ended(call.caller):
                raise RefusedError("unauthenticated", "the credential was revoked while the export ran")
            async with call.services.databases.read(call.tenant_id) as reading:
                rows = await fetch_lines(reading.connection, scenario_id, query, last, EXPORT_PAGE, marks)

    name = f'attachment; filename="{scenario_id}.{query.format}"'
    media_type = "text/csv" if query.format == "csv" else "application/x-ndjson"
    return StreamingResponse(pages(), headers={"Content-Disposition": name}, media_type=media_type)


def check_filter(query: LogFilter) -> None:
    check_range(query)
    if query.pii_type is not None and query.pii_type not in PII_TYPES:
        raise RefusedError("invalid_parameter", f"`pii_type` must be one of {', '.join(PII_TYPES)}")


async def fetch_lines(
    connection: Connection,
    scenario_id: UUID,
    query: LogFilter,
    position: Position | None,
    limit: int,
    marks: list[str] | None = None,
) -> list[asyncpg.Record]:
    """`marks`: only lines in which one of them stands."""
    statement = SQL["logs_oldest_first" if query.order == "asc" else "logs_newest_first"]
    return await connection.fetch(
        statement,
        scenario_id,
        query.from_,
        query.to,
        query.source,
        query.level,
        query.has_pii,
        query.pii_type,
        query.q,
        *(position or (None, None)),
        limit,
        marks,
    )


async def marks_wanted(call: Call, connection: Connection, query: LogFilter) -> list[str] | None:
    """What `value` may have become; None where it isn't asked for."""
    if query.value is None:
        return None
    try:
        keys = await find_keys(connection, call.tenant_id, call.services.settings.tenant_key_secret)
    except KeyRefusedError as error:
        raise RefusedError("no_tenant_key", str(error)) from None
    types = PII_TYPES if query.pii_type is None else (query.pii_type,)
    return [mark for key in keys for pii_type in types for mark in marks_of_value(key, pii_type, query.value)]


def line_of(row: asyncpg.Record) -> LogLine:
    attributes = row["attributes"]
    return LogLine(**{**row, "attributes": msgspec.Raw(attributes.encode()) if attributes is not None else None})


def _ndjson(lines: list[LogLine]) -> bytes:
    return msgspec.json.Encoder().encode_lines(lines)


def _csv_values(line: LogLine) -> list[Any]:
    values = [getattr(line, name) for name in LogLine.__struct_fields__]
    return [_csv_safe(value) for value in values]


def _csv_safe(value: Any) -> Any:
    """A spreadsheet must not take a logged text for a formula."""
    if isinstance(value, msgspec.Raw):
        value = bytes(value).decode()
    if isinstance(value, list):
        value = " ".join(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value


def _csv(rows: Any) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()
