"""What each kind of record becomes: each request of it ends in an answer, however bad its neighbours are."""

from __future__ import annotations

import msgspec
import pytest

from mockupaws.schemas.analysed import AnalysedRequest, decode_analysed
from mockupaws.schemas.dead_letters import DeadLetter, decode_dead_letter
from mockupaws.schemas.requests import Entry, IngestRequest, decode_request, encode_request, join_bundle
from mockupaws.schemas.topics import ANALYSED
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.answer_record import SourceRecord, answer_records

ANALYSER = Analyser()
POISON = Entry("an ext type is no JSON", attributes={"x": msgspec.msgpack.Ext(5, b"raw")})


def request_of(*entries: Entry, number: int = 1) -> IngestRequest:
    return IngestRequest(number.to_bytes(16, "big"), b"t" * 16, b"s" * 16, 60_000_000, b"h" * 16, list(entries))


def answers_of(*pieces: bytes, version: bytes | None = b"1") -> tuple[list[AnalysedRequest], list[DeadLetter]]:
    [(answers, _)] = answer_records(ANALYSER, [SourceRecord("t", 1, 2, join_bundle(list(pieces)), version)], 5)
    analysed = [request for a in answers if a.topic is ANALYSED for request in decode_analysed(a.value)]
    return analysed, [decode_dead_letter(a.value) for a in answers if a.topic is not ANALYSED]


def test_a_bad_request_in_a_bundle_costs_its_neighbours_nothing() -> None:
    bad = encode_request(request_of(Entry("a"), Entry("XXX"), number=2)).replace(b"XXX", b"\xed\xa0\x80")
    analysed, letters = answers_of(encode_request(request_of(Entry("good"))), bad, b"\x91\x01", b"\x01")
    assert [request.lines.message for request in analysed] == [["good"]]
    assert [(letter.reason, letter.step, letter.accepted, letter.entry_indexes) for letter in letters] == [
        ("undecodable_record", "decode", 2, [0, 1]),
        ("undecodable_record", "decode", 0, []),
        ("undecodable_record", "decode", 0, []),
    ]
    assert letters[0].request_id == (2).to_bytes(16, "big")
    assert letters[0].original == bad
    assert letters[1].original == join_bundle([b"\x91\x01"])
    assert len({letter.id for letter in letters}) == 3
    assert letters[0].detail == "UnicodeDecodeError"


@pytest.mark.parametrize("version", [b"2", None, b"\xff"])
def test_a_letter_says_which_version_its_record_had(version: bytes | None) -> None:
    _, letters = answers_of(encode_request(request_of(Entry("a"))), version=version)
    assert letters[0].reason == "unknown_schema_version"
    assert letters[0].record_version == (None if version is None else version.decode("latin-1"))


def test_entries_that_fail_become_a_part_that_names_its_entries() -> None:
    analysed, letters = answers_of(encode_request(request_of(Entry("a"), POISON, Entry("c"), POISON)))
    assert [(request.lines.index, request.accepted, request.part) for request in analysed] == [([0, 2], 4, None)]
    part = decode_request(letters[0].original)
    assert (part.entries, part.entry_indexes, part.whole_entries) == ([POISON, POISON], [1, 3], 4)


def test_a_part_keeps_the_positions_of_its_request_and_counts_no_request() -> None:
    part = msgspec.structs.replace(
        request_of(Entry("a"), POISON, Entry("c")), entry_indexes=[3, 7, 9], whole_entries=12
    )
    analysed, letters = answers_of(encode_request(part))
    assert [(request.lines.index, request.accepted, request.part) for request in analysed] == [([3, 9], 12, [3, 7, 9])]
    assert {delta.metric_name for delta in analysed[0].deltas} >= {"entries", "bytes"}
    assert "requests" not in {delta.metric_name for delta in analysed[0].deltas}
    assert (letters[0].entry_indexes, letters[0].accepted) == ([7], 12)
    smaller = decode_request(letters[0].original)
    assert (smaller.entry_indexes, smaller.whole_entries) == ([7], 12)
    assert analysed[0].applied_key not in {smaller.request_id, part.request_id}


def test_a_request_of_which_all_fails_stays_whole() -> None:
    request = request_of(POISON, POISON)
    _, letters = answers_of(encode_request(request))
    assert letters[0].original == encode_request(request)
    assert letters[0].entry_indexes == [0, 1]


def test_records_answered_together_are_answered_as_each_alone() -> None:
    values = [
        join_bundle([encode_request(request_of(Entry("a"), POISON)), encode_request(request_of(Entry("b"), number=2))]),
        b"no bundle",
        join_bundle([encode_request(request_of(Entry("to ann@example.com"), number=3))]),
        join_bundle([encode_request(request_of(POISON, number=4)), b"\x01"]),
        join_bundle([]),
    ]
    records = [SourceRecord("t", 1, offset, value, b"1") for offset, value in enumerate(values)]
    records.append(SourceRecord("t", 1, 9, values[0], b"2"))
    together = answer_records(ANALYSER, records, 5)
    assert together == [answered for record in records for answered in answer_records(ANALYSER, [record], 5)]
    assert [outcomes for _, outcomes in together] == [
        [None, None],
        ["undecodable_record"],
        [None],
        ["analysis_failed", "undecodable_record"],
        [],
        ["unknown_schema_version"],
    ]
