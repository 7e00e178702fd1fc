"""A request's columns: one value a line, sizes as sent, text redacted, the same in a batch as alone."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockupaws.schemas.analysed import decode_analysed, encode_analysed
from mockupaws.schemas.requests import Entry, IngestRequest
from mockupaws.schemas.token_encodings import TokenEncoding
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.policies.apply_policy import CompiledPolicy
from mockupaws.stream_processors.policies.document import read_policy

_ANALYSER = Analyser()


def _request(entries: list[Entry]) -> IngestRequest:
    return IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 60_000_000, b"h" * 16, entries)


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["bob@example.com", "\0", "é 10.0.0.1 é", "password=x1 é b@c.de", "4111111111111111", "a\0b@c.de"]
)
_ENTRIES = st.builds(
    Entry,
    message=st.lists(_TEXTS, max_size=3).map(" ".join),
    timestamp_us=st.none() | st.integers(0, 2**50),
    source=_TEXTS,
    level=st.sampled_from(["", "info", "bob@example.com"]),
    attributes=st.none() | st.dictionaries(_TEXTS, _TEXTS | st.integers(0, 2**60), max_size=2),
)


@settings(max_examples=200)
@given(st.lists(_ENTRIES, max_size=6))
def test_a_batch_gives_what_each_entry_gives_alone(entries: list[Entry]) -> None:
    lines = _ANALYSER.analyse_request(_request(entries)).lines
    columns: list[list[Any]] = [getattr(lines, name) for name in lines.__struct_fields__]
    assert {len(column) for column in columns} == {len(entries)}
    for position, entry in enumerate(entries):
        alone = _ANALYSER.analyse_entry(entry)
        assert [column[position] for column in columns[1:]] == [
            getattr(alone, name) for name in lines.__struct_fields__[1:]
        ]
        assert lines.message_hash[position] == hashlib.sha256(lines.message[position].encode()).digest()
        assert "\0" not in lines.message[position] + lines.source[position] + (lines.attributes[position] or "")
        for finding in alone.findings:
            assert 0 <= finding.start < finding.end <= len(entry.message)


_POLICIES = [
    CompiledPolicy(read_policy(document), number, None)
    for number, document in enumerate(
        [
            {},
            {"actions": {"EMAIL": "drop_line"}, "shadow": {"actions": {"IPV4": "drop"}, "rules": ["card.named"]}},
            {"persons": {"share": 0.5}},
        ]
    )
]


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.lists(_ENTRIES, max_size=3),
            st.sampled_from(_POLICIES),
            st.sampled_from(["cl100k_base", "o200k_base"]),
            st.binary(min_size=16, max_size=16),
            st.booleans(),
        ),
        max_size=6,
    )
)
def test_requests_together_give_what_each_gives_alone(
    drawn: list[tuple[list[Entry], CompiledPolicy, TokenEncoding, bytes, bool]],
) -> None:
    requests = []
    for entries, policy, encoding, request_id, is_part in drawn:
        request = msgspec.structs.replace(_request(entries), request_id=request_id, token_encoding=encoding)
        if is_part:
            indexes = [3 * position + 1 for position in range(len(entries))]
            request = msgspec.structs.replace(request, entry_indexes=indexes, whole_entries=20)
        requests.append((request, policy))
    assert _ANALYSER.analyse_requests(requests) == [_ANALYSER.analyse_request(*one) for one in requests]


def test_many_lines_of_many_requests_are_told_apart() -> None:
    requests = [
        (_request([Entry(f"{n} of {k} for ann{n}@example.com") for n in range(k)]), _POLICIES[0])
        for k in (1500, 1, 700)
    ]
    together = _ANALYSER.analyse_requests(requests)
    assert [request.lines.message for request in together] == [
        [f"{n} of {k} for [EMAIL]" for n in range(k)] for k in (1500, 1, 700)
    ]


def test_sizes_and_tokens_are_of_the_payload_as_sent() -> None:
    plain, nul = Entry("é bob@example.com"), Entry("a\0b", attributes={"k": "v"})
    lines = _ANALYSER.analyse_request(_request([plain, nul, Entry(""), Entry("x" * 70_000)])).lines
    assert lines.size_bytes == [18, 3 + len('{"k":"v"}'), 0, 70_000]
    assert lines.sqs_blocks == [1, 1, 1, 2]
    assert lines.message[1] == "a␀b"
    assert lines.token_count[2] == 0


def test_findings_are_in_characters_of_the_message_as_sent() -> None:
    message = "é\0漢 bob@example.com, 🙂 10.0.0.1"
    found = _ANALYSER.analyse_entry(Entry(message)).findings
    assert [(f.type, message[f.start : f.end]) for f in found] == [("EMAIL", "bob@example.com"), ("IPV4", "10.0.0.1")]


def test_what_stands_behind_an_escape_in_attributes_is_found() -> None:
    entry = _ANALYSER.analyse_entry(Entry("m", attributes={"log": "a\nAKIAIOSFODNN7EXAMPLE", "nul": "\0"}))
    assert entry.attributes == '{"log":"a\\n[AWS_ACCESS_KEY]","nul":"␀"}'


def test_source_and_level_are_redacted_too() -> None:
    entry = _ANALYSER.analyse_entry(Entry("m", source="bob@example.com", level="10.0.0.1"))
    assert (entry.source, entry.level) == ("[EMAIL]", "[IPV4]")
    assert entry.pii_mask != 0


def test_half_surrogate_pairs_are_replaced_so_that_the_record_can_be_written() -> None:
    request = _ANALYSER.analyse_request(_request([Entry("half \ud83d pair"), Entry("bob@example.com")]))
    assert decode_analysed(encode_analysed([request]))[0].lines.message == ["half � pair", "[EMAIL]"]


def test_a_step_that_raises_raises_out_of_the_request() -> None:
    def refuse(texts: object, encoding: object) -> list[int]:
        raise KeyError(texts)

    with pytest.raises(KeyError):
        Analyser(count_tokens=refuse).analyse_request(_request([Entry("x")]))
