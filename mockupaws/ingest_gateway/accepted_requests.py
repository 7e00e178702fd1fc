"""What is remembered of accepted requests, in Redis and in this process: nothing here decides durability.

A hint `receipt:<tenant>:<request>` lets the API say `queued`; `idempotency:<tenant>:<request>` lets a repeat be
answered without producing it again. Where both are lost, a repeat is produced, and the sinks drop it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from mockupaws.runtime.telemetry import get_logger

RECEIPT_SECONDS = 3600
IDEMPOTENCY_SECONDS = 24 * 3600
LOCAL_ENTRIES = 50_000
PAUSE_SECONDS = 1.0
"""How long Redis isn't asked after it failed: a request must not pay its timeout each time."""
MAX_WRITES = 1000
"""Hints waiting to be written; beyond, they are dropped."""

_log = get_logger(__name__)


class AcceptedRequests:
    """`redis` None: this process remembers alone."""

    def __init__(self, redis: Redis | None, timeout_seconds: float) -> None:
        self._redis = redis
        self._timeout_seconds = timeout_seconds
        self._local: OrderedDict[bytes, bytes] = OrderedDict()
        self._down_until = 0.0
        self._writes: list[tuple[str, int | bytes, int]] = []
        self._writer: asyncio.Task[None] | None = None

    @property
    def degraded(self) -> bool:
        """Whether Redis is configured and doesn't answer."""
        return self._redis is not None and not self._reachable()

    async def find_body_hash(self, tenant_id: UUID, request_id: UUID) -> bytes | None:
        """Of the body accepted under this id, where that is remembered."""
        known = self._local.get(request_id.bytes)
        if known is not None or self._redis is None or not self._reachable():
            return known
        try:
            async with asyncio.timeout(self._timeout_seconds):
                found = await self._redis.get(f"idempotency:{tenant_id}:{request_id}")
                return found if isinstance(found, bytes) else None
        except (RedisError, OSError, TimeoutError) as error:
            self._note_failure(error)
            return None

    def remember(self, tenant_id: UUID, request_id: UUID, accepted: int, keyed_body_hash: bytes | None) -> None:
        """After the ack; never waits. `keyed_body_hash`: the body's, where the request had an Idempotency-Key."""
        if keyed_body_hash is not None:
            self._local[request_id.bytes] = keyed_body_hash
            if len(self._local) > LOCAL_ENTRIES:
                self._local.popitem(last=False)
        if self._redis is None or not self._reachable() or len(self._writes) >= MAX_WRITES:
            return
        self._writes.append((f"receipt:{tenant_id}:{request_id}", accepted, RECEIPT_SECONDS))
        if keyed_body_hash is not None:
            self._writes.append((f"idempotency:{tenant_id}:{request_id}", keyed_body_hash, IDEMPOTENCY_SECONDS))
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
            writes, self._writes = self._writes, []
            pipeline = redis.pipeline(transaction=False)
            for name, value, seconds in writes:
                pipeline.set(name, value, ex=seconds)
            try:
                async with asyncio.timeout(self._timeout_seconds * 4):
                    await pipeline.execute()
            except (RedisError, OSError, TimeoutError) as error:
                self._note_failure(error)

    def _reachable(self) -> bool:
        return asyncio.get_running_loop().time() >= self._down_until

    def _note_failure(self, error: Exception) -> None:
        self._down_until = asyncio.get_running_loop().time() + PAUSE_SECONDS
        _log.warning("redis_unreachable", error=type(error).__name__)
