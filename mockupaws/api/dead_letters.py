"""The tenant's dead letters: which lines could not be processed, where and why. Never their text: it isn't redacted.

Each look is recorded: what can't be recorded isn't shown.

Letters about records in which not even the tenant could be read belong to nobody and are shown to nobody here;
`mockupaws dead-letters` shows them to the operator of the installation, and sends letters on again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.audit import record
from mockupaws.api.cursor import Position
from mockupaws.api.errors import RefusedError
from mockupaws.api.logs import Instant
from mockupaws.api.paging import check_range, conditions_of, cursor_after, position_of
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.schemas.dead_letters import Reason, State, Step


class DeadLetterQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All conditions hold together. `from` is inclusive, `to` exclusive, both of occurred_at."""

    from_: Instant | None = msgspec.field(default=None, name="from")
    to: Instant | None = None
    scenario_id: UUID | None = None
    request_id: UUID | None = None
    reason: Reason | None = None
    step: Step | None = None
    state: State | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: str | None = None


class DeadLetterAnswer(msgspec.Struct, frozen=True):
    id: UUID
    scenario_id: UUID | None
    request_id: UUID | None
    reason: str
    step: str
    detail: str
    state: str
    """dead: waits. redriving: on its way back. redriven: its lines went on."""
    attempts: int
    """How often its lines have failed."""
    accepted: int
    """Entries of the whole request."""
    entry_indexes: list[int]
    """Which of them stand in the letter."""
    received_at: datetime | None
    occurred_at: datetime
    changed_at: datetime
    topic: str
    partition: int
    offset: int
    software_version: str
    record_version: str | None


class DeadLetterPage(msgspec.Struct, frozen=True):
    dead_letters: list[DeadLetterAnswer]
    next_cursor: str | None
    stale: bool
    """The primary is down; a replica answered."""


async def list_dead_letters(call: Call) -> Response:
    query: DeadLetterQuery = call.query
    check_range(query)
    binding = f"dead-letters/{call.tenant_id}/{conditions_of(query)}"
    position = position_of(call, binding, query.cursor)
    async with call.services.databases.read(call.tenant_id) as reading:
        rows = await reading.connection.fetch(
            SQL["list_dead_letters"],
            query.from_,
            query.to,
            query.scenario_id,
            query.request_id,
            query.reason,
            query.step,
            query.state,
            *(position or (None, None)),
            query.limit + 1,
        )
    async with call.services.databases.write(call.tenant_id) as connection:
        told = {"filter": query, "letters": min(len(rows), query.limit)}
        await record(call, connection, "dead_letters.listed", "dead_letters", details=told)
    following = cursor_after(call, binding, rows, query.limit, lambda row: Position(row["occurred_at"], row["id"]))
    return answer(DeadLetterPage([_letter_of(row) for row in rows[: query.limit]], following, reading.stale))


async def get_dead_letter(call: Call) -> Response:
    letter_id = call.id("dead_letter_id")
    async with call.services.databases.read(call.tenant_id) as reading:
        row = await reading.connection.fetchrow(SQL["find_dead_letter"], letter_id)
    if row is None:
        raise RefusedError("not_found", "there is no such dead letter")
    async with call.services.databases.write(call.tenant_id) as connection:
        await record(call, connection, "dead_letter.viewed", letter_id)
    return answer(_letter_of(row))


def _letter_of(row: asyncpg.Record) -> DeadLetterAnswer:
    return DeadLetterAnswer(**row)
