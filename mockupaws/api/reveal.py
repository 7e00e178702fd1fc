"""What encrypted marks stand for: for who may, for a stated reason, on the record. No record, no answer."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api import audit
from mockupaws.api.errors import RefusedError
from mockupaws.api.policies import keys_of
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.api.scenarios import find_scenario
from mockupaws.runtime.postgres import Connection
from mockupaws.schemas.pii_types import PII_TYPES
from mockupaws.stream_processors.policies.marks import encrypted_marks
from mockupaws.stream_processors.policies.tenant_keys import TenantKey

MAX_MARKS = 100
ACTION = "marks.revealed"

Reason = Annotated[str, Meta(min_length=5, max_length=1000)]
_CUT_MARK = re.compile(rf"\[(?:{'|'.join(PII_TYPES)}):e:[A-Za-z0-9_-]*\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RevealLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: Reason
    """Kept in the audit log, with who asked."""


class RevealMarks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    marks: Annotated[list[Annotated[str, Meta(max_length=65_536)]], Meta(min_length=1, max_length=MAX_MARKS)]
    """As they stand in a line: `[EMAIL:e:…]`."""
    reason: Reason


class Revealed(msgspec.Struct, frozen=True):
    mark: str
    type: str
    value: str


class RevealedMarks(msgspec.Struct, frozen=True):
    revealed: list[Revealed]
    cut: bool = False
    """The stored preview ends inside a mark, which can't be revealed from it: take it from the archive, and reveal it
    by itself."""


async def reveal_line(call: Call) -> Response:
    body: RevealLine = call.body
    scenario_id, log_id = call.id("scenario_id"), call.id("log_id")
    async with call.services.databases.write(call.tenant_id) as connection:
        await find_scenario(connection, scenario_id)
        row = await connection.fetchrow(SQL["stored_texts_of_line"], scenario_id, log_id, *_received(log_id))
        if row is None:
            raise RefusedError("not_found", "there is no such line")
        texts = [text for text in row.values() if text is not None]
        marks = list(dict.fromkeys(mark for text in texts for mark in encrypted_marks(text)))
        revealed = _reveal(await keys_of(call, connection), marks)
        await _record(call, connection, f"scenario/{scenario_id}/log/{log_id}", body.reason, revealed)
    return _answer(RevealedMarks(revealed, _CUT_MARK.search(row["message_preview"]) is not None))


async def reveal_marks(call: Call) -> Response:
    """All of them or none: a mark that isn't the tenant's is unknown, whosever it is."""
    body: RevealMarks = call.body
    marks = [found for mark in body.marks for found in encrypted_marks(mark) if found[0] == mark]
    async with call.services.databases.write(call.tenant_id) as connection:
        revealed = _reveal(await keys_of(call, connection), marks)
        complete = len(revealed) == len(body.marks)
        if complete:
            await _record(call, connection, "marks", body.reason, revealed)
    if not complete:
        await _record_refusal(call, "marks", body.reason)
        raise RefusedError("not_found", "at least one of these is no encrypted mark of this tenant")
    return _answer(RevealedMarks(revealed))


async def _record_refusal(call: Call, target: str, reason: str) -> None:
    async with call.services.databases.write(call.tenant_id) as connection:
        await audit.record(call, connection, ACTION, target, outcome="refused", reason=reason)


def _reveal(keys: list[TenantKey], marks: list[tuple[str, str, str]]) -> list[Revealed]:
    revealed: list[Revealed] = []
    for mark, pii_type, token in marks:
        values = (key.decrypt(pii_type, token) for key in keys)
        value = next((value for value in values if value is not None), None)
        if value is not None:
            revealed.append(Revealed(mark, pii_type, value))
    return revealed


async def _record(call: Call, connection: Connection, target: str, reason: str, revealed: list[Revealed]) -> None:
    details = {
        "types": dict(Counter(found.type for found in revealed)),
        "marks": [found.mark[:200] for found in revealed],
    }
    await audit.record(call, connection, ACTION, target, reason=reason, details=details)


def _received(log_id: UUID) -> tuple[datetime, datetime]:
    """The millisecond a line's id (UUIDv7) was made of: it leads to one partition."""
    since = _EPOCH + timedelta(milliseconds=min(log_id.int >> 80, 253_402_300_799_000))
    return since, since + timedelta(milliseconds=1)


def _answer(document: RevealedMarks) -> Response:
    return answer(document, headers={"Cache-Control": "no-store"})
