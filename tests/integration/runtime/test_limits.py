"""Limits counted in a real Valkey by several limiters, as several processes would, and while it fails."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from mockupaws.runtime.circuit_breaker import BreakerLimits, CircuitBreaker
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.embedded.valkey_server import ValkeyServer
from mockupaws.runtime.limits.limiter import Limiter
from mockupaws.runtime.limits.share import LEASE_SECONDS
from mockupaws.runtime.redis_client import open_redis, redis_circuit
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.limits import DAY_SECONDS, Limit
from tests.running_stack import free_ports

MINUTE = Limit("ingest_requests", 1000, 60)
SLACK = 1.05
"""Where a minute turns in the middle of a test, a little of the limit is free again."""
DAY = Limit("ingest_bytes", 100_000, DAY_SECONDS)


class FrozenClock:
    """Monotonic seconds that only a test moves on: a lease or a refusal lasts as long as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclasses.dataclass
class Valkey:
    redis: Redis
    settings: Settings
    process: asyncio.subprocess.Process

    async def calls(self) -> int:
        """Scripts called so far."""
        stats = await self.redis.info("commandstats")
        return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[Valkey]:
    (port,) = free_ports(1)
    server = ValkeyServer(tmp_path / "valkey", port)
    server.prepare()
    plan = server.plan("valkey", tmp_path / "valkey.log")
    process = await asyncio.create_subprocess_exec(*plan.command, stdout=asyncio.subprocess.DEVNULL)
    settings = Settings(redis_url=f"redis://127.0.0.1:{port}/0", redis_timeout_seconds=2.0, limit_processes=2)
    redis = Redis.from_url(settings.redis_url)
    try:
        async with asyncio.timeout(60):
            while not await server.is_ready():
                await asyncio.sleep(0.05)
        yield Valkey(redis, settings, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await redis.aclose()


@contextlib.asynccontextmanager
async def limiters(
    settings: Settings, count: int, clock: FrozenClock | None = None, circuit: CircuitBreaker | None = None
) -> AsyncIterator[list[Limiter]]:
    """As many processes would have."""
    clients = [open_redis(settings) for _ in range(count)]
    try:
        yield [
            Limiter(settings, client, circuit or redis_circuit(), SystemClock(), 1, clock or FrozenClock())
            for client in clients
        ]
    finally:
        for client in clients:
            assert client is not None
            await client.aclose()


async def admitted(limiter: Limiter, subject: str, times: int, limit: Limit = MINUTE, cost: int = 1) -> int:
    return sum([(await limiter.admit(subject, [(limit, cost)])).admitted for _ in range(times)])


async def test_three_processes_admit_the_limit_together_and_mostly_without_a_round_trip(valkey: Valkey) -> None:
    subject = str(uuid.uuid4())
    clock = FrozenClock()
    async with limiters(valkey.settings, 3, clock) as processes:
        before = await valkey.calls()
        counts = await asyncio.gather(*(admitted(limiter, subject, 3000) for limiter in processes))
        assert MINUTE.maximum <= sum(counts) <= MINUTE.maximum * SLACK
        assert all(count > 0 for count in counts)
        assert await valkey.calls() - before <= 150, "9000 checks, 1000 of them admitted"
        refused = await processes[0].admit(subject, [(MINUTE, 1)])
        assert (refused.admitted, refused.limit) == (False, MINUTE)
        assert 0 < refused.wait <= 120
        assert "1,000 requests a minute" in refused.reason
        assert (await processes[0].admit(str(uuid.uuid4()), [(MINUTE, 1)])).admitted


async def test_leased_units_that_are_not_used_are_given_back(valkey: Valkey) -> None:
    subject, clock = str(uuid.uuid4()), FrozenClock()
    async with limiters(valkey.settings, 2, clock) as (first, second):
        assert await admitted(first, subject, 1) == 1  # leases ten more
        assert await admitted(second, subject, 989) == 989
        clock.now += LEASE_SECONDS * 2
        assert 10 <= await admitted(first, subject, 100) <= 50


async def test_one_limit_that_refuses_counts_nothing_of_the_others(valkey: Valkey) -> None:
    subject = str(uuid.uuid4())
    async with limiters(valkey.settings, 1) as (limiter,):
        refused = await limiter.admit(subject, [(MINUTE, 1), (Limit("ingest_bytes", 10, DAY_SECONDS), 11)])
        assert refused.admitted  # larger than the whole limit: it may overdraw what nobody has used
        refused = await limiter.admit(subject, [(MINUTE, 1), (Limit("ingest_bytes", 10, DAY_SECONDS), 1)])
        assert (refused.admitted, refused.limit and refused.limit.name) == (False, "ingest_bytes")
        assert refused.headers["RateLimit-Remaining"] == "0"
        [requests, size] = await limiter.look(subject, [MINUTE, DAY]) or []
        assert (requests.count, size.count, size.refused_today) == (1, 11, 1)  # the lease was given back
        assert size.refused_at > 0


async def test_charges_and_refunds_are_counted_with_the_next_check(valkey: Valkey) -> None:
    subject, clock = str(uuid.uuid4()), FrozenClock()
    async with limiters(valkey.settings, 1, clock) as (limiter,):
        assert (await limiter.admit(subject, [(DAY, 1000)])).admitted
        limiter.charge(subject, DAY, 50_000)
        limiter.charge(subject, DAY, -10_000)
        clock.now += 1
        verdict = await limiter.admit(subject, [(DAY, 1000)])
        assert verdict.remaining == 100_000 - 2000 - 40_000
        limiter.charge(subject, DAY, 100_000)
        clock.now += 1
        assert not (await limiter.admit(subject, [(DAY, 1)])).admitted
        [state] = await limiter.look(subject, [DAY]) or []
        assert state.room == 100_000 - 142_000


async def test_what_was_used_stands_after_everything_in_redis_is_lost(valkey: Valkey) -> None:
    subject, clock = str(uuid.uuid4()), FrozenClock()
    async with limiters(valkey.settings, 2, clock) as (first, second):
        assert await admitted(first, subject, 1000) == 1000
        assert await admitted(second, subject, 1, DAY, 60_000) == 1
        await valkey.redis.flushall()
        clock.now += 1
        stranger = await second.admit(subject, [(MINUTE, 1)])
        assert stranger.admitted  # it never saw the counter: the bound is what strangers take until one who did asks
        assert await admitted(first, subject, 1000) <= 50
        assert await admitted(second, subject, 1, DAY, 50_000) == 0


async def test_a_server_whose_clock_goes_back_opens_nothing_and_locks_nobody_out(valkey: Valkey) -> None:
    subject, clock = str(uuid.uuid4()), FrozenClock()
    async with limiters(valkey.settings, 1, clock) as (limiter,):
        assert await admitted(limiter, subject, 600) == 600
        key = f"limit:{{{subject}}}:ingest_requests"
        await valkey.redis.hincrby(key, "window", 5000)  # as if all this had been counted days ahead
        clock.now += 1
        assert 400 <= await admitted(limiter, subject, 1000) <= 450
        seconds, _ = await valkey.redis.time()
        held = await valkey.redis.hget(key, "window")
        assert held is not None
        assert int(held) - int(seconds) // 60 in (0, 1)


@pytest.mark.parametrize("fault", ["stopped", "killed"])
async def test_without_redis_each_process_allows_its_part(valkey: Valkey, fault: str) -> None:
    subject, clock = str(uuid.uuid4()), FrozenClock()
    settings = dataclasses.replace(valkey.settings, redis_timeout_seconds=0.5)
    # On the frozen clock too: a probe of the stopped server would leave it a call that it answers once it goes on.
    circuit = CircuitBreaker("redis", lambda error: True, BreakerLimits(recovery_seconds=0.2), clock)
    async with limiters(settings, 2, clock, circuit) as processes:
        first, second = processes
        assert await admitted(first, subject, 200) == 200
        assert await admitted(second, subject, 1) == 1
        clock.now += 1
        if fault == "killed":
            valkey.process.kill()
            await valkey.process.wait()
        else:
            os.kill(valkey.process.pid, signal.SIGSTOP)
        counts = [await admitted(limiter, subject, 2000) for limiter in processes]
        # The two know of 200 to 221 units, used or leased: each gives out its half of what is left.
        assert 2 * 389 <= sum(counts) <= 2 * 400 * SLACK
        assert not circuit.closed, "4000 checks, of which a few waited for the timeout"
        assert await admitted(second, subject, 2000, DAY, 1) == 2000
        assert await admitted(second, subject, 2000, DAY, 1000) == 48
        if fault == "killed":
            return
        os.kill(valkey.process.pid, signal.SIGCONT)
        async with asyncio.timeout(60):
            while not circuit.closed:
                await asyncio.sleep(0.05)
                clock.now += 1
                await second.admit(subject, [(DAY, 1)])
        clock.now += 1
        await second.admit(subject, [(DAY, 1)])
        # What was given out meanwhile is told, so that the day's quota isn't given out again.
        [state] = await second.look(subject, [DAY]) or []
        assert 50_000 <= state.count <= 50_200, "what the stopped server was still asked for counts once, too"


async def test_a_process_without_redis_counts_alone() -> None:
    alone = Limiter(Settings(), None, redis_circuit(), SystemClock(), 1, FrozenClock())
    assert await admitted(alone, "s", 1200) == 1000  # a frozen clock
    verdict = await alone.admit("s", [(DAY, 1)])
    assert verdict.headers | {"RateLimit-Reset": ""} == {
        "RateLimit-Limit": "100000",
        "RateLimit-Remaining": "99999",
        "RateLimit-Reset": "",
    }
    assert 0 < int(verdict.headers["RateLimit-Reset"]) <= DAY_SECONDS
    assert await alone.look("s", [DAY]) is None
