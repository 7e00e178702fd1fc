"""What the gateway has acknowledged and no sink has written yet: hints in Redis, lost without harm."""

from __future__ import annotations

import asyncio
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

    async def accepted(self, tenant_id: UUID, request_id: UUID) -> int | None:
        """How many entries the gateway accepted; None where it left no hint, or Redis is down."""
        if self._redis is None:
            return None
        try:
            value = await self._get(self._redis, f"receipt:{{{tenant_id}}}:{request_id}")
        except REDIS_UNAVAILABLE:
            return None
        return int(value) if value is not None and value.isdigit() else None

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()

    async def _get_unguarded(self, redis: Redis, name: str) -> Any:
        async with asyncio.timeout(self._timeout_seconds):
            return await redis.get(name)
