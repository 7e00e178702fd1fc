"""What a policy may say, and how it is told where it says something else."""

from __future__ import annotations

from typing import Any

import pytest

from mockupaws.stream_processors.policies.document import PolicyError, read_policy, with_digests
from mockupaws.stream_processors.policies.select_fields import FieldSelector, SelectorError, names_of
from mockupaws.stream_processors.policies.tenant_keys import TenantKey


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], ["object"]),
        ({"action": {}}, ["unknown field `action`"]),
        ({"actions": {"EMIAL": "mask"}}, ["`$.actions`", "EMIAL", "did you mean `EMAIL`"]),
        ({"actions": {"SHOE_SIZE": "mask"}}, ["SHOE_SIZE", "the types are EMAIL, PHONE"]),
        ({"actions": {"EMAIL": "shred"}}, ["shred", "$.actions"]),
        ({"shadow": {"actions": {"X": "mask"}}}, ["`$.shadow.actions`"]),
        ({"allow": [{"type": "EMAIL"}]}, ["`$.allow[0]`", "`value`, `pattern` and `digest`"]),
        ({"allow": [{"type": "EMAIL", "value": "a@b.de", "pattern": "*@b.de"}]}, ["state one"]),
        ({"allow": [{"type": "MAIL", "value": "a"}]}, ["`$.allow[0].type`", "did you mean `EMAIL`"]),
        ({"allow": [{"type": "EMAIL", "pattern": "*"}]}, ["`$.allow[0].pattern`", "set its action to `flag`"]),
        ({"allow": [{"type": "EMAIL", "pattern": "*@*.*d"}]}, ["4 characters"]),
        ({"allow": [{"type": "EMAIL", "digest": "zz"}]}, ["$.allow[0].digest"]),
        ({"allow": [{"type": "EMAIL", "value": "x"}] * 501}, ["500", "$.allow"]),
        ({"fields": [{"path": "attributes.a", "never_scan": True}] * 101}, ["100", "$.fields"]),
        ({"fields": [{"path": "message.a", "never_scan": True}]}, ["`$.fields[0].path`", "attributes."]),
        ({"fields": [{"path": "attributes.a*b", "never_scan": True}]}, ["`*` stands for a whole name"]),
        ({"fields": [{"path": "attributes.a"}]}, ["`$.fields[0]`", "never_scan"]),
        ({"fields": [{"path": "attributes.a", "treat_as": "EMAIL", "never_scan": True}]}, ["state one"]),
        ({"fields": [{"path": "attributes.a", "treat_as": "SECRET"}]}, ["`$.fields[0].treat_as`"]),
    ],
)
def test_a_document_that_cannot_be_says_where_and_why(document: Any, words: list[str]) -> None:
    with pytest.raises(PolicyError) as caught:
        read_policy(document)
    for word in words:
        assert word in str(caught.value)


def test_allowed_values_are_kept_as_digests_only() -> None:
    policy = read_policy({"allow": [{"type": "EMAIL", "value": "A@b.de"}, {"type": "EMAIL", "pattern": "*@b.de"}]})
    assert policy.needs_key
    kept = with_digests(policy, TenantKey(1, b"k" * 32))
    assert kept.allow[0].value is None
    assert kept.allow[0].digest == TenantKey(1, b"k" * 32).allow_digest("EMAIL", "a@b.de")
    assert kept.allow[1] == policy.allow[1]
    assert with_digests(kept, TenantKey(1, b"k" * 32)) == kept


@pytest.mark.parametrize(
    "selector", ["", "attributes", "attributes.", "attributes..a", "a.b", "attributes.a*", "message"]
)
def test_selectors_that_cannot_be(selector: str) -> None:
    with pytest.raises(SelectorError):
        names_of(selector)


def test_the_selector_with_fewer_stars_holds_then_the_earlier_one() -> None:
    selector = FieldSelector(
        [
            ("attributes.*.*", 1),
            ("attributes.a.*", 2),
            ("attributes.*.b", 3),
            ("attributes.a.b", 4),
            ("attributes.x", 5),
        ]
    )
    assert [selector.meaning_of(path) for path in ("q.r", "a.c", "q.b", "a.b", "x", "a", "a.b.c")] == [
        1, 2, 3, 4, 5, None, None,
    ]  # fmt: skip
    assert selector
    assert not FieldSelector([])
