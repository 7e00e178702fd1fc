"""Blocks of a day: disjoint, full, and in the end of all its lines, whatever came late."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from mockupaws.archive.plan_text_blocks import BLOCK_LINES, Minutes, plan_text_blocks

DAY = datetime(2026, 3, 5, tzinfo=UTC)
END = DAY + timedelta(days=1)


def at(minute: int) -> datetime:
    return DAY + timedelta(minutes=minute)


def test_the_end_of_a_running_day_is_left() -> None:
    counted = {at(1): 600, at(2): 600, at(700): 500}
    plan = plan_text_blocks(DAY, False, counted, counted, [])
    assert plan.wanted == [Minutes(DAY, at(3), 1200)]
    assert (plan.whole, plan.is_settled) == (False, True)
    plan = plan_text_blocks(DAY, True, counted, counted, plan.wanted)
    assert plan.wanted == [Minutes(at(3), END, 500)]
    assert plan.whole


def test_minutes_that_get_lines_still_are_left() -> None:
    counted = {at(1): 600, at(2): 600, at(3): 2000}
    plan = plan_text_blocks(DAY, True, counted, {at(1): 600, at(2): 599, at(3): 2000}, [])
    assert plan.wanted == [Minutes(at(3), at(4), 2000), Minutes(at(4), END, 0)]
    assert (plan.whole, plan.is_settled) == (False, False)


def test_late_lines_make_a_block_stale_even_in_a_quiet_minute() -> None:
    blocks = [Minutes(DAY, at(500), 1300), Minutes(at(500), END, 1300)]
    counted = {at(1): 1300, at(600): 1300, at(20): 1}
    plan = plan_text_blocks(DAY, True, counted, counted, blocks)
    assert (plan.stale, plan.wanted, plan.whole) == (
        [DAY],
        [Minutes(DAY, at(2), 1300), Minutes(at(2), at(500), 1)],
        True,
    )


def test_a_day_whose_minutes_are_gone_is_read_whole() -> None:
    assert plan_text_blocks(DAY, True, {}, {}, []).wanted == [Minutes(DAY, END, 0)]


@pytest.mark.parametrize("seed", range(20))
def test_blocks_tile_the_day_in_the_end(seed: int) -> None:
    chosen = random.Random(seed)
    counted: dict[datetime, int] = {}
    seen: dict[datetime, int] = {}
    blocks: list[Minutes] = []
    for step in range(30):
        for _ in range(chosen.randrange(40)):
            minute = at(chosen.randrange(1440))
            counted[minute] = counted.get(minute, 0) + chosen.choice([1, 30, 700])
        is_over = step > 15
        plan = plan_text_blocks(DAY, is_over, counted, seen, blocks)
        blocks = sorted([block for block in blocks if block.since not in plan.stale] + plan.wanted)
        assert all(one.until <= other.since for one, other in pairwise(blocks))
        for block in plan.wanted:
            assert block.entries == sum(n for minute, n in counted.items() if block.since <= minute < block.until)
            assert is_over or block.entries >= BLOCK_LINES or any(block.until == other.since for other in blocks)
        seen = dict(counted)
    plan = plan_text_blocks(DAY, True, counted, seen, blocks)
    blocks = sorted([block for block in blocks if block.since not in plan.stale] + plan.wanted)
    assert plan.whole
    assert [block.since for block in blocks] == [DAY, *(block.until for block in blocks[:-1])]
    assert blocks[-1].until == END
    assert sum(block.entries for block in blocks) == sum(counted.values())
