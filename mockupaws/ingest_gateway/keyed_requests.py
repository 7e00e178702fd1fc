"""Requests with an `Idempotency-Key`: however often one is sent, and however many at once, it is accepted once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping

from mockupaws.ingest_gateway.accepted_requests import AcceptedRequests
from mockupaws.ingest_gateway.authenticate import Principal
from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.schemas.identifiers import request_id_of_key

MAX_KEY = 255


class KeyedRequests:
    def __init__(self, accepted_requests: AcceptedRequests) -> None:
        self._accepted_requests = accepted_requests
        self._storing: dict[bytes, asyncio.Future[None]] = {}
        """On their way to disk, by request id."""

    async def is_known(self, principal: Principal, request_id: bytes) -> bool:
        """Whether it was accepted before, or is being accepted."""
        if request_id in self._storing:
            return True
        return await self._accepted_requests.find_body_hash(principal.tenant_text, request_id) is not None

    async def store_once(
        self, principal: Principal, request_id: bytes, hash_: bytes, store: Callable[[], Coroutine[None, None, None]]
    ) -> bool:
        """Whether it was accepted before; else `store` has run. Of the same request many times at once, one is
        stored and all get its answer. Raises RefusedError (422) where another body was accepted under the key.
        """
        if await self._accepted_before(principal, request_id, hash_):
            return True
        first = self._storing.get(request_id)
        if first is not None:
            await asyncio.shield(first)
            return await self._accepted_before(principal, request_id, hash_)
        first = self._storing[request_id] = asyncio.ensure_future(store())
        try:
            await asyncio.shield(first)
        finally:
            del self._storing[request_id]
        return False

    async def _accepted_before(self, principal: Principal, request_id: bytes, hash_: bytes) -> bool:
        known = await self._accepted_requests.find_body_hash(principal.tenant_text, request_id)
        if known is not None and known != hash_:
            raise RefusedError(
                "idempotency_key_reused", "another body was accepted under this Idempotency-Key; use a new one"
            )
        return known is not None


def id_of_key(headers: Mapping[str, str], principal: Principal) -> bytes | None:
    """The id of each request of this tenant with the key in `headers`; None: there is none. Raises RefusedError."""
    key = headers.get("idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY:
        raise RefusedError("invalid_request", f"Idempotency-Key: 1 to {MAX_KEY} characters")
    return request_id_of_key(principal.tenant_id, key).bytes
