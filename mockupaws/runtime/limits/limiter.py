"""Admits or refuses, from a leased slice of the allowance, else from Redis, else alone.

Order: 1. a refusal that Redis gave less than 100 ms ago is repeated; 2. what the leased units cover is admitted here;
3. one call of Redis counts all limits at once, and leases the next slice; 4. where Redis has no answer, this process
counts its part of the limit alone, from what Redis last said, and tells Redis once it is back.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from redis.asyncio import Redis

from mockupaws.runtime.circuit_breaker import CircuitBreaker
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.limits.counters import Ask, Counted, SharedCounters
from mockupaws.runtime.limits.share import Share
from mockupaws.runtime.limits.verdict import UNLIMITED, Verdict
from mockupaws.runtime.redis_client import REDIS_UNAVAILABLE
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import LIMIT_CHECKS, LIMIT_REFUSALS
from mockupaws.schemas.limits import DAY_SECONDS, Limit, LimitName

MAX_SHARES = 50_000
"""Limits of subjects known to a process; the ones unused for longest are forgotten, with what they hold."""

Demand = tuple[Limit, int]


class Limiter:
    """`redis` None: this process counts alone. `processes`: how many share a limit while each does, where no setting
    says so."""

    def __init__(
        self,
        settings: Settings,
        redis: Redis | None,
        circuit: CircuitBreaker,
        clock: Clock,
        processes: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counters = SharedCounters(redis, circuit, settings.redis_timeout_seconds) if redis is not None else None
        self._parts = settings.limit_processes or processes
        self._clock = clock
        self._monotonic = monotonic
        self._answers = True
        """Whether Redis answered the last call."""
        self._shares: OrderedDict[tuple[str, LimitName], Share] = OrderedDict()

    async def admit(self, subject: str, demands: Sequence[Demand]) -> Verdict:
        """Counts all of it, or nothing where one limit refuses. Never raises."""
        if not demands:
            return UNLIMITED
        now = self._monotonic()
        held = [(self._share(subject, limit), cost) for limit, cost in demands]
        for share, cost in held:
            if share.repeats_refusal(cost, now):
                share.refusals += 1
                return _refused(share.verdict(False, cost, now), "lease")
        if all(share.covers(cost, now) for share, cost in held):
            for share, cost in held:
                share.allowance -= cost
            LIMIT_CHECKS.labels("lease").inc()
            return held[0][0].verdict(True, 0, now)
        if self._counters is not None:
            verdict = await self._admit_shared(self._counters, subject, held, now)
            if verdict is not None:
                return verdict
        return self._admit_alone(held)

    def charge(self, subject: str, limit: Limit, units: int) -> None:
        """Counts units that were used already, or (negative) weren't; never waits and never refuses."""
        if units:
            self._share(subject, limit).charge(units, self._monotonic())

    async def look(self, subject: str, limits: Sequence[Limit]) -> list[Counted] | None:
        """What stands in Redis; None where it has no answer."""
        if self._counters is None or not limits:
            return None
        try:
            return (await self._counters.count(subject, [Ask(limit) for limit in limits]))[1]
        except REDIS_UNAVAILABLE:
            return None

    async def _admit_shared(
        self, counters: SharedCounters, subject: str, held: Sequence[tuple[Share, int]], now: float
    ) -> Verdict | None:
        """None where Redis has no answer."""
        asks = [share.ask(cost, now, trusting=self._answers) for share, cost in held]
        try:
            admitted, counted = await counters.count(subject, asks)
        except BaseException as error:
            self._answers = False
            for (share, _), ask in zip(held, asks, strict=True):
                share.unanswered(ask)
            if isinstance(error, REDIS_UNAVAILABLE):
                return None
            raise
        self._answers = True
        now = self._monotonic()
        for (share, _), ask, answer in zip(held, asks, counted, strict=True):
            share.answered(ask, answer, admitted, now)
        if admitted:
            LIMIT_CHECKS.labels("redis").inc()
            return held[0][0].verdict(True, 0, now)
        share, cost = next(one for one, answer in zip(held, counted, strict=True) if answer.refuses)
        return _refused(share.verdict(False, cost, now), "redis")

    def _admit_alone(self, held: Sequence[tuple[Share, int]]) -> Verdict:
        now = self._monotonic()
        seconds_of_day = self._clock.now_us() / 1e6 % DAY_SECONDS
        first: Verdict | None = None
        for share, cost in held:
            window = share.window_alone(self._parts, now, seconds_of_day)
            part = max(1.0, share.limit.maximum / self._parts)
            left = part - window.used(now)
            need = min(cost, part)
            if need > left:
                wait = window.wait(need, part, now)
                return _refused(Verdict(False, share.limit, left, window.resets_in(now), wait), "alone")
            first = first or Verdict(True, share.limit, left - cost, window.resets_in(now))
        for share, cost in held:
            share.use_alone(cost, now)
        LIMIT_CHECKS.labels("alone").inc()
        assert first is not None
        return first

    def _share(self, subject: str, limit: Limit) -> Share:
        key = subject, limit.name
        share = self._shares.get(key)
        if share is None:
            share = self._shares[key] = Share(limit)
            if len(self._shares) > MAX_SHARES:
                self._shares.popitem(last=False)
        else:
            self._shares.move_to_end(key)
            if share.limit != limit:
                share.change_limit(limit)
        return share


def _refused(verdict: Verdict, path: str) -> Verdict:
    assert verdict.limit is not None
    LIMIT_CHECKS.labels(path).inc()
    LIMIT_REFUSALS.labels(verdict.limit.name).inc()
    return verdict
