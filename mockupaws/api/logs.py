"""The stored lines of a scenario, redacted, in pages by cursor.

Order is by (received_at, id), newest first unless `order=asc`. A cursor stands at a row, so lines that arrive while
somebody pages neither shift nor repeat the others.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.cursor import Position
from mockupaws.api.errors import RefusedError
from mockupaws.api.paging import check_range, conditions_of, cursor_after, cursor_at, position_of
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.api.scenarios import find_scenario
from mockupaws.runtime.postgres import Connection
from mockupaws.schemas.pii_types import PII_TYPES
from mockupaws.stream_processors.policies.find_policy import find_keys
from mockupaws.stream_processors.policies.marks import marks_of_value
from mockupaws.stream_processors.policies.tenant_keys import KeyRefusedError

LOOK_AT = 20_000
"""Lines a page looks at: with no index on their text, this bounds what a page costs however few lines match."""

Instant = Annotated[datetime, Meta(tz=True)]
Text = Annotated[str, Meta(max_length=500)]


class LineConditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What lines are chosen by wherever they are listed or counted: all conditions hold together."""

    from_: Instant | None = msgspec.field(default=None, name="from")
    to: Instant | None = None
    source: Text | None = None
    level: Text | None = None
    has_pii: bool | None = None
    pii_type: Text | None = None


class LogFilter(LineConditions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which lines: all conditions hold together. `from` is inclusive, `to` exclusive, both of received_at."""

    q: Text | None = None
    """Text the redacted preview contains, in any case."""
    value: Text | None = None
    """A value whose hashed or encrypted mark stands in the line; with `pii_type` only as a value of that type. To be
    found by an encrypted mark it has to be written as it was."""
    attributes: Annotated[str, Meta(max_length=2000)] | None = None
    """JSON of an object, such as {"status": 500}: the line's attributes hold all that it holds, and maybe more."""
    order: Literal["asc", "desc"] = "desc"


class LogQuery(LogFilter, frozen=True, forbid_unknown_fields=True, kw_only=True):
    as_of: Instant | None = None
    """Only lines received up to then: those that arrive while somebody pages stay out of all pages, in either order."""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: str | None = None


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
    looked_through: bool
    """False: the page ends where LOOK_AT lines had been looked at, and may hold fewer lines than asked for, or none;
    `next_cursor` goes on there."""
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
    call.services.look_budget.check(call.tenant_id)
    async with call.services.databases.read(call.tenant_id) as reading:
        await find_scenario(reading.connection, scenario_id)
        marks = await marks_wanted(call, reading.connection, query)
        rows, end = await fetch_page(reading.connection, scenario_id, query, position, query.limit + 1, marks)
        newest = await reading.connection.fetchrow(SQL["newest_line"], scenario_id)
    if is_selective(query):
        call.services.look_budget.take(call.tenant_id, LOOK_AT if end is not None else len(rows))
    following = cursor_after(call, binding, rows, query.limit, lambda row: Position(row["received_at"], row["id"]))
    if following is None and end is not None:
        following = cursor_at(call, binding, end)
    page = [line_of(row) for row in rows[: query.limit]]
    through = newest["received_at"] if newest else None
    return answer(LogPage(page, following, end is None, through, reading.stale))


def check_filter(query: LogFilter) -> None:
    check_range(query)
    attributes_wanted(query.attributes)
    if query.pii_type is not None and query.pii_type not in PII_TYPES:
        raise RefusedError("invalid_parameter", f"`pii_type` must be one of {', '.join(PII_TYPES)}")


def attributes_wanted(text: str | None) -> str | None:
    """The same JSON as Postgres can take it: numbers it can hold, and no NUL. Raises RefusedError."""
    if text is None:
        return None
    try:
        encoded = msgspec.json.encode(msgspec.json.decode(text, type=dict[str, Any])).decode()
    except (msgspec.DecodeError, RecursionError):
        raise RefusedError("invalid_parameter", "`attributes` must be the JSON of an object") from None
    if "\\u0000" in encoded:
        raise RefusedError("invalid_parameter", "`attributes` holds a NUL character")
    return encoded


def is_selective(query: LogFilter) -> bool:
    """Whether lines have to be looked at that may not be in the answer."""
    unconditional = LogFilter(from_=query.from_, to=query.to, order=query.order)
    return any(getattr(query, name) != getattr(unconditional, name) for name in LogFilter.__struct_fields__)


def arguments_of(
    scenario_id: UUID, query: LogFilter, position: Position | None, limit: int, marks: list[str] | None
) -> tuple[Any, ...]:
    """Of `logs_newest_first` and `logs_oldest_first`. `marks`: only lines in which one of them stands."""
    return (
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
        max(LOOK_AT, limit),
        query.as_of if isinstance(query, LogQuery) else None,
        attributes_wanted(query.attributes),
    )


async def fetch_page(
    connection: Connection,
    scenario_id: UUID,
    query: LogFilter,
    position: Position | None,
    limit: int,
    marks: list[str] | None = None,
) -> tuple[list[asyncpg.Record], Position | None]:
    """Lines, and where the page ends because LOOK_AT lines were looked at; None: all there are, or `limit` lines."""
    statement = SQL["logs_oldest_first" if query.order == "asc" else "logs_newest_first"]
    await connection.execute(SQL["walk_key"])
    rows = await connection.fetch(statement, *arguments_of(scenario_id, query, position, limit, marks))
    if len(rows) >= limit or not is_selective(query):
        return rows, None
    return rows, await look_end(connection, scenario_id, query, position, limit)


async def look_end(
    connection: Connection, scenario_id: UUID, query: LogFilter, position: Position | None, limit: int
) -> Position | None:
    """The last of the lines a page looks at, of up to `limit`; None where it looked at all there are."""
    statement = SQL["look_end_oldest_first" if query.order == "asc" else "look_end_newest_first"]
    as_of = query.as_of if isinstance(query, LogQuery) else None
    end = await connection.fetchrow(
        statement, scenario_id, query.from_, query.to, *(position or (None, None)), max(LOOK_AT, limit), as_of
    )
    return Position(end["received_at"], end["id"]) if end is not None else None


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
