"""What the gateway has acknowledged and no sink has written yet: hints in Redis, lost without harm."""

from __future__ import annotations

from uuid import UUID

import redis.asyncio as redis
from redis.exceptions import RedisError

from mockupaws.runtime.settings import Settings


class ReceiptHints:
    def __init__(self, settings: Settings) -> None:
        timeout = settings.redis_timeout_seconds
        self._redis = (
            redis.Redis.from_url(settings.redis_url, socket_timeout=timeout, socket_connect_timeout=timeout)
            if settings.redis_url
            else None
        )

    async def accepted(self, tenant_id: UUID, request_id: UUID) -> int | None:
        """How many entries the gateway accepted; None where it left no hint, or Redis is down."""
        if self._redis is None:
            return None
        try:
            value = await self._redis.get(f"receipt:{tenant_id}:{request_id}")
        except (RedisError, OSError, TimeoutError):
            return None
        return int(value) if value is not None and value.isdigit() else None

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()
