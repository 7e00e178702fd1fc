"""Repeated work goes on after a failure, and ends when its process stops."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.upkeep import DaysToLookAt, repeat


async def test_what_fails_is_told_and_tried_again_until_the_process_stops() -> None:
    stop = asyncio.Event()
    calls: list[datetime] = []
    failures: list[Exception] = []

    async def once(now: datetime) -> None:
        calls.append(now)
        if len(calls) == 3:
            stop.set()
        raise ValueError(len(calls))

    async with asyncio.timeout(60):
        await repeat(stop, 0.001, SystemClock(), once, failures.append)
        await repeat(stop, 0.001, SystemClock(), once, failures.append)  # stopped before it began
    assert [str(failure) for failure in failures] == ["1", "2", "3"]
    assert calls == sorted(calls)


async def test_the_pause_ends_with_the_process() -> None:
    stop = asyncio.Event()

    async def once(now: datetime) -> None:
        asyncio.get_running_loop().call_soon(stop.set)

    async with asyncio.timeout(60):
        await repeat(stop, 3600, SystemClock(), once, lambda error: None)


def test_all_days_are_looked_at_once_an_hour_and_the_newest_two_between() -> None:
    days, now = DaysToLookAt(), datetime(2026, 11, 26, 0, 30, tzinfo=UTC)
    assert days.since(now) is None
    assert days.since(now) is None  # the first look failed
    days.looked(now)
    assert days.since(now + timedelta(minutes=59)) == datetime(2026, 11, 25, tzinfo=UTC)
    days.looked(now + timedelta(minutes=59))
    assert days.since(now + timedelta(minutes=60)) is None
