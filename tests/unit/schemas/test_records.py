"""What one process writes, another reads back; anything else is refused, not guessed at."""

from __future__ import annotations

import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockupaws.schemas.analysed import Source, source_of
from mockupaws.schemas.dead_letters import DeadLetter, decode_dead_letter, encode_dead_letter
from mockupaws.schemas.pii_types import PII_BIT, PII_TYPES, types_of_mask
from mockupaws.schemas.requests import (
    EARLIEST_US,
    LATEST_US,
    Entry,
    IngestRequest,
    decode_bundle,
    decode_request,
    encode_request,
    head_of_request,
    join_bundle,
    split_bundle,
)
from mockupaws.schemas.rollups import ROLLUP_METRICS, UNIT_OF

entries = st.builds(
    Entry,
    message=st.text(),
    timestamp_us=st.none() | st.integers(min_value=EARLIEST_US, max_value=LATEST_US),
    source=st.text(max_size=5),
    level=st.text(max_size=5),
    attributes=st.none() | st.dictionaries(st.text(max_size=3), st.integers(-5, 5) | st.text(max_size=3)),
)
requests = st.builds(
    IngestRequest,
    request_id=st.binary(min_size=16, max_size=16),
    tenant_id=st.binary(min_size=16, max_size=16),
    scenario_id=st.binary(min_size=16, max_size=16),
    received_at_us=st.integers(min_value=0, max_value=LATEST_US),
    body_hash=st.binary(min_size=16, max_size=16),
    entries=st.lists(entries, max_size=3),
)


@given(st.lists(requests, max_size=20))
def test_a_bundle_of_requests_comes_back_as_it_went(bundle: list[IngestRequest]) -> None:
    assert decode_bundle(join_bundle([encode_request(request) for request in bundle])) == bundle


@pytest.mark.parametrize("count", [15, 16, 255, 256, 65_535])
def test_a_bundle_holds_up_to_65535_requests(count: int) -> None:
    piece = encode_request(IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h", []))

    assert len(decode_bundle(join_bundle([piece] * count))) == count


@pytest.mark.parametrize("value", [b"", b"\xff", b"{}", b"\x91", b"\x91\x90", msgspec.msgpack.encode([[1, 2]])])
def test_what_is_no_bundle_is_refused(value: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_bundle(value)


def test_a_newer_writer_may_append_a_field() -> None:
    request = IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h", [Entry("m")])
    fields = msgspec.msgpack.decode(encode_request(request))

    assert decode_bundle(msgspec.msgpack.encode([[*fields, "new"]]))[0].entries == [Entry("m")]


def _letter(**changes: object) -> DeadLetter:
    letter = DeadLetter("analysis_failed", "analyse", "ValueError", "t", 1, 2, 3, "0", b"x", request_id=b"r" * 16)
    return msgspec.structs.replace(letter, **changes)


def test_a_dead_letter_comes_back_as_it_went() -> None:
    letter = _letter(entry_indexes=[1, 3], accepted=4)

    assert decode_dead_letter(encode_dead_letter(letter)) == letter


def test_a_repeated_failure_is_the_same_dead_letter_wherever_it_is_read() -> None:
    assert _letter().id == _letter(partition=9, offset=9, occurred_at_us=9).id
    assert _letter().id != _letter(reason="row_refused").id
    assert _letter(request_id=None).id != _letter(request_id=None, offset=9).id


def test_each_type_has_one_bit_and_a_rollup() -> None:
    assert len({*PII_BIT.values()}) == len(PII_TYPES)
    assert types_of_mask(PII_BIT["EMAIL"] | PII_BIT["PERSON"]) == ("EMAIL", "PERSON")
    assert all(("pii", name) in UNIT_OF for name in PII_TYPES)
    assert len(UNIT_OF) == len(ROLLUP_METRICS)


TOPIC_ID = uuid.UUID("019aafb0-1d80-7abc-8def-0123456789ab")


def test_the_headers_of_an_answer_name_its_source() -> None:
    headers = [("schema_version", b"1"), ("source", b"3:42"), ("source_topic_id", TOPIC_ID.bytes)]
    assert source_of(headers) == Source(TOPIC_ID, 3, 42)


@pytest.mark.parametrize("source", [b"", b"3", b"3:", b":4", b"-1:4", b"3:4:5", b"a:b", "３:４".encode()])
def test_headers_that_name_no_source_are_not_guessed_at(source: bytes) -> None:
    assert source_of([("source", source), ("source_topic_id", TOPIC_ID.bytes)]) is None


@pytest.mark.parametrize("topic_id", [b"", b"x" * 15])
def test_a_source_without_its_topics_id_is_none(topic_id: bytes) -> None:
    assert source_of([("source", b"3:42"), ("source_topic_id", topic_id)]) is None
    assert source_of([("source", b"3:42")]) is None


BAD_TEXT = encode_request(IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h", [Entry("good"), Entry("XXX")]))
NESTED = msgspec.msgpack.encode(
    [b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h", [["m", None, "", "", msgspec.Raw(b"\x81\xa1a" * 10_000 + b"\xc0")]]]
)


@pytest.mark.parametrize(
    "piece",
    [BAD_TEXT.replace(b"XXX", b"\xed\xa0\x80"), BAD_TEXT.replace(b"XXX", b"\xff\xff\xff")],
    ids=["lone surrogate", "no UTF-8"],
)
def test_a_request_whose_entries_cannot_be_read_is_refused_and_still_named(piece: bytes) -> None:
    good = encode_request(IngestRequest(b"g" * 16, b"t" * 16, b"s" * 16, 1, b"h", [Entry("m")]))
    bundle = join_bundle([good, piece])
    with pytest.raises(msgspec.DecodeError):
        decode_bundle(bundle)
    assert split_bundle(bundle) == [good, piece]
    with pytest.raises(msgspec.DecodeError):
        decode_request(piece)
    head = head_of_request(piece)
    assert head is not None
    assert (head.request_id, head.indexes, head.accepted) == (b"r" * 16, [0, 1], 2)


def test_nesting_without_end_makes_the_bundle_undecodable() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_bundle(join_bundle([NESTED]))
    with pytest.raises(msgspec.DecodeError):
        split_bundle(join_bundle([NESTED]))
    assert head_of_request(NESTED) is None


@pytest.mark.parametrize(
    ("indexes", "whole"), [([0], 5), ([0, 5], 5), ([-1, 0], 5)], ids=["too few", "beyond the end", "before the start"]
)
def test_a_part_names_each_of_its_entries(indexes: list[int], whole: int) -> None:
    part = IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h", [Entry("a"), Entry("b")], indexes, whole)
    with pytest.raises(msgspec.ValidationError):
        decode_bundle(join_bundle([encode_request(part)]))
    assert head_of_request(encode_request(part)) is None


@pytest.mark.parametrize("change", [{"request_id": b"short"}, {"received_at_us": -1}, {"received_at_us": 2**62}])
def test_what_no_row_could_hold_is_refused_when_it_is_read(change: dict[str, object]) -> None:
    request = IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h", [])
    with pytest.raises(msgspec.ValidationError):
        decode_bundle(join_bundle([encode_request(msgspec.structs.replace(request, **change))]))
