"""Who is at fault when nothing moves: brokers, an operator's hold, or this process."""

from __future__ import annotations

from mockupaws.stream_processors.progress import (
    AWAY_SECONDS,
    STALLED_SECONDS,
    STUCK_SECONDS,
    UNASSIGNED_SECONDS,
    Failure,
    ProcessorProgress,
)


class Watch:
    """A progress looked at every five seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.progress = ProcessorProgress.begin(self.now)

    def look(
        self,
        seconds: float,
        lag: int | None,
        seen: int = 1,
        held: bool = False,
        assigned: bool = True,
        waits: float = 0,
    ) -> Failure | None:
        """The first failure within the next `seconds`; lag None: the brokers don't answer."""
        until = self.now + seconds
        while self.now < until:
            self.now += 5
            if lag is None:
                self.progress.note_silence()
            else:
                self.progress.note_lag(self.now, lag, (seen,))
            failure = self.progress.failure(self.now, held=held, assigned=assigned, longest_wait_seconds=waits)
            if failure is not None:
                return failure
        return None


def test_lag_without_a_move_is_a_stalled_consumer() -> None:
    watch = Watch()
    assert watch.look(STALLED_SECONDS, lag=7) is None
    assert watch.progress.still_seconds(watch.now) > 0
    assert watch.look(10, lag=7) == "consumer_stalled"


def test_moving_or_having_nothing_to_do_is_well() -> None:
    watch = Watch()
    for step in range(100):
        assert watch.look(5, lag=7 + step, seen=step) is None
    assert watch.look(1000, lag=0, seen=99) is None
    assert watch.look(STALLED_SECONDS, lag=1, seen=99) is None


def test_held_at_the_limit_it_stays() -> None:
    assert Watch().look(10_000, lag=7, held=True) is None


def test_brokers_that_are_away_are_waited_for_within_a_bound_and_get_time_when_they_are_back() -> None:
    watch = Watch()
    assert watch.look(AWAY_SECONDS, lag=None, waits=1000) is None
    assert watch.look(STALLED_SECONDS, lag=7, waits=1000) is None
    assert watch.look(STALLED_SECONDS, lag=7, waits=1000) == "consumer_stalled"
    watch = Watch()
    assert watch.look(AWAY_SECONDS + 10, lag=None) == "brokers_away"


def test_a_record_that_waits_while_others_move_is_a_stuck_producer() -> None:
    watch = Watch()
    failures = [watch.look(5, lag=7, seen=step, waits=5.0 * step) for step in range(int(STUCK_SECONDS / 5) + 3)]
    assert failures[-1] == "producer_stuck"
    assert failures[: int(STUCK_SECONDS / 5)] == [None] * int(STUCK_SECONDS / 5)


def test_without_a_partition_it_only_ends_where_nobody_moves_the_topic() -> None:
    watch = Watch()
    for step in range(100):
        assert watch.look(5, lag=7, seen=step, assigned=False) is None
    assert watch.look(UNASSIGNED_SECONDS, lag=7, seen=99, assigned=False) is None
    assert watch.look(10, lag=7, seen=99, assigned=False) == "membership_stuck"
