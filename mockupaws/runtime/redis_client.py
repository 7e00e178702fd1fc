"""Redis, for what may be lost: opened lazily, and behind a circuit breaker, so that nobody waits while it is down."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.exceptions import RedisError

from mockupaws.runtime.circuit_breaker import CircuitBreaker, CircuitOpenError
from mockupaws.runtime.settings import Settings

REDIS_UNAVAILABLE = (RedisError, OSError, TimeoutError, CircuitOpenError)
"""What a guarded call raises where Redis has no answer: go on without it."""
_SOCKET_TIMEOUTS = 4
"""Of the limit for one call: callers give up first, and the connection may still be used again."""


def open_redis(settings: Settings) -> Redis | None:
    """None where no Redis is configured; connects on demand."""
    if not settings.redis_url:
        return None
    timeout = settings.redis_timeout_seconds * _SOCKET_TIMEOUTS
    return Redis.from_url(settings.redis_url, socket_timeout=timeout, socket_connect_timeout=timeout)


def redis_circuit() -> CircuitBreaker:
    return CircuitBreaker("redis", lambda error: isinstance(error, (RedisError, OSError, TimeoutError)))
