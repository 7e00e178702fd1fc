"""Records are handed back in source order, each once, and only when all their answers are durable."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mockupaws.stream_processors.ack_order import AckOrder


def test_a_record_waits_for_each_one_before_it() -> None:
    order: AckOrder[str] = AckOrder()
    first, second, third = order.open(0, "a", 1), order.open(0, "b", 2), order.open(0, "c", 1)
    assert order.answered(third) == []
    assert order.answered(second) == []
    assert order.oldest() == ["a"]
    assert order.answered(first) == ["a"]
    assert order.answered(second) == ["b", "c"]
    assert order.oldest() == []


def test_partitions_do_not_wait_for_each_other() -> None:
    order: AckOrder[str] = AckOrder()
    order.open(0, "a", 1)
    other = order.open(1, "b", 1)
    assert order.answered(other) == ["b"]


@given(st.data(), st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), max_size=30))
def test_any_order_of_answers_gives_source_order(data: st.DataObject, records: list[tuple[int, int]]) -> None:
    order: AckOrder[int] = AckOrder()
    pending = [order.open(partition, number, answers) for number, (partition, answers) in enumerate(records)]
    outstanding = [one for one, (_, answers) in zip(pending, records, strict=True) for _ in range(answers)]
    acknowledged: list[int] = []
    for one in data.draw(st.permutations(outstanding)):
        ready = order.answered(one)
        assert all(pending[number].waiting == 0 for number in ready)
        acknowledged += ready
    assert sorted(acknowledged) == list(range(len(records)))
    for partition in range(3):
        mine = [number for number in acknowledged if records[number][0] == partition]
        assert mine == sorted(mine)
