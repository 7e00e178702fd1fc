"""What became of an ingest request: accepted = stored + dead-lettered, once it is through."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec
from starlette.responses import Response

from mockupaws.api.errors import RefusedError
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer

State = Literal["queued", "stored", "partly_dead_lettered", "dead_lettered"]


class Receipt(msgspec.Struct, frozen=True):
    request_id: UUID
    state: State
    accepted: int
    stored: int
    dead_lettered: int


async def get_receipt(call: Call) -> Response:
    """`queued` also where only the gateway's hint is known; without it a request that isn't through yet is 404."""
    request_id = call.id("request_id")
    async with call.services.databases.read(call.tenant_id) as reading:
        row = await reading.connection.fetchrow(SQL["find_receipt"], request_id)
    if row is not None:
        counts = row["accepted"], row["stored"], row["dead_lettered"]
        return answer(Receipt(request_id, state_of(*counts), *counts))
    accepted = await call.services.hints.accepted(call.tenant_id, request_id)
    if accepted is None:
        raise RefusedError("not_found", "there is no such request, or it isn't through yet")
    return answer(Receipt(request_id, "queued", accepted, 0, 0))


def state_of(accepted: int, stored: int, dead_lettered: int) -> State:
    if stored + dead_lettered < accepted:
        return "queued"
    if not dead_lettered:
        return "stored"
    return "partly_dead_lettered" if stored else "dead_lettered"
