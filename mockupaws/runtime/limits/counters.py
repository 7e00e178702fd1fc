"""The counters in Redis that all processes share: one script call counts several limits at once, or looks at them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from redis.asyncio import Redis

from mockupaws.runtime.circuit_breaker import CircuitBreaker
from mockupaws.schemas.limits import Limit

_FIELDS_BACK = 12
_SCRIPT = resources.files("mockupaws.runtime.limits").joinpath("count.lua").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Ask:
    limit: Limit
    cost: int = 0
    lease: int = 0
    """Units beyond the cost that the caller would like to hold."""
    settle: int = 0
    """Units it used and never counted; negative: units it held and didn't use."""
    window: int = 0
    """Number of the window, and what stood in it, as the caller last saw them."""
    epoch: bytes = b""
    count: int = 0
    previous: int = 0
    refusals: int = 0
    """That it gave since without asking."""
    debt: int = 0
    """The part of `settle` that stood in the caller's books as debt."""
    owes: bool = False
    """Whether `settle` holds what was used without being counted."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What stands in Redis after the call."""

    refuses: bool
    leased: int
    window: int
    count: int
    previous: int
    epoch: bytes
    elapsed: float
    """Seconds since the window began, by Redis' clock."""
    room: int
    """Units that are left; negative: overdrawn."""
    refused_today: int
    refused_at: int
    """Epoch s by Redis' clock; 0: never."""
    recent_units: int
    recent_seconds: float
    """How much of a day's quota was used in the last ten minutes or more."""


class SharedCounters:
    def __init__(self, redis: Redis, circuit: CircuitBreaker, timeout_seconds: float) -> None:
        self._script = redis.register_script(_SCRIPT)
        self._timeout_seconds = timeout_seconds
        self._call = circuit.guard(self._call_unguarded)

    async def count(self, subject: str, asks: Sequence[Ask]) -> tuple[bool, list[Counted]]:
        """Whether all asks fit, which are counted only then. Raises REDIS_UNAVAILABLE."""
        # One hash tag: in a cluster all counters of a subject lie on one node.
        keys = [f"limit:{{{subject}}}:{ask.limit.name}" for ask in asks]
        arguments: list[Any] = []
        for ask in asks:
            limit = ask.limit
            arguments += (limit.maximum, limit.seconds, int(limit.slides), ask.cost, ask.lease, ask.settle)
            arguments += (ask.window, ask.epoch, ask.count, ask.previous, ask.refusals)
        admitted, *values = await self._call(keys, arguments)
        counted = [_counted(*values[at : at + _FIELDS_BACK]) for at in range(0, len(values), _FIELDS_BACK)]
        return bool(admitted), counted

    async def _call_unguarded(self, keys: list[str], arguments: list[Any]) -> list[Any]:
        async with asyncio.timeout(self._timeout_seconds):
            answer: list[Any] = await self._script(keys=keys, args=arguments)
            return answer


def _counted(
    refuses: int, leased: int, window: int, count: int, previous: int, epoch: bytes, elapsed_ms: int, room: int,
    refused: int, refused_at: int, recent: int, recent_ms: int,
) -> Counted:  # fmt: skip
    return Counted(
        bool(refuses), leased, window, count, previous, epoch, elapsed_ms / 1000, room, refused, refused_at,
        max(0, recent), recent_ms / 1000,
    )  # fmt: skip
