"""Which letters stop counting when the lines of their request turn up elsewhere."""

from __future__ import annotations

import uuid

import pytest

from mockupaws.sinks.dead_letters.rows import superseded_letters

OLD, NEW = uuid.UUID(int=1), uuid.UUID(int=2)


@pytest.mark.parametrize(
    ("living", "stored", "excess", "gone"),
    [
        ([(OLD, [0, 1])], {0, 1}, 2, {OLD}),
        ([(OLD, [0]), (NEW, [1])], {1}, 1, {NEW}),
        ([(OLD, [0, 1, 2])], {0, 1}, 2, {OLD}),
        ([(OLD, [0, 1]), (NEW, [1])], set(), 2, {OLD}),
        ([(OLD, [0, 1]), (NEW, [1])], set(), 1, {NEW}),
        ([(OLD, [0, 1])], set(), 1, set()),
    ],
    ids=[
        "all stored by a replay",
        "the part that was stored",
        "a replay stored some of it",
        "a letter that came later than its lines",
        "only what fits",
        "none fits yet",
    ],
)
def test_superseded(
    living: list[tuple[uuid.UUID, list[int]]], stored: set[int], excess: int, gone: set[uuid.UUID]
) -> None:
    assert superseded_letters(living, stored, excess) == gone
