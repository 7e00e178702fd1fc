"""Every golden record of every version can be read, and this release still writes the newest byte for byte.

A change of a schema adds an example; examples are never edited. A field that is appended keeps the version: v1.1 stands
for version 1 with the first fields appended.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import msgspec
import pytest

import mockupaws.schemas
from mockupaws.schemas.analysed import AnalysedRequest, decode_analysed, encode_analysed
from mockupaws.schemas.dead_letters import DeadLetter, decode_dead_letter, encode_dead_letter
from mockupaws.schemas.requests import Entry, IngestRequest, decode_bundle, encode_request, join_bundle
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.policies.apply_policy import CompiledPolicy
from mockupaws.stream_processors.policies.document import read_policy

EXAMPLES = Path(mockupaws.schemas.__file__).parent / "examples"

REQUEST = IngestRequest(
    request_id=uuid.UUID("019aafb0-1d80-7abc-8def-0123456789ab").bytes,
    tenant_id=uuid.UUID("019aafb0-0000-7000-8000-000000000001").bytes,
    scenario_id=uuid.UUID("019aafb0-0000-7000-8000-000000000002").bytes,
    received_at_us=1_763_950_000_123_456,
    body_hash=bytes(range(16)),
    entries=[
        Entry("login of bob@example.com from 203.0.113.7", 1_763_949_999_000_000, "auth", "INFO"),
        Entry("é\0: card 4111 1111 1111 1111", None, "billing", "", {"password": "hunter2", "n": 1}),
    ],
)


POLICY = CompiledPolicy(read_policy({"actions": {"IPV4": "flag"}, "shadow": {"actions": {"EMAIL": "drop"}}}), 3, None)


def written() -> list[AnalysedRequest]:
    analyser = Analyser()
    plain = [analyser.analyse_request(request) for request in (REQUEST, PART)]
    return [*plain, analyser.analyse_request(REQUEST, POLICY)]


PART = msgspec.structs.replace(REQUEST, entries=REQUEST.entries[1:], entry_indexes=[1], whole_entries=2)

LETTER = DeadLetter(
    reason="analysis_failed",
    step="analyse",
    detail="TypeError at mockupaws.stream_processors.analyse_entries:1",
    topic="ingest.requests",
    partition=3,
    offset=42,
    occurred_at_us=1_763_950_001_000_000,
    software_version="0.1.0",
    original=encode_request(PART),
    request_id=REQUEST.request_id,
    tenant_id=REQUEST.tenant_id,
    scenario_id=REQUEST.scenario_id,
    accepted=2,
    entry_indexes=[1],
    received_at_us=REQUEST.received_at_us,
    record_version="1",
)


def test_examples_of_before_a_field_was_appended_say_the_same() -> None:
    assert decode_bundle((EXAMPLES / "ingest.requests.v1.bundle.msgpack").read_bytes()) == [REQUEST]
    assert decode_analysed((EXAMPLES / "logs.analysed.v1.request.msgpack").read_bytes()) == [
        without_counts(written()[0])
    ]
    assert decode_bundle((EXAMPLES / "ingest.requests.v1.1.bundle.msgpack").read_bytes()) == [REQUEST, PART]
    before = decode_analysed((EXAMPLES / "logs.analysed.v1.1.request.msgpack").read_bytes())
    assert before == [without_counts(request) for request in written()[:2]]
    before = decode_analysed((EXAMPLES / "logs.analysed.v1.2.request.msgpack").read_bytes())
    assert before == written()[:2]


def without_counts(request: AnalysedRequest) -> AnalysedRequest:
    deltas = [msgspec.structs.replace(delta, counts=None) for delta in request.deltas]
    return msgspec.structs.replace(request, deltas=deltas)


def test_the_newest_bundle_is_what_is_written_today() -> None:
    golden = (EXAMPLES / "ingest.requests.v1.2.bundle.msgpack").read_bytes()
    assert decode_bundle(golden) == [REQUEST, PART]
    assert join_bundle([encode_request(REQUEST), encode_request(PART)]) == golden


def test_the_newest_analysed_record_is_what_is_written_today() -> None:
    golden = (EXAMPLES / "logs.analysed.v1.3.request.msgpack").read_bytes()
    assert decode_analysed(golden) == written()
    assert encode_analysed(written()) == golden


def test_the_newest_dead_letter_is_what_is_written_today() -> None:
    golden = (EXAMPLES / "ingest.dead_letters.v1.2.entry.msgpack").read_bytes()
    assert decode_dead_letter(golden) == LETTER
    assert encode_dead_letter(LETTER) == golden
    assert str(LETTER.id) == "8231beab-19d5-16e5-a06e-8fcdb6f8dbfa"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("logs.analysed.*.msgpack")), ids=lambda path: path.name)
def test_each_analysed_example_has_columns_of_one_length(path: Path) -> None:
    for request in decode_analysed(path.read_bytes()):
        lengths = {len(getattr(request.lines, column)) for column in request.lines.__struct_fields__}
        assert lengths == {len(request.lines.index)}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("ingest.dead_letters.*.msgpack")), ids=lambda path: path.name)
def test_each_dead_letter_example_holds_the_entries_it_names(path: Path) -> None:
    letter = decode_dead_letter(path.read_bytes())
    if letter.request_id is not None:
        request = msgspec.msgpack.decode(letter.original, type=IngestRequest)
        assert len(request.entries) == len(letter.entry_indexes)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("ingest.requests.*.msgpack")), ids=lambda path: path.name)
def test_each_example_of_a_bundle_can_be_analysed(path: Path) -> None:
    analyser = Analyser()
    for request in decode_bundle(path.read_bytes()):
        assert analyser.analyse_request(request).lines.index == request.indexes
