"""A filter never says "surely not" of what stands in its lines, and nearly always of what doesn't."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockupaws.archive import text_filter
from mockupaws.archive.text_filter import HOLDS_ANYTHING, make_filter, places_of

LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n"), max_size=60)


def may_hold(bits: bytes, text: str) -> bool:
    """As the statement `text_blocks` does it."""
    return all(
        bits[place % (8 * len(bits)) // 8] >> (place % 8) & 1 for place in places_of(text)
    )  # a power of two: so many bits of the place count


@given(st.lists(LINE, min_size=1, max_size=30), st.data())
def test_what_stands_in_a_line_is_never_missed(lines: list[str], data: st.DataObject) -> None:
    bits = make_filter("\n".join(lines).encode())
    line = data.draw(st.sampled_from(lines))
    start = data.draw(st.integers(0, len(line)))
    part = line[start : data.draw(st.integers(start, len(line)))]
    ascii_swapped = "".join(c.swapcase() if c.isascii() else c for c in part)
    assert may_hold(bits, part)
    assert may_hold(bits, ascii_swapped)


@given(st.lists(LINE, min_size=1, max_size=10), st.integers(1, 50))
def test_it_makes_no_difference_where_stretches_of_the_lines_end(lines: list[str], stretch: int) -> None:
    text = "\0".join(lines).encode()
    whole = make_filter(text)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(text_filter, "_STRETCH", stretch)
        assert make_filter(text) == whole


def test_what_postgres_lowers_to_ascii_is_found() -> None:
    bits = make_filter("300 \u212aelvin in \u0130stanbul".encode())
    assert may_hold(bits, "kelvin")
    assert may_hold(bits, "istanbul")


def test_what_does_not_stand_there_is_nearly_always_told() -> None:
    chosen = random.Random(1)
    lines = [f"order {chosen.randrange(10**8)} trace {chosen.randrange(2**128):032x} done" for _ in range(1024)]
    bits = make_filter("\n".join(lines).encode())
    assert len(bits) / len(lines) <= 16  # bytes a line
    for other in ("quarantine", "panic", "oom", f"{chosen.randrange(2**128):032x}", f"{chosen.randrange(2**128):012x}"):
        assert not may_hold(bits, other), other
    assert may_hold(HOLDS_ANYTHING, "quarantine")
    assert len(make_filter(b"")) == 64


def test_texts_without_a_piece_are_not_asked_for() -> None:
    assert places_of("") == places_of("ab") == places_of("a-1") == places_of("1234") == places_of("été") == []
    assert len(places_of("EOF")) == 1
    assert len(places_of("12345")) == 1
    assert len(places_of("abc12")) == 2


def test_places_stay_as_stored_filters_have_them() -> None:
    assert places_of("quarantine") == [
        10811, 18865, 20571, 21987, 24415, 42451, 54030,
        62150, 64272, 70827, 100321, 101583, 116811, 122669,
    ]  # fmt: skip
