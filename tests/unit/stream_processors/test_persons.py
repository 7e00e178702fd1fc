"""Names of persons: found where they were asked for, and nowhere else."""

from __future__ import annotations

import uuid

import pytest

from mockupaws.schemas.pii_types import PII_BIT, types_of_mask
from mockupaws.schemas.requests import Entry, IngestRequest
from mockupaws.stream_processors.analyse_entries import AnalysedEntry, Analyser
from mockupaws.stream_processors.detect_pii.person import find_persons
from mockupaws.stream_processors.detect_pii.person_rules import PERSON, PERSON_RULES
from mockupaws.stream_processors.policies.apply_policy import DEFAULT_POLICY, CompiledPolicy
from mockupaws.stream_processors.policies.document import PolicyError, read_policy
from mockupaws.stream_processors.policies.tenant_keys import TenantKey
from tests.accuracy.corpus import FOLDER, read

ANALYSER = Analyser()
KEY = TenantKey(1, b"k" * 32)
ALL = CompiledPolicy(read_policy({"persons": {"share": 1}}), 1, None)


def analysed(entry: Entry, policy: CompiledPolicy = ALL) -> AnalysedEntry:
    return ANALYSER.analyse_entry(entry, policy)


@pytest.mark.parametrize(("text", "value"), PERSON.positives)
def test_positive_examples_are_found_exactly(text: str, value: str) -> None:
    data = text.encode()
    assert [data[found.start : found.end].decode() for found in find_persons(data)] == [value]
    assert {found.rule for found in find_persons(data)} <= set(PERSON_RULES)


@pytest.mark.parametrize("text", PERSON.negatives)
def test_negative_examples_are_not(text: str) -> None:
    assert find_persons(text.encode()) == []


def test_who_did_not_ask_is_not_looked_at() -> None:
    entry = Entry("Dear Maria Rossi", attributes={"customer": {"name": "John Smith"}})
    assert analysed(entry, DEFAULT_POLICY).message == "Dear Maria Rossi"
    made = analysed(entry)
    assert (made.message, made.attributes) == ("Dear [PERSON]", '{"customer":{"name":"[PERSON]"}}')
    assert types_of_mask(made.pii_mask) == ("PERSON",)
    assert [(found.type, found.start, found.end, found.version) for found in made.findings] == [("PERSON", 5, 16, 1)]


def test_offsets_are_in_characters_and_a_name_gives_way_to_what_else_is_found() -> None:
    made = analysed(Entry("é Herr Müller; From: Anna Schmidt <anna@example.com>; https://Anna:Hx71-kk@example.com"))
    assert made.message == "é Herr [PERSON]; From: [PERSON] <[EMAIL]>; https://[URL_CREDENTIALS]@example.com"
    assert [(f.type, f.start, f.end) for f in made.findings][:2] == [("PERSON", 7, 13), ("PERSON", 21, 33)]


def test_actions_hold_for_names_too() -> None:
    policy = CompiledPolicy(read_policy({"persons": {"share": 1}, "actions": {"PERSON": "hash"}}), 1, KEY)
    one, same = (analysed(Entry(f"Dear {name},"), policy).message for name in ("Maria Rossi", "Maria Rossi"))
    assert one == same == f"Dear [PERSON:h:{KEY.digest('PERSON', 'maria  rossi')}],"
    flagged = CompiledPolicy(read_policy({"persons": {"share": 1}, "actions": {"PERSON": "flag"}}), 1, None)
    assert analysed(Entry("Dear Maria Rossi,"), flagged).message == "Dear Maria Rossi,"


def test_a_share_is_of_the_requests_and_the_same_request_is_always_treated_alike() -> None:
    policy = CompiledPolicy(read_policy({"persons": {"share": 0.25}}), 1, None)
    requests = [
        IngestRequest(
            uuid.UUID(int=n).bytes, b"t" * 16, b"s" * 16, 1_795_000_000_000_000, b"h" * 16, [Entry("Dear Ann Lee,")]
        )
        for n in range(400)
    ]
    masks = [ANALYSER.analyse_request(request, policy).lines.pii_mask for request in requests]
    assert masks == [ANALYSER.analyse_request(request, policy).lines.pii_mask for request in requests]
    assert {mask for [mask] in masks} == {0, PII_BIT["PERSON"]}
    assert 60 < sum(mask != 0 for [mask] in masks) < 140


def test_redacted_twice_is_redacted_once() -> None:
    lines = read(FOLDER / "person.jsonl")
    once = [made.message for made in ANALYSER.analyse_entries([Entry(line.text) for line in lines], ALL)]
    assert [made.message for made in ANALYSER.analyse_entries([Entry(text) for text in once], ALL)] == once


@pytest.mark.parametrize("share", [0, 1.01, -1, "all"])
def test_a_share_is_above_0_and_at_most_1(share: object) -> None:
    with pytest.raises(PolicyError, match="share"):
        read_policy({"persons": {"share": share}})


@pytest.mark.parametrize("data", [b"", b"\xff\xfe Mr. Smith", b"A" * 100_000, b"Aa " * 50_000, b"Mr. " * 50_000])
def test_odd_bytes_end_and_end_soon(data: bytes) -> None:
    assert len(find_persons(data)) <= len(data)
