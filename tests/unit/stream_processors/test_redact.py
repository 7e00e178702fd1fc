"""Redaction: marks, JSON that stays JSON, and the law that redacting twice changes nothing more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockupaws.schemas.pii_types import types_of_mask
from mockupaws.stream_processors.detect_pii.person import PersonScanner
from mockupaws.stream_processors.detect_pii.scan import SEPARATOR, Found, Scanner, TypedSpan
from mockupaws.stream_processors.detect_pii.table import DETECTORS
from mockupaws.stream_processors.line_batch import LineBatch
from mockupaws.stream_processors.policies.apply_policy import DEFAULT_POLICY, CompiledPolicy
from mockupaws.stream_processors.policies.document import read_policy
from mockupaws.stream_processors.redact import redact_attributes, redact_text
from mockupaws.stream_processors.redact_lines import LineRedactor, Tally

_SCANNER = Scanner()
_PIECES = [text for detector in DETECTORS for text, _ in detector.positives]
_PIECES += [value for detector in DETECTORS for _, value in detector.positives]
_PIECES += [text for detector in DETECTORS for text in detector.negatives]
_GLUE = [*" \t\n=:;,.@/-_'\"\\&?#%[](){}<>*", "é", "\0", "a", "1", ": ", '":"', "://", "password=", "%40", "Bearer "]
_TEXTS = st.lists(st.sampled_from(_PIECES + _GLUE * 4) | st.text(max_size=4), max_size=8).map("".join)


@settings(max_examples=400)
@given(_TEXTS)
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact_text(_SCANNER, text).text
    assert redact_text(_SCANNER, once) == (once, 0, ())


@settings(max_examples=200)
@given(st.lists(_TEXTS, min_size=1, max_size=5))
def test_lines_masked_together_are_as_each_is_with_its_findings_told(texts: list[str]) -> None:
    together, apart = LineBatch.of(texts), LineBatch.of(texts)
    tally, of_each = Tally.of(len(texts)), Tally.of(len(texts))
    redactor = LineRedactor(_SCANNER, DEFAULT_POLICY)
    assert redactor.redact_messages(together, tally) == {}
    found = redactor.redact_messages(apart, of_each, tell=True)
    assert (together, tally) == (apart, of_each)
    for position, text in enumerate(texts):
        assert redact_text(_SCANNER, text)[:2] == (together.messages[position], tally.masks[position])
        assert tally.masks[position] == 0 or position in found or any(mark in text for mark in (":h:", ":e:"))


@settings(max_examples=200)
@given(st.lists(_TEXTS, min_size=1, max_size=5))
def test_spans_are_those_of_the_findings(texts: list[str]) -> None:
    data = SEPARATOR.join([text.replace("\0", "").encode() for text in texts])
    for scanner in (_SCANNER, PersonScanner(_SCANNER)):
        assert scanner.spans(data) == [found[:3] for found in scanner.scan(data)]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200)
@given(st.dictionaries(_TEXTS | st.sampled_from(["password", "token", "ssn"]), _JSON, max_size=3))
def test_redacted_attributes_keep_their_shape_and_redact_no_further(attributes: dict[str, Any]) -> None:
    once = redact_attributes(_SCANNER, attributes).values
    assert len(once) == len(attributes)
    assert redact_attributes(_SCANNER, once) == (once, 0, ())
    assert json.loads(json.dumps(once)) == once


@pytest.mark.parametrize("name", ["ALTER USER bob IDENTIFIED BY '", "x password '", "mysql -p", "run --password "])
@pytest.mark.parametrize(
    "value",
    [
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----'; x",
        "bob@example.com",
        "4111 1111 1111 1111 'x'",
    ],
)
def test_a_name_that_opens_a_secret_hides_nothing_of_its_value(name: str, value: str) -> None:
    once = redact_attributes(_SCANNER, {name: value}).values
    assert not any(secret in once[name] for secret in ("MIIE", "BEGIN", "bob@", "4111 1111"))
    assert redact_attributes(_SCANNER, once) == (once, 0, ())


@pytest.mark.parametrize(
    ("text", "redacted", "types"),
    [
        ("é bob@example.com ü", "é [EMAIL] ü", ("EMAIL",)),
        ("card 4111 1111 1111 1111.", "card [CREDIT_CARD:1111].", ("CREDIT_CARD",)),
        ("a\0b 10.0.0.1", "a␀b [IPV4]", ("IPV4",)),
        ("half \ud83d pair", "half � pair", ()),
        ("nothing", "nothing", ()),
    ],
)
def test_text_is_redacted_by_marks(text: str, redacted: str, types: tuple[str, ...]) -> None:
    result = redact_text(_SCANNER, text)
    assert (result.text, types_of_mask(result.pii_mask)) == (redacted, types)


def test_attributes_are_redacted_leaf_by_leaf_with_their_names() -> None:
    attributes = {
        "user": {"mail": "bob@example.com", "passwordHash": "kept", "Password": "two words"},
        "cards": [4111111111111111, 17, None, True, 1.5],
        "ssn": 536221234,
        "secret": "********",
        "ann@example.com": 1,
        "zoe@example.com": 2,
    }
    redacted = redact_attributes(_SCANNER, attributes)
    assert redacted.values == {
        "user": {"mail": "[EMAIL]", "passwordHash": "kept", "Password": "[PASSWORD]"},
        "cards": ["[CREDIT_CARD:1111]", 17, None, True, 1.5],
        "ssn": "[US_SSN]",
        "secret": "********",
        "[EMAIL]": 1,
        "[EMAIL]'": 2,
    }
    assert types_of_mask(redacted.pii_mask) == ("EMAIL", "CREDIT_CARD", "US_SSN", "PASSWORD")


class FindsItsOwnMark:
    """A rule gone wrong: whatever a text was made, it is found again."""

    def scan(self, data: bytes) -> list[Found]:
        return [Found(0, len(data), "EMAIL", "email.wrong", 1.0)]

    def spans(self, data: bytes) -> list[TypedSpan]:
        texts = data.split(SEPARATOR)
        starts = accumulate([len(text) + 1 for text in texts], initial=0)
        return [(start, start + len(text), "EMAIL") for start, text in zip(starts, texts, strict=False)]

    def scan_texts(self, joined: bytes, texts: Sequence[bytes]) -> dict[int, list[Found]]:
        return {position: self.scan(text) for position, text in enumerate(texts)}


def redact_line(policy: CompiledPolicy, text: str) -> str:
    batch = LineBatch.of([text])
    LineRedactor(FindsItsOwnMark() if text == "line" else _SCANNER, policy).redact_messages(batch, Tally.of(1))
    return batch.messages[0]


_DROPS = CompiledPolicy(read_policy({"actions": {"EMAIL": "drop", "DATE_OF_BIRTH": "drop"}}), 1, None)


def test_a_rule_that_finds_its_own_mark_ends_with_the_text_dropped() -> None:
    assert redact_text(FindsItsOwnMark(), "line").text == "[LINE_DROPPED]"
    assert redact_attributes(FindsItsOwnMark(), {"a": "bob and alice"}).values == {"[LINE_DROPPED]": "[EMAIL]"}
    assert redact_line(DEFAULT_POLICY, "line") == "[LINE_DROPPED]"
    assert redact_line(_DROPS, "line") == "[LINE_DROPPED]"


def test_a_list_too_long_to_be_masked_one_by_one_is_dropped_and_a_shorter_one_masked() -> None:
    """One date a round is found behind its key word: without a bound the time grows with the square of the list."""
    short, long = "dob=1985-03-12 ok" * 50, "dob=1985-03-12 ok" * 5000
    for policy in (DEFAULT_POLICY, _DROPS):
        assert redact_line(policy, long) == "[LINE_DROPPED]"
        assert "1985" not in redact_line(policy, short) != "[LINE_DROPPED]"
    assert redact_text(_SCANNER, long).text == "[LINE_DROPPED]"
