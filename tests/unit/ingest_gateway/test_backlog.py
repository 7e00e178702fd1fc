"""What waits behind a gateway process, from offsets and times."""

from __future__ import annotations

from mockupaws.ingest_gateway.backlog import MAX_SAMPLES, STUCK_SECONDS, Backlog


def test_bytes_wait_until_their_offsets_are_stored() -> None:
    backlog = Backlog()
    backlog.note_acknowledged(0, 10, 100, 1.0)
    backlog.note_acknowledged(0, 20, 100, 2.0)  # the offsets between are another process's
    backlog.note_acknowledged(1, 5, 50, 3.0)
    assert backlog.waiting(4.0) == (250, 3.0)
    assert backlog.waits
    assert backlog.note_stored({0: 11, 1: 0}, 4.0) == 100
    assert backlog.waiting(4.0) == (150, 2.0)
    assert backlog.note_stored({0: 30, 1: 6}, 5.0) == 150
    assert backlog.waiting(5.0) == (0, 0.0)
    assert not backlog.waits


def test_within_a_sample_bytes_are_taken_by_offset_and_none_is_lost_to_rounding() -> None:
    backlog = Backlog()
    for offset in range(7):
        backlog.note_acknowledged(0, offset, 13, 1.0)
    served = [backlog.note_stored({0: head}, 2.0) for head in range(8)]
    assert sum(served) == 7 * 13
    assert all(0 <= size <= 26 for size in served)


def test_a_head_that_went_back_counts_nothing_twice() -> None:
    backlog = Backlog()
    backlog.note_acknowledged(0, 0, 100, 1.0)
    assert backlog.note_stored({0: 1}, 1.0) == 100
    assert backlog.note_stored({0: 0}, 2.0) == 0
    assert backlog.note_stored({0: 1}, 3.0) == 0
    assert backlog.waiting(3.0) == (0, 0.0)


def test_what_was_stored_before_its_ack_arrived_does_not_wait() -> None:
    backlog = Backlog()
    backlog.note_stored({0: 5}, 1.0)
    backlog.note_acknowledged(0, 4, 100, 1.0)
    assert backlog.waiting(2.0) == (0, 0.0)


def test_acks_out_of_order_keep_all_bytes() -> None:
    backlog = Backlog()
    backlog.note_acknowledged(0, 3, 100, 1.0)
    backlog.note_acknowledged(0, 2, 100, 2.0)
    assert backlog.waiting(2.0) == (200, 1.0)
    assert backlog.note_stored({0: 5}, 3.0) == 200


def test_an_outage_of_hours_takes_bounded_memory_and_keeps_all_bytes_and_the_oldest_age() -> None:
    backlog = Backlog()
    for second in range(20_000):
        backlog.note_acknowledged(0, second, 10, float(second))
    assert backlog.waiting(20_000.0) == (200_000, 20_000.0)
    assert len(backlog._queues[0].samples) <= MAX_SAMPLES
    assert backlog.note_stored({0: 10_000}, 20_000.0) == 100_000


def test_a_partition_nobody_reads_is_left_out_while_others_move() -> None:
    backlog = Backlog()
    backlog.note_acknowledged(0, 0, 100, 0.0)
    late = STUCK_SECONDS + 5
    backlog.note_acknowledged(1, 0, 10, late - 1)
    assert backlog.waiting(late) == (10, 1.0)
    assert backlog.note_stored({0: 1}, late) == 100
    all_stuck = 2 * late
    assert backlog.waiting(all_stuck) == (10, all_stuck - late + 1)
