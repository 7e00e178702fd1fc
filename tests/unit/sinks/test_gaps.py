"""What counts as lost: never what is only late."""

from __future__ import annotations

import dataclasses
from uuid import UUID

from mockupaws.sinks.postgres.gaps import (
    SourcePartition,
    describe,
    is_ripe,
    losses_of,
    still_holds,
    take_snapshot,
)

ANALYSED, LETTERS, ANEW = UUID(int=1), UUID(int=2), UUID(int=3)
NOW = 1000.0
THEN = NOW + 60.0

PARTITION = SourcePartition(
    first_offset=0,
    committed=10,
    arrived=[(0, 4), (5, 8)],
    lost=[],
    answers_end={ANALYSED: 100, LETTERS: 5},
    answers_stored={ANALYSED: 90, LETTERS: 5},
)
CAUGHT_UP = dataclasses.replace(PARTITION, answers_stored={ANALYSED: 100, LETTERS: 5})


def test_gaps_and_a_missing_tail_below_the_commit_are_lost_once_all_answers_are_stored() -> None:
    snapshot = take_snapshot(NOW, PARTITION)
    assert is_ripe(snapshot, THEN, CAUGHT_UP, 60.0)
    assert losses_of(snapshot, CAUGHT_UP) == [(4, 5), (8, 10)]


def test_what_arrived_meanwhile_is_not_lost() -> None:
    snapshot = take_snapshot(NOW, PARTITION)
    assert losses_of(snapshot, dataclasses.replace(CAUGHT_UP, arrived=[(0, 8), (9, 10)])) == [(8, 9)]


def test_nothing_is_judged_before_its_age_or_while_answers_wait_in_either_topic() -> None:
    snapshot = take_snapshot(NOW, PARTITION)
    assert not is_ripe(snapshot, THEN - 0.1, CAUGHT_UP, 60.0)
    assert not is_ripe(snapshot, NOW + 1e6, PARTITION, 60.0)
    letters_wait = dataclasses.replace(PARTITION, answers_stored={ANALYSED: 100, LETTERS: 4})
    assert not is_ripe(snapshot, NOW + 1e6, letters_wait, 60.0)
    unknown = dataclasses.replace(PARTITION, answers_stored={ANALYSED: 100})
    assert not is_ripe(snapshot, NOW + 1e6, unknown, 60.0)


def test_a_processor_that_lags_loses_nothing() -> None:
    lagging = dataclasses.replace(CAUGHT_UP, committed=2, arrived=[(0, 2)])
    assert losses_of(take_snapshot(NOW, lagging), lagging) == []


def test_behind_the_commit_a_gap_is_lost_only_where_the_processor_has_gone_on() -> None:
    stopped = dataclasses.replace(CAUGHT_UP, committed=3, arrived=[(0, 4), (5, 8)])
    snapshot = take_snapshot(NOW, stopped)
    assert losses_of(snapshot, stopped) == []
    assert losses_of(snapshot, dataclasses.replace(stopped, arrived=[(0, 4), (5, 9)])) == [(4, 5)]


def test_what_was_given_up_or_came_before_watching_is_not_missing() -> None:
    assert dataclasses.replace(CAUGHT_UP, lost=[(4, 5)]).missing == [(8, 10)]
    assert dataclasses.replace(CAUGHT_UP, first_offset=7).missing == [(8, 10)]
    assert dataclasses.replace(CAUGHT_UP, arrived=[], first_offset=12, committed=10).missing == []


def test_a_snapshot_is_dropped_when_all_of_it_has_arrived_or_a_topic_of_answers_was_made_anew() -> None:
    snapshot = take_snapshot(NOW, PARTITION)
    assert still_holds(snapshot, CAUGHT_UP)
    assert not still_holds(snapshot, dataclasses.replace(PARTITION, arrived=[(0, 10)], committed=12))
    assert not still_holds(snapshot, dataclasses.replace(PARTITION, answers_end={ANEW: 1, LETTERS: 5}))


def test_spans_are_described_for_people() -> None:
    assert describe([(4, 5), (7, 10)]) == "4, 7-9"
    assert describe([(n * 2, n * 2 + 1) for n in range(12)]).endswith("18, and 2 more ranges")
