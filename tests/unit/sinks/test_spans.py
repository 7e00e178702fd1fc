"""Spans of offsets behave as the sets they stand for."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mockupaws.sinks.postgres.spans import (
    Span,
    complement,
    from_multirange,
    intersect,
    spans_of,
    subtract,
    to_multirange,
    union,
)

offsets = st.sets(st.integers(0, 60), max_size=40)


def members(spans: list[Span]) -> set[int]:
    return {offset for start, end in spans for offset in range(start, end)}


@given(offsets)
def test_a_set_of_offsets_comes_back_from_its_spans_and_from_their_text(offsets: set[int]) -> None:
    spans = spans_of(offsets)
    assert members(spans) == offsets
    assert all(before[1] < after[0] for before, after in itertools.pairwise(spans))
    assert from_multirange(to_multirange(spans)) == spans


@given(offsets, offsets)
def test_union_difference_and_intersection(left: set[int], right: set[int]) -> None:
    assert members(union(spans_of(left), spans_of(right))) == left | right
    assert members(subtract(spans_of(left), spans_of(right))) == left - right
    assert members(intersect(spans_of(left), spans_of(right))) == left & right


@given(offsets, st.integers(0, 60), st.integers(0, 70))
def test_complement(known: set[int], start: int, end: int) -> None:
    assert members(complement(spans_of(known), start, end)) == set(range(start, end)) - known
