"""Which minutes of a scenario's day go into blocks together, and which blocks have to be made anew. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

BLOCK_LINES = 1024
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


class Minutes(NamedTuple):
    """Whole minutes from `since` to before `until`, and the lines counted in them."""

    since: datetime
    until: datetime
    entries: int


@dataclass(slots=True)
class BlockPlan:
    stale: list[datetime] = field(default_factory=list)
    """`since` of blocks whose minutes have got lines since they were made."""
    kept: set[datetime] = field(default_factory=set)
    """`since` of the others."""
    wanted: list[Minutes] = field(default_factory=list)
    """In order. Minutes without a line belong to the block around them, so that a line that comes there is noticed."""
    is_settled: bool = True
    """Nothing is left for a later plan but what is to come."""
    whole: bool = False
    """With these made, all lines of the day stand in blocks, and it is over."""


def plan_text_blocks(
    day: datetime,
    is_over: bool,
    counted: Mapping[datetime, int],
    settled: Mapping[datetime, int],
    blocks: Sequence[Minutes],
) -> BlockPlan:
    """`counted`: lines by minute. `settled`: as of an earlier look; what differs since is left for a later plan.

    Blocks are full but for those hemmed in, and the last of a day that is over. None is wanted of a part of the day
    that gets lines still.
    """
    plan = BlockPlan()
    minutes = sorted(counted)
    kept: list[Minutes] = []
    for block in blocks:
        held = minutes[bisect_left(minutes, block.since) : bisect_left(minutes, block.until)]
        if sum(counted[minute] for minute in held) == block.entries:
            kept.append(block)
        else:
            plan.stale.append(block.since)
    plan.kept = {block.since for block in kept}
    start = day
    for block in [*sorted(kept), Minutes(day + _DAY, day + _DAY, 0)]:
        hemmed_in = is_over or block.since < day + _DAY
        since, entries = start, 0
        for minute in minutes[bisect_left(minutes, start) : bisect_left(minutes, block.since)]:
            if settled.get(minute) != counted[minute]:
                plan.is_settled = False
                since, entries = minute + _MINUTE, 0
                continue
            entries += counted[minute]
            if entries >= BLOCK_LINES:
                plan.wanted.append(Minutes(since, minute + _MINUTE, entries))
                since, entries = minute + _MINUTE, 0
        if since < block.since and hemmed_in and (entries or is_over):
            plan.wanted.append(Minutes(since, block.since, entries))
        start = block.until
    plan.whole = is_over and plan.is_settled
    return plan
