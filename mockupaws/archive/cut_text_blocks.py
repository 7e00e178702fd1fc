"""Cuts lines read together into blocks, each with its filter. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mockupaws.archive.plan_text_blocks import BLOCK_LINES, Minutes
from mockupaws.archive.text_filter import HOLDS_ANYTHING, make_filter

TOO_LONG = b"\xff"
"""Stands for a line that wasn't read whole; in no UTF-8."""
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


class TextBlock(NamedTuple):
    since: datetime
    until: datetime
    part: int
    entries: int
    first_at: datetime
    last_at: datetime
    filter: bytes


def cut_text_blocks(
    run: Sequence[Minutes], received_at: bytes, texts: bytes, parts: Counter[datetime]
) -> list[TextBlock]:
    """Blocks of about BLOCK_LINES lines, never of two of the `run`, whose minutes follow each other without a gap.

    `received_at`: of each line, in order, as Postgres sends it (microseconds since 2000, 8 bytes, big-endian).
    `texts`: a NUL between each two. `parts`: how many blocks of the minutes that begin then were cut before.
    """
    times = np.frombuffer(received_at, ">i8").astype(np.int64)
    ends = [*np.flatnonzero(np.frombuffer(texts, np.uint8) == 0).tolist(), len(texts)]
    assert len(ends) == len(times)
    bounds = np.searchsorted(times, [_micros(minutes.since) for minutes in run] + [_micros(run[-1].until)]).tolist()
    blocks = []
    for minutes, low, high in zip(run, bounds, bounds[1:], strict=False):
        count = max(1, round((high - low) / BLOCK_LINES))
        for first, after in pairwise(low + (high - low) * number // count for number in range(count + 1)):
            if first == after:
                continue
            text = texts[ends[first - 1] + 1 if first else 0 : ends[after - 1]]
            bits = HOLDS_ANYTHING if TOO_LONG in text else make_filter(text)
            first_at, last_at = (_EPOCH + int(times[at]) * INSTANT for at in (first, after - 1))
            blocks.append(TextBlock(*minutes[:2], parts[minutes.since], minutes.entries, first_at, last_at, bits))
            parts[minutes.since] += 1
    return blocks


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // INSTANT
