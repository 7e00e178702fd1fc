"""Answers kept for a while: in Redis, or in this process while there is none. The tenant is part of each key.

How long depends on what may still change: a window that reaches to now for LIVE, one that ended lately for RECENT, an
older one for PAST seconds, since only a replay changes it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from mockupaws import __version__
from mockupaws.runtime.circuit_breaker import CircuitBreaker
from mockupaws.runtime.redis_client import REDIS_UNAVAILABLE

LIVE_SECONDS, RECENT_SECONDS, PAST_SECONDS = 2, 30, 300
_LATE = timedelta(minutes=2)
"""How long after a window's end lines still come as a rule."""
_PAST = timedelta(days=1)
_MAX_BYTES = 32 * 1024 * 1024
"""Of what this process keeps itself."""
_encode = msgspec.json.Encoder().encode


def key_of(tenant_id: UUID, path: str, query: msgspec.Struct) -> str:
    asked = sha256(path.encode() + b"\0" + _encode(query)).hexdigest()
    return f"answer:{__version__}:{tenant_id}:{asked}"


def lifetime_of(query: Any, now: datetime) -> int:
    """In seconds. By the query's `to`; without one the window reaches to now."""
    to: datetime | None = query.to
    if to is None or to > now - _LATE:
        return LIVE_SECONDS
    return RECENT_SECONDS if to > now - _PAST else PAST_SECONDS


class AnswerCache:
    def __init__(self, redis: Redis | None, circuit: CircuitBreaker, timeout_seconds: float) -> None:
        self._redis = redis
        self._timeout_seconds = timeout_seconds
        self._get, self._set = circuit.guard(self._get_unguarded), circuit.guard(self._set_unguarded)
        self._own: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._own_bytes = 0

    async def get(self, key: str) -> bytes | None:
        if self._redis is not None:
            try:
                return await self._get(self._redis, key)
            except REDIS_UNAVAILABLE:
                pass
        until, body = self._own.get(key, (0.0, b""))
        return body if until > time.monotonic() else None

    async def put(self, key: str, body: bytes, seconds: int) -> None:
        if self._redis is not None:
            try:
                await self._set(self._redis, key, body, seconds)
                return
            except REDIS_UNAVAILABLE:
                pass
        self._forget(key)
        self._own[key] = time.monotonic() + seconds, body
        self._own_bytes += len(body)
        while self._own_bytes > _MAX_BYTES:
            self._forget(next(iter(self._own)))

    def _forget(self, key: str) -> None:
        _, body = self._own.pop(key, (0.0, b""))
        self._own_bytes -= len(body)

    async def _get_unguarded(self, redis: Redis, key: str) -> bytes | None:
        async with asyncio.timeout(self._timeout_seconds):
            body: Any = await redis.get(key)
            return None if body is None else bytes(body)

    async def _set_unguarded(self, redis: Redis, key: str, body: bytes, seconds: int) -> None:
        async with asyncio.timeout(self._timeout_seconds):
            await redis.set(key, body, ex=seconds)
