"""Lag in seconds is the age of the next record to store."""

from __future__ import annotations

from aiokafka import TopicPartition

from mockupaws.sinks.progress import STUCK_AFTER_SECONDS, Progress

A, B = TopicPartition("a", 0), TopicPartition("b", 0)


def test_the_oldest_record_that_is_not_stored_counts() -> None:
    progress = Progress(active_at=0.0, lag_messages=30, committed={A: 10, B: 20})
    assert progress.lag_seconds(9_000) is None
    progress.note_read(A, 10, 5_000)
    progress.note_read(B, 20, 4_000)
    progress.note_read(A, 15, 7_000)
    assert progress.lag_seconds(9_000) == 5.0
    progress.note_stored(B, 25)
    assert progress.lag_seconds(9_000) == 4.0
    progress.note_stored(A, 15)
    assert progress.lag_seconds(9_000) == 2.0
    progress.note_stored(A, 18)
    assert progress.lag_seconds(9_000) is None
    progress.lag_messages = 0
    assert progress.lag_seconds(9_000) == 0.0


def test_what_the_watchdog_looked_up_counts_until_the_offset_moves() -> None:
    progress = Progress(active_at=0.0, lag_messages=1, committed={A: 10}, waiting={A: (10, 1_000)})
    assert progress.lag_seconds(9_000) == 8.0
    progress.note_stored(A, 11)
    assert progress.lag_seconds(9_000) is None


def test_stuck_is_lag_without_writing_or_any_sign_of_life() -> None:
    progress = Progress(active_at=0.0, lag_messages=5)
    later = STUCK_AFTER_SECONDS + 1
    assert progress.is_stuck(later)
    assert not progress.is_stuck(STUCK_AFTER_SECONDS - 1)
    progress.writing = True
    assert not progress.is_stuck(later)
    progress.writing, progress.lag_messages = False, 0
    assert not progress.is_stuck(later)
