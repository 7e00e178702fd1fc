"""What became of ingest requests: accepted = stored + dead-lettered, once one is through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from starlette.responses import Response

from mockupaws.api.errors import RefusedError
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer

State = Literal["queued", "stored", "partly_dead_lettered", "dead_lettered"]
MAX_RECEIPTS = 100
_UUID_CHARACTERS = 36


class Receipt(msgspec.Struct, frozen=True):
    request_id: UUID
    state: State
    accepted: int
    stored: int
    dead_lettered: int


class ReceiptsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    request_ids: Annotated[
        str,
        msgspec.Meta(
            max_length=MAX_RECEIPTS * (_UUID_CHARACTERS + 1),
            description=f"ids of 1 to {MAX_RECEIPTS} requests, with commas between them",
            examples=["0198c0de-0000-7000-8000-000000000001,0198c0de-0000-7000-8000-000000000002"],
        ),
    ]


class Receipts(msgspec.Struct, frozen=True):
    receipts: list[Receipt]
    """In the order they were asked for, each once. Missing: there is no such request, or it isn't through yet."""


async def get_receipt(call: Call) -> Response:
    """`queued` also where only the gateway's hint is known; without it a request that isn't through yet is 404."""
    request_id = call.id("request_id")
    receipts = await _find(call, [request_id])
    if request_id not in receipts:
        raise RefusedError("not_found", "there is no such request, or it isn't through yet")
    return answer(receipts[request_id])


async def list_receipts(call: Call) -> Response:
    """Many in one call, for producers with many requests on their way: those that are known."""
    query: ReceiptsQuery = call.query
    request_ids = list(dict.fromkeys(_ids_of(query.request_ids)))
    receipts = await _find(call, request_ids)
    return answer(Receipts([receipts[request_id] for request_id in request_ids if request_id in receipts]))


async def _find(call: Call, request_ids: Sequence[UUID]) -> dict[UUID, Receipt]:
    async with call.services.databases.read(call.tenant_id) as reading:
        rows = await reading.connection.fetch(SQL["find_receipts"], request_ids)
    receipts = {}
    for row in rows:
        counts = row["accepted"], row["stored"], row["dead_lettered"]
        receipts[row["request_id"]] = Receipt(row["request_id"], state_of(*counts), *counts)
    if queued := [request_id for request_id in request_ids if request_id not in receipts]:
        hints = await call.services.hints.accepted(call.tenant_id, queued)
        receipts |= {known: Receipt(known, "queued", accepted, 0, 0) for known, accepted in hints.items()}
    return receipts


def _ids_of(text: str) -> list[UUID]:
    try:
        found = [UUID(part.strip()) for part in text.split(",")]
    except ValueError:
        raise RefusedError("invalid_parameter", "`request_ids` must be UUIDs with commas between them") from None
    if len(found) > MAX_RECEIPTS:
        raise RefusedError("invalid_parameter", f"`request_ids` may have {MAX_RECEIPTS} of them, not {len(found)}")
    return found


def state_of(accepted: int, stored: int, dead_lettered: int) -> State:
    if stored + dead_lettered < accepted:
        return "queued"
    if not dead_lettered:
        return "stored"
    return "partly_dead_lettered" if stored else "dead_lettered"
