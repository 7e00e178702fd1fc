"""What the gateway has acknowledged and no sink has written yet: hints in Redis, lost without harm."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from redis.asyncio import Redis

from mockupaws.runtime.circuit_breaker import CircuitBreaker
from mockupaws.runtime.redis_client import REDIS_UNAVAILABLE


class ReceiptHints:
    def __init__(self, redis: Redis | None, circuit: CircuitBreaker, timeout_seconds: float) -> None:
        self._redis = redis
        self._timeout_seconds = timeout_seconds
        self._get = circuit.guard(self._get_unguarded)

    async def accepted(self, tenant_id: UUID, request_ids: Sequence[UUID]) -> dict[UUID, int]:
        """How many entries of each the gateway accepted. Missing: it left no hint, or Redis is down."""
        if self._redis is None:
            return {}
        try:
            values = await self._get(self._redis, [f"receipt:{{{tenant_id}}}:{known}" for known in request_ids])
        except REDIS_UNAVAILABLE:
            return {}
        return {
            request_id: int(value)
            for request_id, value in zip(request_ids, values, strict=True)
            if value is not None and value.isdigit()
        }

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    async def _get_unguarded(self, redis: Redis, names: list[str]) -> Any:
        async with asyncio.timeout(self._timeout_seconds):
            return await redis.mget(names)
