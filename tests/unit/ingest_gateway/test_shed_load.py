"""When a request is refused for want of memory, and what the limit is where none is set."""

from __future__ import annotations

import asyncio
import sys

import psutil
import pytest

from mockupaws.ingest_gateway.admit import BodyIntake
from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.ingest_gateway.shed_load import MemoryGuard, memory_limit

TEBIBYTE = 1024**4


def test_the_configured_limit_goes_first() -> None:
    assert memory_limit(5_000, 4) == 5_000


def test_without_one_the_processes_share_a_part_of_the_memory_there_is() -> None:
    alone = memory_limit(0, 1)
    assert 0 < alone < psutil.virtual_memory().total
    assert memory_limit(0, 4) == alone // 4


def test_bodies_between_two_looks_are_counted() -> None:
    guard = MemoryGuard(TEBIBYTE)
    guard.check()
    guard.take(TEBIBYTE // 2)
    guard.check()
    guard.take(TEBIBYTE // 4)
    with pytest.raises(RefusedError, match="memory") as refused:
        guard.check()
    assert (refused.value.kind.status, refused.value.kind.code) == (503, "overloaded")
    guard.take(1000)  # a body that is half read goes on while newcomers are refused
    with pytest.raises(RefusedError):
        guard.take(TEBIBYTE // 10)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells the C library to give memory back")
def test_what_was_freed_is_given_back_before_newcomers_are_refused() -> None:
    """Also just below the threshold, where a process that gave nothing back would refuse newcomers for ever."""
    freed = [bytes(64 * 1024) for _ in range(2000)]
    pinned = freed[-1:]  # the end of the heap: the C library gives back by itself what is free up to there
    del freed
    resident = psutil.Process().memory_info().rss
    limit = int(resident / 0.75)  # 80 % of it is the threshold, 10 % the newcomers' share
    MemoryGuard(limit).check()
    assert pinned


async def test_a_body_is_refused_as_soon_as_it_does_not_fit() -> None:
    guard = MemoryGuard(TEBIBYTE)
    intake = BodyIntake(TEBIBYTE * 4, 30, guard)
    with intake.share() as share:
        guard.take(TEBIBYTE // 10 * 7)
        with pytest.raises(RefusedError, match="memory"):
            share.take(TEBIBYTE // 5)
    with pytest.raises(RefusedError):
        intake.share()


async def test_what_a_request_held_is_given_back() -> None:
    intake = BodyIntake(1000, 30, MemoryGuard(TEBIBYTE))
    with intake.share() as share:
        share.take(900)
        share.shrink_to(100)
        with intake.share() as other:
            other.take(900)
        share.shrink_to(500)  # never more than was taken
    with intake.share() as share:
        share.take(1000)


async def test_it_looks_again_once_something_was_taken_and_until_it_sheds_no_more() -> None:
    guard = MemoryGuard(TEBIBYTE)
    looking = asyncio.create_task(guard.run())
    for _ in range(2):
        guard.take(TEBIBYTE // 4 * 3)
        assert guard.sheds
        while guard.sheds:  # what was taken isn't held: the next look finds room
            await asyncio.sleep(0)
    looking.cancel()
