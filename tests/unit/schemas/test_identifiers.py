"""Identifiers stay the same for the same request, and sort as the lines did."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from mockupaws.schemas.identifiers import (
    EntryIds,
    body_hash,
    id_text,
    in_partition,
    new_id_bytes,
    new_request_id,
    partition_of,
    request_id_of_key,
)

ANY_TIME_US = st.integers(min_value=0, max_value=(1 << 48) * 1000 - 1)
ANY_REQUEST = st.binary(min_size=16, max_size=16)


@given(ANY_TIME_US, st.binary(min_size=10, max_size=10))
def test_a_request_id_is_a_uuid7_of_its_time(now_us: int, randomness: bytes) -> None:
    request_id = new_request_id(now_us, randomness)

    assert (request_id.version, request_id.variant) == (7, uuid.RFC_4122)
    assert request_id.int >> 80 == now_us // 1000


def test_randomness_tells_requests_of_one_instant_apart() -> None:
    assert len({new_request_id(1, bytes([n]) * 10) for n in range(256)}) == 256


@given(ANY_REQUEST, ANY_TIME_US)
def test_entry_ids_are_uuid7_unique_and_in_the_order_of_the_entries(request_id: bytes, received_at_us: int) -> None:
    ids = EntryIds(request_id, received_at_us)
    made = [ids[index] for index in (0, 1, 2, 127, 128, 9_999, 16_383)]

    assert made == sorted(set(made))
    for raw in made:
        entry_id = uuid.UUID(bytes=raw)
        assert (entry_id.version, entry_id.variant) == (7, uuid.RFC_4122)
        assert entry_id.int >> 80 == received_at_us // 1000


def test_an_entry_keeps_its_id_and_shares_it_with_no_other_request() -> None:
    one, again, other = EntryIds(b"a" * 16, 5_000), EntryIds(b"a" * 16, 5_000), EntryIds(b"b" * 16, 5_000)

    assert one[7] == again[7]
    assert one[7] != other[7]


def test_a_key_names_one_request_of_one_tenant() -> None:
    tenant, neighbour = uuid.UUID(int=1), uuid.UUID(int=2)

    assert request_id_of_key(tenant, "k") == request_id_of_key(tenant, "k")
    assert request_id_of_key(tenant, "k") != request_id_of_key(neighbour, "k")
    assert request_id_of_key(tenant, "k").version == 5


def test_a_body_sent_to_another_scenario_is_another_body() -> None:
    assert body_hash(b"s" * 16, b"{}") != body_hash(b"t" * 16, b"{}")
    assert body_hash(b"s" * 16, b"{}") != body_hash(b"s" * 16, b"{ }")


def test_requests_spread_over_the_partitions() -> None:
    counts = [0] * 4
    for number in range(4_000):
        counts[partition_of(new_request_id(1_000_000, number.to_bytes(10, "big")).bytes, 4)] += 1

    assert min(counts) > 800


@given(st.binary(min_size=10, max_size=10), st.integers(1, 1000), st.data())
def test_an_id_is_minted_for_the_partition_wanted(randomness: bytes, partitions: int, data: st.DataObject) -> None:
    partition = data.draw(st.integers(0, partitions - 1))
    minted = new_id_bytes(1_000_000, randomness)
    moved = in_partition(minted, partition, partitions)

    assert partition_of(moved, partitions) == partition
    assert moved[:14] == minted[:14]
    as_uuid = uuid.UUID(bytes=moved)
    assert (as_uuid.version, as_uuid.variant) == (7, uuid.RFC_4122)
    assert id_text(moved) == str(as_uuid)
