"""What is remembered of accepted requests, in Redis and in this process: nothing here decides durability.

A hint `receipt:{<tenant>}:<request>` lets the API say `queued`; `idempotency:{<tenant>}:<request>` lets a repeat be
answered without producing it again. Where both are lost, a repeat is produced, and the sinks drop it.
What was acknowledged together is written together, one call a tenant: a call for each costs as much as all the rest of
a small request. The hash tag keeps a tenant's on one node of a cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from mockupaws.runtime.circuit_breaker import CircuitBreaker
from mockupaws.runtime.redis_client import REDIS_UNAVAILABLE
from mockupaws.schemas.identifiers import id_text

RECEIPT_SECONDS = 3600
IDEMPOTENCY_SECONDS = 24 * 3600
LOCAL_ENTRIES = 50_000
MAX_WRITES = 1000
"""Hints waiting to be written; beyond, they are dropped."""
_SET_ALL = "for at, key in ipairs(KEYS) do redis.call('SET', key, ARGV[at + 1], 'EX', ARGV[1]) end"


class AcceptedRequests:
    """`redis` None: this process remembers alone."""

    def __init__(self, redis: Redis | None, circuit: CircuitBreaker, timeout_seconds: float) -> None:
        self._redis = redis
        # A request must not pay Redis' timeout each time while it is down.
        self._circuit = circuit
        self._get = self._circuit.guard(self._get_unguarded)
        self._execute = self._circuit.guard(self._execute_unguarded)
        self._timeout_seconds = timeout_seconds
        self._local: OrderedDict[bytes, bytes] = OrderedDict()
        self._writes: dict[str, list[tuple[str, int, bytes | None]]] = {}
        """By tenant: request, accepted entries and its body's hash, where it had a key."""
        self._waiting = 0
        self._writer: asyncio.Task[None] | None = None

    @property
    def degraded(self) -> bool:
        """Whether Redis is configured and doesn't answer."""
        return self._redis is not None and not self._circuit.closed

    async def find_body_hash(self, tenant_id: str, request_id: bytes) -> bytes | None:
        """Of the body accepted under this id, where that is remembered."""
        known = self._local.get(request_id)
        if known is not None or self._redis is None:
            return known
        try:
            found = await self._get(self._redis, f"idempotency:{{{tenant_id}}}:{id_text(request_id)}")
        except REDIS_UNAVAILABLE:
            return None
        return found if isinstance(found, bytes) else None

    def remember(self, tenant_id: str, request_id: bytes, accepted: int, keyed_body_hash: bytes | None) -> None:
        """After the ack; never waits. `keyed_body_hash`: the body's, where the request had an Idempotency-Key."""
        if keyed_body_hash is not None:
            self._local[request_id] = keyed_body_hash
            if len(self._local) > LOCAL_ENTRIES:
                self._local.popitem(last=False)
        if self._redis is None or self._waiting >= MAX_WRITES:
            return
        self._waiting += 1
        self._writes.setdefault(tenant_id, []).append((id_text(request_id), accepted, keyed_body_hash))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(self._redis))

    async def close(self) -> None:
        """Writes what is left, bounded by the timeout."""
        if self._writer is not None:
            await asyncio.wait([self._writer], timeout=self._timeout_seconds * 4)
        if self._redis is not None:
            await self._redis.aclose()

    async def _write(self, redis: Redis) -> None:
        while self._writes:
            by_tenant, self._writes, self._waiting = self._writes, {}, 0
            pipeline = redis.pipeline(transaction=False)
            for tenant_id, writes in by_tenant.items():
                receipts = [f"receipt:{{{tenant_id}}}:{request_id}" for request_id, _, _ in writes]
                accepted = [str(entries) for _, entries, _ in writes]
                pipeline.eval(_SET_ALL, len(receipts), *receipts, str(RECEIPT_SECONDS), *accepted)
                keyed = {
                    f"idempotency:{{{tenant_id}}}:{request_id}": body_hash
                    for request_id, _, body_hash in writes
                    if body_hash is not None
                }
                if keyed:
                    pipeline.eval(_SET_ALL, len(keyed), *keyed, str(IDEMPOTENCY_SECONDS), *keyed.values())
            with contextlib.suppress(*REDIS_UNAVAILABLE):
                await self._execute(pipeline)

    async def _get_unguarded(self, redis: Redis, name: str) -> Any:
        async with asyncio.timeout(self._timeout_seconds):
            return await redis.get(name)

    async def _execute_unguarded(self, pipeline: Pipeline) -> None:
        async with asyncio.timeout(self._timeout_seconds * 4):
            await pipeline.execute()
