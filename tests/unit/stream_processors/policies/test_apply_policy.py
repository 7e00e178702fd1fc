"""What a policy makes of lines: each action, the allow list, fields, shadow, and the laws that hold under each."""

from __future__ import annotations

import json
import random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockupaws.schemas.pii_types import PII_TYPES, types_of_mask
from mockupaws.schemas.requests import Entry, IngestRequest
from mockupaws.stream_processors.analyse_entries import AnalysedEntry, Analyser
from mockupaws.stream_processors.detect_pii.table import DETECTORS, RULE_VERSIONS
from mockupaws.stream_processors.policies.apply_policy import DEFAULT_POLICY, CompiledPolicy
from mockupaws.stream_processors.policies.document import ACTIONS, read_policy, with_digests
from mockupaws.stream_processors.policies.marks import encrypted_marks
from mockupaws.stream_processors.policies.tenant_keys import TenantKey

KEY = TenantKey(1, b"k" * 32)
ANALYSER = Analyser()


def policy_of(document: dict[str, Any], key: TenantKey | None = KEY, version: int = 7) -> CompiledPolicy:
    policy = read_policy(document)
    return CompiledPolicy(with_digests(policy, key) if key else policy, version, key)


def analysed(message: str, document: dict[str, Any], **entry: Any) -> AnalysedEntry:
    return ANALYSER.analyse_entry(Entry(message, **entry), policy_of(document))


def redacted(message: str, document: dict[str, Any]) -> str:
    return analysed(message, document).message


@pytest.mark.parametrize(
    ("action", "text"),
    [
        ("mask", "login of [EMAIL] ok"),
        ("hash", f"login of [EMAIL:h:{KEY.digest('EMAIL', 'bob@example.com')}] ok"),
        ("encrypt", f"login of [EMAIL:e:{KEY.encrypt('EMAIL', b'Bob@example.com')}] ok"),
        ("drop", "login of [DROPPED] ok"),
        ("drop_line", "[LINE_DROPPED]"),
        ("flag", "login of Bob@example.com ok"),
    ],
)
def test_each_action(action: str, text: str) -> None:
    entry = analysed("login of Bob@example.com ok", {"actions": {"EMAIL": action}}, attributes={"n": 1})
    assert entry.message == text
    assert types_of_mask(entry.pii_mask) == ("EMAIL",)
    assert entry.attributes == (None if action == "drop_line" else '{"n":1}')
    assert [(f.type, f.action, f.version) for f in entry.findings] == [
        ("EMAIL", action, RULE_VERSIONS["email.at_sign"])
    ]
    assert entry.size_bytes == len('login of Bob@example.com ok{"n":1}')


def test_types_that_the_policy_does_not_name_are_masked() -> None:
    text = "bob@example.com 10.0.0.1 4111 1111 1111 1111"
    assert redacted(text, {"actions": {"IPV4": "flag"}}) == "[EMAIL] 10.0.0.1 [CREDIT_CARD:1111]"


def test_equal_values_have_equal_hashes_however_they_are_written() -> None:
    hashes = {"actions": dict.fromkeys(PII_TYPES, "hash")}
    assert redacted("Bob@Example.com", hashes) == redacted("bob@example.com", hashes)
    assert redacted("q=bob%40example.com", hashes) == "q=" + redacted("bob@example.com", hashes)
    assert redacted("card 4111-1111-1111-1111", hashes) == redacted("card 4111111111111111", hashes)
    other = TenantKey(1, b"o" * 32)
    assert redacted("bob@example.com", hashes) != f"[EMAIL:h:{other.digest('EMAIL', 'bob@example.com')}]"


def test_an_encrypted_value_can_be_read_again_with_the_key_and_type_it_was_made_under() -> None:
    text = redacted("é Bob@example.com", {"actions": {"EMAIL": "encrypt"}})
    [(mark, pii_type, token)] = encrypted_marks(text)
    assert text == f"é {mark}"
    assert KEY.decrypt(pii_type, token) == "Bob@example.com"
    assert KEY.decrypt("PASSWORD", token) is None
    assert TenantKey(1, b"o" * 32).decrypt(pii_type, token) is None
    assert TenantKey(2, b"k" * 32).decrypt(pii_type, token) is None
    altered = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    assert KEY.decrypt(pii_type, altered) is None
    assert KEY.decrypt(pii_type, "not base64!") is None


def test_without_a_key_what_needs_one_is_masked() -> None:
    document = {
        "actions": {"EMAIL": "hash", "IPV4": "encrypt", "MAC": "flag"},
        "allow": [{"type": "EMAIL", "digest": KEY.allow_digest("EMAIL", "bob@example.com")}],
    }
    policy = policy_of(document, key=None)
    assert policy.lacks_key
    assert ANALYSER.analyse_entry(Entry("bob@example.com 10.0.0.1"), policy).message == "[EMAIL] [IPV4]"


@pytest.mark.parametrize(
    ("allow", "text", "kept"),
    [
        ({"type": "EMAIL", "value": "No-Reply@example.com"}, "from no-reply@EXAMPLE.com", True),
        ({"type": "EMAIL", "value": "no-reply@example.com"}, "q=no-reply%40example.com", True),
        ({"type": "EMAIL", "value": "no-reply@example.com"}, "from a.no-reply@example.com", False),
        ({"type": "IPV4", "value": "no-reply@example.com"}, "from no-reply@example.com", False),
        ({"type": "EMAIL", "pattern": "*@Test.example.com"}, "from zoe@test.example.com", True),
        ({"type": "EMAIL", "pattern": "*@test.example.com"}, "from zoe@test.example.org", False),
        ({"type": "EMAIL", "pattern": "qa-*@*.example.com"}, "from qa-7@x.example.com", True),
        ({"type": "EMAIL", "pattern": "a*aaa@example.com"}, "from aa@example.com", False),
        ({"type": "CREDIT_CARD", "value": "4111111111111111"}, "card 4111-1111-1111-1111 ok", True),
        ({"type": "CREDIT_CARD", "pattern": "4111 11*"}, "card 4111-1111-1111-1111 ok", True),
        ({"type": "IPV6", "value": "2001:DB8:0:0:0:0:0:1"}, "peer 2001:db8::1 up", True),
    ],
)
def test_allowed_values_are_no_findings(allow: dict[str, str], text: str, kept: bool) -> None:
    entry = analysed(text, {"allow": [allow]})
    assert (entry.message == text) is kept
    assert (entry.pii_mask == 0) is kept
    assert (entry.findings == []) is kept


def test_an_allowed_value_inside_a_secret_is_redacted_with_it() -> None:
    document = {"allow": [{"type": "EMAIL", "value": "no-reply@example.com"}]}
    assert redacted('password="no-reply@example.com"', document) == 'password="[PASSWORD]"'


def test_fields_are_treated_as_the_policy_says_and_others_as_ever() -> None:
    document = {
        "fields": [
            {"path": "attributes.user.login", "treat_as": "EMAIL"},
            {"path": "attributes.trace_id", "never_scan": True},
            {"path": "attributes.hosts.*.ip", "never_scan": True},
            {"path": "attributes.hosts.db.ip", "treat_as": "IPV4"},
            {"path": "attributes.body", "treat_as": "PASSWORD"},
        ],
        "actions": {"PASSWORD": "drop"},
    }
    attributes = {
        "user": {"login": "bob", "n": 1},
        "user.login": 17,
        "trace_id": "4111111111111111",
        "hosts": {"web": {"ip": "10.0.0.1", "mail": "a@b.example"}, "db": {"ip": "dbhost"}},
        "body": {"a": ["x", 5, None, True, ""], "bob@example.com": "y"},
        "nul": "\0",
    }
    entry = analysed("m", document, attributes=attributes)
    assert json.loads(entry.attributes or "") == {
        "user": {"login": "[EMAIL]", "n": 1},
        "user.login": "[EMAIL]",
        "trace_id": "4111111111111111",
        "hosts": {"web": {"ip": "10.0.0.1", "mail": "[EMAIL]"}, "db": {"ip": "[IPV4]"}},
        "body": {"a": ["[DROPPED]", "[DROPPED]", None, True, ""], "[EMAIL]": "[DROPPED]"},
        "nul": "␀",
    }
    assert types_of_mask(entry.pii_mask) == ("EMAIL", "IPV4", "PASSWORD")


def test_what_is_never_scanned_can_still_be_stored() -> None:
    document = {"fields": [{"path": "attributes.raw", "never_scan": True}]}
    entry = analysed("m", document, attributes={"raw": {"a\0b@c.de": ["\0 bob@example.com", 1.5]}, "x": "b@c.de"})
    assert json.loads(entry.attributes or "") == {"raw": {"a␀b@c.de": ["␀ bob@example.com", 1.5]}, "x": "[EMAIL]"}


def test_shadow_actions_are_counted_and_act_on_nothing() -> None:
    policy = policy_of({"shadow": {"actions": {"EMAIL": "drop", "MAC": "flag"}}})
    entries = [
        Entry("a@b.example c@d.example 10.0.0.1", source="x@y.example"),
        Entry("b@c.example", attributes={"m": "d@e.example", "password": "z"}),
        Entry("none"),
    ]
    request = ANALYSER.analyse_request(IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h", entries), policy)
    plain = ANALYSER.analyse_request(IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h", entries))
    assert request.lines == plain.lines
    assert (request.policy_version, plain.policy_version) == (7, 0)
    shadow = {delta.metric_name: delta.value for delta in request.deltas if delta.metric_type == "shadow"}
    assert shadow == {"EMAIL.lines": 2, "EMAIL.findings": 5}
    assert [delta for delta in request.deltas if delta.metric_type != "shadow"] == plain.deltas


def test_a_shadow_finding_of_a_flagged_type_is_counted_once_although_the_line_is_scanned_again() -> None:
    policy = policy_of({"actions": {"EMAIL": "flag"}, "shadow": {"actions": {"EMAIL": "mask"}}})
    entries = [Entry("a@b.example 10.0.0.1", attributes={"m": "a@b.example 10.0.0.1"}, source="a@b.example 10.0.0.1")]
    request = ANALYSER.analyse_request(IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h", entries), policy)
    assert request.lines.message == ["a@b.example [IPV4]"]
    assert {d.metric_name: d.value for d in request.deltas if d.metric_type == "shadow"} == {
        "EMAIL.lines": 1,
        "EMAIL.findings": 3,
    }


def test_a_finding_that_cuts_a_mark_takes_the_whole_mark_with_it() -> None:
    mark = f"[EMAIL:h:{KEY.digest('EMAIL', 'a@b.example')}]"
    text = redacted(f'password="long enough text {mark} more"', {"actions": {"PASSWORD": "hash"}})
    assert text.startswith('password="[PASSWORD:h:')
    assert "EMAIL" not in text
    assert redacted(f'{{"password":"{mark}"}} {mark}', {}) == f'{{"password":"{mark}"}} {mark}'
    attributes = {"password": mark, "x": mark}
    assert json.loads(analysed("m", {}, attributes=attributes).attributes or "") == attributes


_VALUES = [value for detector in DETECTORS for _, value in detector.positives]
_PIECES = [text for detector in DETECTORS for text, _ in detector.positives]
_GLUE = [*" \t\n=:;,.@/-_'\"\\&?#%[](){}<>*", "é", "\0", "a", "1", ": ", '":"', "://", "password=", "%40", "Bearer "]
_TEXTS = st.lists(
    st.sampled_from(_PIECES + _VALUES + _GLUE * 3) | st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    max_size=8,
).map("".join)
_POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "actions": st.dictionaries(st.sampled_from(PII_TYPES), st.sampled_from(ACTIONS)),
        "allow": st.lists(
            st.sampled_from(
                [
                    {"type": "EMAIL", "value": "bob@example.org"},
                    {"type": "EMAIL", "pattern": "*@example.com"},
                    {"type": "CREDIT_CARD", "value": "4111111111111111"},
                ]
            )
        ),
        "fields": st.lists(
            st.sampled_from(
                [
                    {"path": "attributes.a", "never_scan": True},
                    {"path": "attributes.*", "treat_as": "PASSWORD"},
                    {"path": "attributes.b.c", "treat_as": "EMAIL"},
                ]
            )
        ),
        "shadow": st.fixed_dictionaries({"actions": st.just({"EMAIL": "drop"})}),
    },
)
_JSON = st.dictionaries(
    st.sampled_from(["a", "b", "password", "token"]) | _TEXTS, _TEXTS | st.integers() | st.lists(_TEXTS, max_size=2)
)


@settings(max_examples=200)
@given(_TEXTS, _JSON, _POLICIES)
def test_redacting_twice_changes_nothing_more_under_any_policy(
    text: str, attributes: dict[str, Any], document: dict[str, Any]
) -> None:
    policy = policy_of(document)
    once = ANALYSER.analyse_entry(Entry(text, source=text, attributes=attributes or None), policy)
    stored = json.loads(once.attributes) if once.attributes else None
    twice = ANALYSER.analyse_entry(Entry(once.message, source=once.source, attributes=stored), policy)
    assert (twice.message, twice.source, twice.attributes) == (once.message, once.source, once.attributes)
    flagged = {name for name in PII_TYPES if policy.action_of(name) == "flag"}
    assert set(types_of_mask(twice.pii_mask)) <= flagged


@settings(max_examples=100)
@given(st.lists(st.tuples(_TEXTS, _JSON), max_size=5), _POLICIES, st.randoms())
def test_the_order_of_entries_does_not_matter(
    pairs: list[tuple[str, dict[str, Any]]], document: dict[str, Any], order: random.Random
) -> None:
    entries = [Entry(text, source=text[:9], attributes=attributes or None) for text, attributes in pairs]
    policy = policy_of(document)
    forward = ANALYSER.analyse_entries(entries, policy)
    places = list(range(len(entries)))
    order.shuffle(places)
    shuffled = ANALYSER.analyse_entries([entries[place] for place in places], policy)
    assert shuffled == [forward[place] for place in places]


@settings(max_examples=200)
@given(_TEXTS, _JSON)
def test_a_policy_that_masks_everything_gives_what_none_gives(text: str, attributes: dict[str, Any]) -> None:
    masking = policy_of(
        {"actions": dict.fromkeys(PII_TYPES, "mask"), "allow": [{"type": "EMAIL", "pattern": "~never*"}]}
    )
    entry = Entry(text, source=text, attributes=attributes or None)
    assert ANALYSER.analyse_entry(entry, masking) == ANALYSER.analyse_entry(entry, DEFAULT_POLICY)


@pytest.mark.parametrize("action", [action for action in ACTIONS if action != "flag"])
@pytest.mark.parametrize("value", sorted(set(_VALUES)))
def test_no_found_value_is_left(action: str, value: str) -> None:
    line = next(text for detector in DETECTORS for text, found in detector.positives if found == value)
    policy = policy_of({"actions": dict.fromkeys(PII_TYPES, action)})
    entry = ANALYSER.analyse_entry(Entry(line, attributes={"of": line}), policy)
    for finding in ANALYSER.analyse_entry(Entry(line)).findings:
        assert line[finding.start : finding.end] not in entry.message
        assert line[finding.start : finding.end] not in (entry.attributes or "")


def test_the_key_is_bound_to_tenant_number_and_secret() -> None:
    from mockupaws.stream_processors.policies.tenant_keys import KeyRefusedError, unwrap_key, wrap_key

    secret, tenant, other = "s" * 32, UUID(int=1), UUID(int=2)
    wrapped = wrap_key(secret, tenant, 1, b"k" * 32)
    assert b"k" * 32 not in wrapped
    assert unwrap_key(secret, tenant, 1, wrapped).digest("EMAIL", "a@b.de") == KEY.digest("EMAIL", "a@b.de")
    for refused in ((secret, other, 1, wrapped), (secret, tenant, 2, wrapped), ("x" * 32, tenant, 1, wrapped)):
        with pytest.raises(KeyRefusedError, match="MOCKUPAWS_TENANT_KEY_SECRET"):
            unwrap_key(*refused)
    with pytest.raises(KeyRefusedError, match="32 random characters"):
        wrap_key("short", tenant, 1, b"k" * 32)
