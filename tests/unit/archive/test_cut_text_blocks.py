"""Each line goes into one block, whole, of its minutes; blocks are told when their lines were received."""

from __future__ import annotations

import struct
from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mockupaws.archive.cut_text_blocks import TOO_LONG, TextBlock, cut_text_blocks
from mockupaws.archive.plan_text_blocks import BLOCK_LINES, Minutes
from mockupaws.archive.text_filter import HOLDS_ANYTHING, make_filter

START = datetime(2026, 11, 25, 13, 59, tzinfo=UTC)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def cut(
    run: list[Minutes], seconds: list[int], texts: list[bytes], parts: Counter[datetime] | None = None
) -> list[TextBlock]:
    received_at = b"".join(struct.pack(">q", (at(s) - EPOCH) // timedelta(microseconds=1)) for s in seconds)
    return cut_text_blocks(run, received_at, b"\0".join(texts), Counter() if parts is None else parts)


def test_lines_go_into_blocks_of_their_minutes() -> None:
    run = [Minutes(at(0), at(60), 2), Minutes(at(60), at(120), 0), Minutes(at(120), at(300), 3)]
    texts = [b"first", b"second\nline", b"", b"fourth", b"fifth"]
    one, other = cut(run, [0, 59, 120, 121, 299], texts)
    assert one == TextBlock(at(0), at(60), 0, 2, at(0), at(59), make_filter(b"first\0second\nline"))
    assert other == TextBlock(at(120), at(300), 0, 3, at(120), at(299), make_filter(b"\0fourth\0fifth"))
    assert cut(run, [5], [b""]) == [TextBlock(at(0), at(60), 0, 2, at(5), at(5), make_filter(b""))]


def test_a_line_that_was_not_read_whole_may_hold_anything() -> None:
    run = [Minutes(at(0), at(60), 1), Minutes(at(60), at(120), 1)]
    assert [block.filter for block in cut(run, [1, 61], [TOO_LONG, b"x"])] == [HOLDS_ANYTHING, make_filter(b"x")]


@given(st.integers(1, 7 * BLOCK_LINES), st.integers(1, 4))
def test_many_lines_of_the_same_minutes_are_even_parts(lines: int, reads: int) -> None:
    run, parts = [Minutes(at(0), at(9000), lines)], Counter[datetime]()
    blocks = []
    for read in range(reads):
        seconds = list(range(lines * read // reads, lines * (read + 1) // reads))
        if seconds:
            blocks += cut(run, seconds, [b"%d" % s for s in seconds], parts)
    assert [block.part for block in blocks] == list(range(len(blocks)))
    assert [block.first_at for block in blocks[1:]] == [block.last_at + timedelta(seconds=1) for block in blocks[:-1]]
    assert (blocks[0].first_at, blocks[-1].last_at) == (at(0), at(lines - 1))
    sizes = [(block.last_at - block.first_at).seconds + 1 for block in blocks]
    assert max(sizes) <= BLOCK_LINES * 1.5
    assert run[0].entries == sum(sizes)
