"""A process's copy of the policies: newest version only, kept over a restart, never weaker for what it lacks."""

from __future__ import annotations

import json
from uuid import UUID

import msgspec

from mockupaws.schemas.requests import Entry
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.policies.apply_policy import DEFAULT_POLICY
from mockupaws.stream_processors.policies.directory import PolicyDirectory, PolicyRecord
from mockupaws.stream_processors.policies.document import read_policy, with_digests
from mockupaws.stream_processors.policies.tenant_keys import KEY_BYTES, TenantKey, wrap_key

SECRET = "s" * 32
TENANT = UUID(int=5)
WRAPPED = wrap_key(SECRET, TENANT, 1, b"k" * KEY_BYTES)
ANALYSER = Analyser()


def record(version: int, document: str, wrapped: bytes | None = WRAPPED) -> PolicyRecord:
    return PolicyRecord(TENANT.bytes, version, document, 1 if wrapped else None, wrapped)


def redacted(directory: PolicyDirectory) -> str:
    return ANALYSER.analyse_entry(Entry("bob@example.com 10.0.0.1"), directory.policy_of(TENANT.bytes)).message


def test_a_tenant_without_a_policy_has_the_default() -> None:
    assert PolicyDirectory(SECRET).policy_of(TENANT.bytes) is DEFAULT_POLICY


def test_the_newest_version_holds_in_whatever_order_they_come() -> None:
    directory = PolicyDirectory(SECRET)
    assert directory.apply([record(2, '{"actions": {"IPV4": "flag"}}')], 20)
    assert not directory.apply([record(1, '{"actions": {"EMAIL": "flag"}}')], 10)
    assert redacted(directory) == "[EMAIL] 10.0.0.1"
    assert not directory.apply([record(2, '{"actions": {"IPV4": "flag"}}')], 20)
    assert (directory.policy_of(TENANT.bytes).version, directory.changed_us) == (2, 20)


def test_a_snapshot_gives_the_same_directory_and_holds_no_key() -> None:
    directory = PolicyDirectory(SECRET)
    directory.apply([record(3, '{"actions": {"EMAIL": "hash"}}')], 30)
    snapshot = directory.to_snapshot()
    assert b"k" * KEY_BYTES not in snapshot
    assert SECRET.encode() not in snapshot
    read = PolicyDirectory(SECRET)
    assert read.load_snapshot(snapshot)
    assert redacted(read) == redacted(directory) != "[EMAIL] [IPV4]"
    assert read.changed_us == 30


def test_a_snapshot_that_cannot_be_read_is_none() -> None:
    for broken in (b"", b"\xc1", msgspec.msgpack.encode([99, 1, []]), msgspec.msgpack.encode([1, "x", []])):
        assert not PolicyDirectory(SECRET).load_snapshot(broken)


def test_under_another_secret_marks_are_masked_and_the_problem_is_told() -> None:
    directory = PolicyDirectory("x" * 32)
    directory.apply([record(1, '{"actions": {"EMAIL": "encrypt", "IPV4": "drop"}}')], 1)
    assert redacted(directory) == "[EMAIL] [DROPPED]"
    assert "MOCKUPAWS_TENANT_KEY_SECRET" in directory.problems[TENANT.bytes]
    directory.apply([record(2, '{"actions": {"IPV4": "drop"}}')], 2)
    assert directory.problems == {}


def test_what_a_newer_release_wrote_leaves_the_version_before_in_force() -> None:
    directory = PolicyDirectory(SECRET)
    directory.apply([record(1, '{"actions": {"IPV4": "drop"}}')], 1)
    directory.apply([record(2, '{"actions": {"IPV4": "teleport"}}')], 2)
    assert redacted(directory) == "[EMAIL] [DROPPED]"
    assert "version 2" in directory.problems[TENANT.bytes]


def test_after_a_rotation_marks_are_under_the_new_key_and_values_allowed_before_stay_allowed() -> None:
    old, new = (TenantKey(number, bytes([number]) * KEY_BYTES) for number in (1, 2))
    allowed = with_digests(read_policy({"allow": [{"type": "EMAIL", "value": "bob@example.com"}]}), old)
    document = {**msgspec.to_builtins(allowed), "actions": {"EMAIL": "hash"}}
    wrapped = [(number, wrap_key(SECRET, TENANT, number, bytes([number]) * KEY_BYTES)) for number in (2, 1)]
    directory = PolicyDirectory(SECRET)
    directory.apply([PolicyRecord.of(TENANT.bytes, 1, json.dumps(document), wrapped[1:])], 1)
    line = Entry("bob@example.com and zoe@example.com")
    mark = f"[EMAIL:h:{old.digest('EMAIL', 'zoe@example.com')}]"
    assert ANALYSER.analyse_entry(line, directory.policy_of(TENANT.bytes)).message == f"bob@example.com and {mark}"
    rotated = PolicyRecord.of(TENANT.bytes, 1, json.dumps(document), wrapped)
    assert directory.apply([rotated], 2)
    mark = f"[EMAIL:h:{new.digest('EMAIL', 'zoe@example.com')}]"
    assert ANALYSER.analyse_entry(line, directory.policy_of(TENANT.bytes)).message == f"bob@example.com and {mark}"
    assert not directory.apply([PolicyRecord.of(TENANT.bytes, 1, json.dumps(document), wrapped[1:])], 3)
    read = PolicyDirectory(SECRET)
    assert read.load_snapshot(directory.to_snapshot())
    assert ANALYSER.analyse_entry(line, read.policy_of(TENANT.bytes)).message == f"bob@example.com and {mark}"
    assert directory.problems == {}


def test_a_snapshot_of_before_rotation_existed_is_read() -> None:
    older = [TENANT.bytes, 3, '{"actions": {"EMAIL": "hash"}}', 1, WRAPPED]
    directory = PolicyDirectory(SECRET)
    assert directory.load_snapshot(msgspec.msgpack.encode([1, 30, [older]]))
    assert redacted(directory).startswith("[EMAIL:h:")


def test_a_value_allowed_under_a_key_that_is_missing_is_redacted_and_the_problem_told() -> None:
    document = {"allow": [{"type": "EMAIL", "digest": "0" * 64, "key": 4}]}
    directory = PolicyDirectory(SECRET)
    directory.apply([record(1, json.dumps(document))], 1)
    assert redacted(directory) == "[EMAIL] [IPV4]"
    assert directory.problems == {TENANT.bytes: "its key is missing"}
