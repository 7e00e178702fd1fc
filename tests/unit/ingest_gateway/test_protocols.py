"""Bodies → entries: a bad entry is rejected alone, a bad body is refused with what is wrong."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.ingest_gateway.protocols.decoded import Decoded, EntryLimits
from mockupaws.ingest_gateway.protocols.native_json import decode_json, replace_lone_surrogates
from mockupaws.ingest_gateway.protocols.ndjson import decode_ndjson, scenario_of
from mockupaws.ingest_gateway.timestamps import TimestampRange
from mockupaws.schemas.requests import Entry, IngestRequest, decode_bundle, encode_request, join_bundle

SCENARIO = UUID(int=2)
NOW_US = 1_790_000_000_000_000
LIMITS = EntryLimits(10_000, 1024, TimestampRange.at(NOW_US, 2000, 86_400))


def in_json(logs: str) -> bytes:
    return f'{{"scenario_id":"{SCENARIO}","logs":{logs}}}'.encode("utf-8", "surrogatepass")


def decoded(logs: str) -> Decoded:
    return decode_json(in_json(logs), LIMITS)


def refusal(body: bytes) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        decode_json(body, LIMITS)
    return caught.value


def test_all_fields() -> None:
    found = decoded(
        '[{"message":"m","timestamp":"2026-01-01T00:00:00+01:00","source":"s","level":"l","attributes":{"a":[1,{}]}}]'
    )
    assert found == Decoded(SCENARIO, [Entry("m", 1_767_222_000_000_000, "s", "l", {"a": [1, {}]})], [])


@pytest.mark.parametrize(
    ("bad", "code", "message"),
    [
        ('{"message":1}', "invalid_field", "message: Expected `str`, got `int`"),
        ("{}", "invalid_field", "Object missing required field `message`"),
        ("7", "invalid_field", "Expected `object`, got `int`"),
        ('{"message":"m","attributes":{"a":99999999999999999999}}', "number_out_of_range", "attributes: "),
        ('{"message":"m","attributes":' + '{"a":' * 40 + "1" + "}" * 41, "attributes_too_deep", "attributes: "),
        ('{"message":"' + "é" * 600 + '"}', "message_too_large", "message: "),
        ('{"message":"m","attributes":{"a":"' + "x" * 1100 + '"}}', "entry_too_large", "attributes: "),
        ('{"message":"m","timestamp":0}', "timestamp_out_of_range", "timestamp: before"),
        ('{"message":"m","timestamp":"1970-01-01T00:00:00Z"}', "timestamp_out_of_range", "timestamp: before"),
        ('{"message":"m","timestamp":"2100-01-01T00:00:00Z"}', "timestamp_out_of_range", "timestamp: too far"),
        ('{"message":"m","timestamp":"yesterday"}', "invalid_field", "timestamp: Invalid RFC3339"),
        ('{"message":"m","timestamp":true}', "invalid_field", "timestamp: Expected"),
    ],
)
def test_a_bad_entry_is_rejected_alone(bad: str, code: str, message: str) -> None:
    for found in (
        decoded(f'[{{"message":"before"}},{bad},{{"message":"after"}}]'),
        decode_ndjson(f'{{"message":"before"}}\n{bad}\n{{"message":"after"}}\n'.encode(), SCENARIO, LIMITS),
    ):
        assert [entry.message for entry in found.entries] == ["before", "after"]
        assert [(rejection.index, rejection.code) for rejection in found.rejected] == [(1, code)]
        assert found.rejected[0].message.startswith(message)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"", "malformed_body", "no JSON"),
        (b'{"scenario_id"', "malformed_body", "no JSON"),
        (b"[]", "invalid_request", "Expected `object`"),
        (b"{}", "invalid_request", "`scenario_id`"),
        (b'{"scenario_id":"x","logs":[]}', "invalid_request", "scenario_id: Invalid UUID"),
        (in_json("{}"), "invalid_request", "logs: Expected `array`"),
        (in_json('[],"log":1'), "invalid_request", "unknown field `log`"),
        (in_json("[]"), "no_entries", "no entry"),
        (in_json("[" + ",".join(['{"message":""}'] * 10_001) + "]"), "too_many_entries", "10000"),
        (in_json("[" + ",".join(["1"] * 10_001) + "]"), "too_many_entries", "10000"),
        (in_json('[{"message":NaN}]'), "malformed_body", "no JSON"),
        (in_json('[{"message":"a"}]').replace(b'"a"', b'"\xff"'), "malformed_body", "bad byte at 74"),
        (b"[" * 100_000, "invalid_request", "Expected `object`"),
        (b'{"x":' * 100_000, "invalid_request", "unknown field `x`"),
    ],
)
def test_a_bad_body_is_refused(body: bytes, code: str, message: str) -> None:
    error = refusal(body)
    assert (error.kind.code, 400 <= error.kind.status < 500) == (code, True)
    assert message in error.message


def test_what_is_kept() -> None:
    assert decoded('[{"message":"a\\u0000b"}]').entries[0].message == "a\0b"  # the analysis step replaces it
    assert decoded('[{"message":"a","message":"b","unknown":1}]').entries[0].message == "b"
    assert decoded('[{"message":"","source":null}]').entries == [Entry("")]
    assert decode_json(b"\xef\xbb\xbf" + in_json('[{"message":"bom"}]'), LIMITS).entries[0].message == "bom"
    assert decoded(r'[{"message":"cut \ud83d"},{"message":"\ud83d\ude00"}]').entries == [
        Entry("cut \ufffd"),
        Entry("😀"),
    ]


def test_ndjson_lines() -> None:
    body = b'\xef\xbb\xbf{"message":"a"}\r\n\r\n{"message":"b \xff"}\n{"message":"c"} {"message":"d"}\n{"message":'
    found = decode_ndjson(body, SCENARIO, LIMITS)
    assert [entry.message for entry in found.entries] == ["a", "b \ufffd"]
    assert [(rejection.index, rejection.code) for rejection in found.rejected] == [
        (2, "malformed_entry"),
        (3, "malformed_entry"),
    ]
    with pytest.raises(RefusedError, match="no entry"):
        decode_ndjson(b"\n\n", SCENARIO, LIMITS)
    with pytest.raises(RefusedError, match="10000"):
        decode_ndjson(b"x\n" * 10_001, SCENARIO, LIMITS)
    for missing in (None, "", "x"):
        with pytest.raises(RefusedError, match="scenario_id: "):
            scenario_of(missing)


def test_endless_nesting() -> None:
    deep = '{"message":"m","x":' + "[" * 10_000 + "]" * 10_000 + "}"
    assert refusal(in_json(f"[{deep}]")).message == "the body is too deeply nested"
    found = decode_ndjson(f'{deep}\n{{"message":"after"}}'.encode(), SCENARIO, LIMITS)
    assert ([rejection.code for rejection in found.rejected], found.entries) == (["too_deep"], [Entry("after")])


def test_an_object_over_two_lines_is_no_entry() -> None:
    found = decode_ndjson(b'{"message":"a"\n,"source":"b"}\n{"message":"c"} {"message":"d"}\n', SCENARIO, LIMITS)
    assert found.entries == []
    assert len(found.rejected) == 3


@given(st.text())
def test_any_json_text_survives(message: str) -> None:
    # json.dumps escapes lone surrogates; each becomes U+FFFD, and nothing else changes.
    expected = message.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    found = decoded("[" + json.dumps({"message": message}) + "]") if len(message) < 100 else None
    assert found is None or found.entries[0].message == expected


@given(st.text(alphabet='\\ud8c0"x'))
def test_only_lone_halves_are_replaced(text: str) -> None:
    escaped = json.dumps(text).encode()
    assert replace_lone_surrogates(escaped) == escaped


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        st.builds(
            lambda m, a: {"message": m, "attributes": a},
            st.text(max_size=50),
            st.dictionaries(st.text(max_size=5), _JSON, max_size=3),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_accepted_entries_can_be_published(logs: list[dict[str, object]]) -> None:
    entries = decoded(json.dumps(logs)).entries
    request = IngestRequest(b"r" * 16, b"t" * 16, SCENARIO.bytes, NOW_US, b"h" * 16, entries)
    assert decode_bundle(join_bundle([encode_request(request)])) == [request]


_ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**66), 2**66)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"message": st.text()},
            optional={
                "timestamp": st.none() | st.integers(-1, NOW_US * 1001) | st.floats(0, 1e16),
                "source": st.none() | st.text(),
                "level": st.none() | st.text(),
                "attributes": st.none() | st.dictionaries(st.text(), _ANY_JSON, max_size=3),
            },
        ),
        min_size=1,
        max_size=4,
    )
)
def test_entries_decoded_at_once_are_those_decoded_one_by_one(logs: list[dict[str, object]]) -> None:
    """A bad entry beside them sends all the others the other way."""
    at_once = decoded(json.dumps(logs))
    one_by_one = decoded(json.dumps([*logs, {"message": 1}]))
    assert one_by_one.entries == at_once.entries
    assert one_by_one.rejected[:-1] == at_once.rejected
    assert [type(entry.attributes) for entry in at_once.entries] == [type(e.attributes) for e in one_by_one.entries]
    lines = "\n".join(json.dumps(log) for log in logs).encode()
    assert decode_ndjson(lines, SCENARIO, LIMITS) == at_once
