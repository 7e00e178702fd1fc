"""What sinks, gateways and API tell each other of the backlog, through Redis, where all of it may be lost.

`backlog:retention:<topic prefix><reader>`: how much of its topics' retention a reader's oldest unread record has used.
`backlog:refused:<tenant>`: requests that gateways refused because of the backlog, for who asks why.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline

from mockupaws.runtime.circuit_breaker import CircuitBreaker
from mockupaws.runtime.redis_client import REDIS_UNAVAILABLE
from mockupaws.runtime.settings import Settings

READERS = ("processor", "postgres", "parquet")
RETENTION_SECONDS = 120
"""A note older than this counts as none: who wrote it looks every 30 s."""
REFUSALS_SECONDS = 24 * 3600
MAX_TENANTS = 100
"""Whose refusals are written at a time; the others' are only counted."""
_WRITE_TIMEOUTS = 4


@dataclass(frozen=True, slots=True)
class Refusals:
    """Of one tenant since the first of them, at most a day after the last."""

    requests: int
    last_at_us: int
    delay_seconds: float
    """How long a request let in then would have waited until it could be read."""
    share_bytes_per_second: float
    """What one gateway process let in of a tenant at most."""


class BacklogNotes:
    """`redis` None: nothing is told, and nothing known."""

    def __init__(self, settings: Settings, redis: Redis | None, circuit: CircuitBreaker) -> None:
        self._redis = redis
        self._retention = f"backlog:retention:{settings.kafka_topic_prefix}"
        self._timeout_seconds = settings.redis_timeout_seconds
        self._execute = circuit.guard(self._execute_unguarded)

    async def tell_retention(self, reader: str, used_ratio: float) -> None:
        """Never raises."""
        if self._redis is not None:
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.set(self._retention + reader, repr(used_ratio), ex=RETENTION_SECONDS)
            await self._try(pipeline)

    async def retention_used(self) -> float | None:
        """Of the reader that is nearest to it; None: nobody told."""
        if self._redis is None:
            return None
        pipeline = self._redis.pipeline(transaction=False)
        for reader in READERS:
            pipeline.get(self._retention + reader)
        told = [float(value) for value in await self._try(pipeline) or () if value is not None]
        return max(told, default=None)

    async def tell_refusals(self, refused: Mapping[bytes, int], now_us: int, delay: float, share: float) -> None:
        """By tenant id. Never raises."""
        if self._redis is None or not refused:
            return
        pipeline = self._redis.pipeline(transaction=False)
        for tenant_id, requests in sorted(refused.items(), key=lambda item: -item[1])[:MAX_TENANTS]:
            key = f"backlog:refused:{UUID(bytes=tenant_id)}"
            pipeline.hincrby(key, "requests", requests)
            pipeline.hset(key, mapping={"last_at_us": now_us, "delay": repr(delay), "share": repr(share)})
            pipeline.expire(key, REFUSALS_SECONDS)
        await self._try(pipeline)

    async def refusals(self, tenant_id: UUID) -> Refusals | None:
        """None: there were none, or it isn't known."""
        if self._redis is None:
            return None
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hgetall(f"backlog:refused:{tenant_id}")
        found = ((await self._try(pipeline)) or [{}])[0]
        if not found:
            return None
        return Refusals(
            int(found[b"requests"]), int(found[b"last_at_us"]), float(found[b"delay"]), float(found[b"share"])
        )

    async def _try(self, pipeline: Pipeline) -> list[Any] | None:
        with contextlib.suppress(*REDIS_UNAVAILABLE):
            return await self._execute(pipeline)
        return None

    async def _execute_unguarded(self, pipeline: Pipeline) -> list[Any]:
        async with asyncio.timeout(self._timeout_seconds * _WRITE_TIMEOUTS):
            answer: list[Any] = await pipeline.execute()
            return answer
