"""A rule in the shadow is counted, and has no other effect: none on what is redacted, and none on what others find."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

import msgspec
import pytest

from mockupaws.schemas.requests import Entry, IngestRequest
from mockupaws.schemas.rollups import unit_of
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.detect_pii.detector import Detector, Expression
from mockupaws.stream_processors.detect_pii.scan import Scanner
from mockupaws.stream_processors.detect_pii.table import DETECTORS, RULE_VERSIONS
from mockupaws.stream_processors.policies.apply_policy import CompiledPolicy
from mockupaws.stream_processors.policies.document import PolicyError, read_policy
from mockupaws.stream_processors.policies.preview import preview

ANALYSER = Analyser()
LINE = "10.0.0.1 asked for bob@example.com at 203.0.113.7, then 203.0.113.8"


def shadowing(*rules: str, **document: Any) -> CompiledPolicy:
    return CompiledPolicy(read_policy({**document, "shadow": {"rules": list(rules)}}), 3, None)


def counted(policy: CompiledPolicy, *entries: Entry) -> dict[str, int]:
    request = IngestRequest(uuid.uuid4().bytes, b"t" * 16, b"s" * 16, 1_795_000_000_000_000, b"h" * 16, list(entries))
    deltas = ANALYSER.analyse_request(request, policy).deltas
    counts = {d.metric_name: d.value for d in deltas if d.metric_type == "shadow_rule"}
    assert all(unit_of("shadow_rule", name) for name in counts)
    return counts


def test_it_is_counted_in_messages_and_attributes_and_acts_on_nothing() -> None:
    policy = shadowing("ipv4.public")
    entries = [Entry(LINE), Entry("nothing"), Entry("m", attributes={"ip": "203.0.113.9"})]
    made = ANALYSER.analyse_entries(entries, policy)
    assert [entry.message for entry in made] == [
        "[IPV4] asked for [EMAIL] at 203.0.113.7, then 203.0.113.8",
        "nothing",
        "m",
    ]
    assert (made[2].attributes, made[2].pii_mask) == ('{"ip":"203.0.113.9"}', 0)
    name = f"ipv4.public@{RULE_VERSIONS['ipv4.public']}"
    assert counted(policy, *entries) == {f"{name}.lines": 2, f"{name}.findings": 3}


def test_it_has_no_part_in_overlaps_and_what_others_find_there_is_not_counted() -> None:
    text = "postgres://bob:Hx71@example.com/x"  # the credentials win over the e-mail inside the URL
    assert ANALYSER.analyse_entry(Entry(text)).message == "postgres://[URL_CREDENTIALS]@example.com/x"
    without = ANALYSER.analyse_entry(Entry(text), shadowing("url.user_information"))
    assert "URL_CREDENTIALS" not in without.message
    assert ANALYSER.analyse_entry(Entry(text), shadowing("email.at_sign")).message == (
        "postgres://[URL_CREDENTIALS]@example.com/x"
    )
    assert counted(shadowing("email.at_sign"), Entry("mailto:bob@example.com?password=Hx71-kk")) == {
        f"email.at_sign@{RULE_VERSIONS['email.at_sign']}.lines": 1,
        f"email.at_sign@{RULE_VERSIONS['email.at_sign']}.findings": 1,
    }
    assert counted(shadowing("card.named"), Entry("card 4111 1111 1111 1111")) == {}  # card.issuer finds it too


def test_an_allowed_value_is_not_counted() -> None:
    policy = shadowing("ipv4.public", allow=[{"type": "IPV4", "pattern": "203.0.113.*"}])
    assert counted(policy, Entry(LINE)) == {}


def test_a_preview_tells_what_it_would_find() -> None:
    lines = [Entry(LINE), Entry("from 198.51.100.4")]
    shown = preview(ANALYSER, lines, shadowing(), shadowing("ipv4.public"))
    name = f"ipv4.public@{RULE_VERSIONS['ipv4.public']}"
    assert msgspec.to_builtins(shown.shadow_rules) == {name: {"lines": 2, "findings": 3}}
    assert shown.changed_lines == 2


@pytest.mark.parametrize("rule", ["ipv4.publik", "ipv4.dotted", "nonsense", ""])
def test_an_unknown_rule_is_refused_by_name(rule: str) -> None:
    with pytest.raises(PolicyError, match=r"shadow\.rules\[0\]"):
        shadowing(rule)


def test_a_new_version_sleeps_until_it_is_asked_for() -> None:
    """As a release ships it: beside the version that is awake, under the same name."""

    def digits_at(data: bytes, end: int) -> tuple[int, int] | None:
        return (end - 6, end)

    awake = DETECTORS[0]
    newer = Expression("room.number", r"room-[0-9]{6}", digits_at, 0.9, version=2, asleep=True)
    older = Expression("room.number", r"room [0-9]{6}", digits_at, 0.9)
    detector = Detector("PASSPORT", "", (older, newer), (), ())
    scanner = Scanner([dataclasses.replace(awake), detector])
    data = b"room 123456 and room-654321"
    assert [(f.rule, f.start) for f in scanner.scan(data)] == [("room.number", 5)]
    assert [(f.rule, f.start) for f in scanner.without(["x"]).scan(data)] == [("room.number", 5)]
    assert [(f.rule, f.start) for f in scanner.only(["room.number@2"]).scan(data)] == [("room.number@2", 21)]
    assert scanner.without(["room.number"]).scan(data) == []
