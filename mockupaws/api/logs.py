"""The stored lines of a scenario, redacted, in pages by cursor.

Order is by (received_at, id), newest first unless `order=asc`. A cursor stands at a row, so lines that arrive while
somebody pages neither shift nor repeat the others.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from mockupaws.api.scenarios import find_measured_scenario
from mockupaws.api.search_blocks import EARLIEST, INSTANT, LATEST, Span, plan_search, wanted_of
from mockupaws.runtime.postgres import Connection
from mockupaws.schemas.pii_types import PII_TYPES
from mockupaws.stream_processors.policies.find_policy import find_keys
from mockupaws.stream_processors.policies.marks import marks_of_value
from mockupaws.stream_processors.policies.tenant_keys import KeyRefusedError

LOOK_AT = 20_000
"""Lines a page looks at, however few of them match: this bounds what a page costs."""
FIRST_LOOK, FILTERED_LOOK = 4_000, 10_000
"""Lines a search looks at before it asks filters where to look, and then: those lie apart, so each costs more."""

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


_BEFORE_ATTRIBUTES = LogLine.__struct_fields__.index("attributes")


class LogPage(msgspec.Struct, frozen=True):
    logs: list[LogLine]
    next_cursor: str | None
    looked_through: bool
    """False: the page ends where it had looked at so much, and may hold fewer lines than asked for, or none;
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
        scenario = await find_measured_scenario(reading.connection, scenario_id)
        marks = await marks_wanted(call, reading.connection, query)
        found = await fetch_page(reading.connection, scenario_id, query, position, query.limit + 1, marks)
    if is_selective(query):
        call.services.look_budget.take(call.tenant_id, found.looked_bytes)
    following = cursor_after(
        call, binding, found.rows, query.limit, lambda row: Position(row["received_at"], row["id"])
    )
    if following is None and found.end is not None:
        following = cursor_at(call, binding, found.end)
    page = [line_of(row) for row in found.rows[: query.limit]]
    return answer(LogPage(page, following, found.end is None, scenario["data_through"], reading.stale))


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
    scenario_id: UUID,
    query: LogFilter,
    position: Position | None,
    limit: int,
    marks: list[str] | None,
    look_at: int,
    spans: list[Span],
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
        look_at,
        query.as_of if isinstance(query, LogQuery) else None,
        attributes_wanted(query.attributes),
        [span.since for span in spans],
        [span.until for span in spans],
    )


@dataclass(frozen=True, slots=True)
class FoundLines:
    rows: list[asyncpg.Record]
    end: Position | None
    """Where the page ends before all was looked through; None: it holds all there are, or as many as were asked for."""
    looked_bytes: int
    """Of texts and filters that were read for it."""


async def fetch_page(
    connection: Connection,
    scenario_id: UUID,
    query: LogFilter,
    position: Position | None,
    limit: int,
    marks: list[str] | None = None,
) -> FoundLines:
    """First it looks at some lines as they come, since what is common is among them; then only where filters let it."""
    await connection.execute(SQL["walk_key"])
    window = window_of(query, position)
    if marks is None and not is_selective(query):  # no line is passed by
        statement = SQL["all_oldest_first" if query.order == "asc" else "all_newest_first"]
        arguments = scenario_id, window.since, window.until, *(position or (None, None)), limit
        return FoundLines(await connection.fetch(statement, *arguments), None, 0)
    wanted = wanted_of(query.q, query.attributes, marks)
    if wanted is None:
        return await _walk(connection, scenario_id, query, position, limit, marks, max(LOOK_AT, limit), [window])
    found = await _walk(connection, scenario_id, query, position, limit, marks, max(FIRST_LOOK, limit), [window])
    if found.end is None:
        return found
    left = limit - len(found.rows)
    if len(found.rows) * LOOK_AT >= limit * FIRST_LOOK:  # common enough to fill the page as lines come: no filter helps
        more = await _walk(connection, scenario_id, query, found.end, left, marks, LOOK_AT, [window])
        return FoundLines(found.rows + more.rows, more.end, found.looked_bytes + more.looked_bytes)
    plan = await plan_search(
        connection, scenario_id, wanted, window_of(query, found.end), newest_first=query.order == "desc"
    )
    more = await _walk(connection, scenario_id, query, found.end, left, marks, max(FILTERED_LOOK, left), plan.spans)
    end = more.end if more.end is not None or len(more.rows) >= left else plan.end
    return FoundLines(found.rows + more.rows, end, found.looked_bytes + plan.looked_bytes + more.looked_bytes)


async def _walk(
    connection: Connection,
    scenario_id: UUID,
    query: LogFilter,
    position: Position | None,
    limit: int,
    marks: list[str] | None,
    look_at: int,
    spans: list[Span],
) -> FoundLines:
    statement = SQL["logs_oldest_first" if query.order == "asc" else "logs_newest_first"]
    arguments = arguments_of(scenario_id, query, position, limit, marks, look_at, spans)
    walked = await connection.fetch(statement, *arguments)
    if not walked:
        return FoundLines([], None, 0)
    rows, last = [row for row in walked if row["matches"]], walked[-1]
    is_cut = len(rows) < limit and last["looked_at"] >= look_at
    return FoundLines(rows, Position(last["received_at"], last["id"]) if is_cut else None, last["looked_bytes"])


def window_of(query: LogFilter, position: Position | None) -> Span:
    """When the lines were received that a page from `position` on is of."""
    since, until = query.from_ or EARLIEST, query.to or LATEST
    if isinstance(query, LogQuery) and query.as_of is not None:
        until = min(until, query.as_of + INSTANT)
    if position is not None and query.order == "asc":
        since = max(since, position.received_at)
    elif position is not None:
        until = min(until, position.received_at + INSTANT)
    return Span(since, until)


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
    """The statements' columns up to `attributes` are the fields of a line, in their order."""
    attributes = row["attributes"]
    shown = msgspec.Raw(attributes.encode()) if attributes is not None else None
    return LogLine(*(*row[:_BEFORE_ATTRIBUTES], shown, row["policy_version"]))
