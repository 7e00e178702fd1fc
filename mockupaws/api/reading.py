"""Around routes that read: answers from the cache, with ETags."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import wraps
from hashlib import sha256
from typing import TYPE_CHECKING

from starlette.responses import Response

from mockupaws.api.answer_cache import key_of, lifetime_of
from mockupaws.api.databases import DATA_THROUGH, LAST_READING
from mockupaws.api.scenarios import find_scenario

if TYPE_CHECKING:
    from mockupaws.api.routing import Call

Handler = Callable[["Call"], Awaitable[Response]]


def kept(handler: Handler) -> Handler:
    """Answers of a scenario's window, kept in the cache for its lifetime unless they are stale; with an ETag.

    The scenario is looked up each time: what was deleted, or is another tenant's, isn't answered from the cache. Up to
    when the data goes is kept with the answer, a line before it.
    """

    @wraps(handler)
    async def answer_kept(call: Call) -> Response:
        cache = call.services.answers
        key = key_of(call.tenant_id, call.request.url.path, call.query)
        found = await cache.get(key)
        if found is not None:
            moment, _, body = found.partition(b"\n")
            DATA_THROUGH.set(datetime.fromisoformat(moment.decode()) if moment else None)
            async with call.services.databases.read(call.tenant_id) as reading:
                await find_scenario(reading.connection, call.id("scenario_id"))
            return _tagged(call, body)
        response = await handler(call)
        body = bytes(response.body)
        last = LAST_READING.get()
        if last is not None and not last.stale:
            through = DATA_THROUGH.get()
            now = datetime.fromtimestamp(call.services.clock.now_us() / 1e6, UTC)
            await cache.put(
                key, (through.isoformat().encode() if through else b"") + b"\n" + body, lifetime_of(call.query, now)
            )
        return _tagged(call, body)

    return answer_kept


def _tagged(call: Call, body: bytes) -> Response:
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in call.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, "application/json")
