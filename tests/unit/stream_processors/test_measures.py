"""SQS blocks as AWS bills them, rollups that can be merged in any order."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockupaws.schemas.analysed import Delta, LineColumns
from mockupaws.schemas.pii_types import PII_BIT
from mockupaws.schemas.rollups import SIZE_BUCKETS, UNIT_OF
from mockupaws.stream_processors.count_sqs_blocks import count_batched_requests, count_sqs_blocks
from mockupaws.stream_processors.roll_up import merge, roll_up


@pytest.mark.parametrize(
    ("size", "blocks"), [(0, 1), (1, 1), (65_535, 1), (65_536, 1), (65_537, 2), (131_072, 2), (131_073, 3)]
)
def test_each_started_64_kib_is_a_block(size: int, blocks: int) -> None:
    assert count_sqs_blocks([size]) == [blocks]
    assert count_sqs_blocks([size, 70_000]) == [blocks, 2]


def _hand_batched(sizes: list[int], batch: int) -> int:
    """Calls as a sender would make them, one message after the other."""
    calls: list[list[int]] = []
    for size in sizes:
        if calls and len(calls[-1]) < batch and sum(calls[-1]) + size <= 2**20:
            calls[-1].append(size)
        else:
            calls.append([size])
    return sum(max(1, ceil(sum(call) / 65_536)) for call in calls)


@given(
    st.lists(st.integers(0, 2000), max_size=60)
    | st.lists(st.integers(0, 70_000), max_size=40)
    | st.lists(st.integers(0, 300_000) | st.sampled_from([0, 65_536, 65_537, 2**20, 2**20 + 1]), max_size=30)
)
def test_batches_cost_what_a_hand_counts_in_the_order_of_arrival(sizes: list[int]) -> None:
    assert count_batched_requests(sizes) == {batch: _hand_batched(sizes, batch) for batch in range(2, 11)}


def test_ten_messages_of_a_call_share_its_chunks() -> None:
    assert count_batched_requests([6_553] * 10)[10] == 1
    assert count_batched_requests([6_554] * 10)[10] == 2
    assert count_batched_requests([200_000] * 10)[10] == ceil(1_000_000 / 65_536) * 2  # five fill a call of 1 MiB


def _columns(sizes: list[int], masks: list[int]) -> LineColumns:
    count = len(sizes)
    texts = [""] * count
    return LineColumns(
        list(range(count)), texts, [b""] * count, [None] * count, texts, texts, [None] * count, sizes, [3] * count,
        count_sqs_blocks(sizes), masks,
    )  # fmt: skip


def test_a_request_adds_to_the_metrics_of_its_minute() -> None:
    masks = [0, PII_BIT["EMAIL"], PII_BIT["EMAIL"] | PII_BIT["IPV4"], 0]
    deltas = roll_up(119_999_999, _columns([0, 64, 65, 70_000], masks))
    assert {delta.metric_name: delta.counts for delta in deltas if delta.counts} == {
        "entries": {59: 4},
        "bytes": {0: 1, 48: 2, 209: 1},  # 64 and 65 share a bucket; 70,000 is in that of 69,632 to 73,727
        "tokens": {3: 4},
        "blocks": {2: 3, **dict.fromkeys(range(3, 4), 3), **dict.fromkeys(range(4, 11), 2)},
    }
    assert {(delta.minute, delta.metric_type, delta.metric_name): delta.value for delta in deltas} == {
        (60, "ingest", "requests"): 1,
        (60, "ingest", "entries"): 4,
        (60, "ingest", "bytes"): 70_129,
        (60, "bedrock", "tokens"): 12,
        (60, "sqs", "blocks"): 5,
        (60, "pii", "entries"): 2,
        (60, "pii", "EMAIL"): 2,
        (60, "pii", "IPV4"): 1,
        (60, "size", "64"): 2,
        (60, "size", "128"): 1,
        (60, "size", "131072"): 1,
    }


@given(st.lists(st.integers(0, 2000) | st.integers(0, 2**22), min_size=1, max_size=30))
def test_each_entry_counts_below_the_least_bound_that_holds_it(sizes: list[int]) -> None:
    deltas = roll_up(1, _columns(sizes, [0] * len(sizes)))
    expected: dict[str, int] = {}
    for size in sizes:
        bound = str(next((bound for bound in SIZE_BUCKETS if size <= bound), SIZE_BUCKETS[-1]))
        expected[bound] = expected.get(bound, 0) + 1
    shown = [(delta.metric_name, delta.value) for delta in deltas if delta.metric_type == "size"]
    assert shown == list(expected.items())


def test_a_request_without_lines_adds_nothing() -> None:
    assert roll_up(0, _columns([], [])) == []


@given(st.lists(st.tuples(st.integers(0, 12_000_000), st.integers(0, 2**24 - 1)), min_size=1))
def test_every_delta_is_of_the_catalogue_and_the_histogram_holds_every_entry(lines: list[tuple[int, int]]) -> None:
    deltas = roll_up(0, _columns([size for size, _ in lines], [mask for _, mask in lines]))
    assert all((delta.metric_type, delta.metric_name) in UNIT_OF for delta in deltas)
    assert sum(delta.value for delta in deltas if delta.metric_type == "size") == len(lines)
    for delta in deltas:
        if delta.metric_name in ("entries", "bytes", "tokens") and delta.metric_type != "pii":
            assert sum((delta.counts or {}).values()) == len(lines)


_DELTAS = st.lists(
    st.builds(
        Delta,
        minute=st.sampled_from([0, 60]),
        metric_type=st.sampled_from(["ingest", "pii"]),
        metric_name=st.sampled_from(["entries", "EMAIL"]),
        value=st.integers(1, 9),
        counts=st.none() | st.dictionaries(st.integers(0, 9), st.integers(1, 9), min_size=1, max_size=4),
    ),
    max_size=8,
)


@given(_DELTAS, _DELTAS, _DELTAS)
def test_merging_is_associative_and_commutative(a: list[Any], b: list[Any], c: list[Any]) -> None:
    assert merge(merge(a + b) + c) == merge(a + merge(b + c)) == merge(c + b + a)
    assert merge(merge(a)) == merge(a)
