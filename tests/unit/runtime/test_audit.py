"""The chain names the first entry that isn't as it was written, whatever was done to it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockupaws.runtime.audit import (
    BEGINNING,
    AuditEntry,
    ChainedEntry,
    ChainVerifier,
    Origin,
    Verdict,
    canonical,
    entry_hash,
    make_anchor,
    read_anchor,
)
from mockupaws.runtime.errors import SettingsError

KEY = "the key of the chain"
TENANT = UUID(int=1)
START = datetime(2026, 11, 25, tzinfo=UTC)


def chain(length: int, key: str = KEY, what: str = "user.created") -> list[ChainedEntry]:
    entries: list[ChainedEntry] = []
    previous = BEGINNING
    for number in range(1, length + 1):
        entry = AuditEntry(
            tenant_id=TENANT, actor="ada", action=what, target=str(number), origin=Origin("192.0.2.1", "r"),
            details={"after": {"n": number}},
        )  # fmt: skip
        at = START + timedelta(seconds=number)
        previous = entry_hash(key, previous, entry, UUID(int=number), number, at)
        entries.append(ChainedEntry(entry, UUID(int=number), number, at, previous))
    return entries


def verdict(entries: list[ChainedEntry], anchored: list[ChainedEntry] | None = None) -> Verdict:
    anchors = [make_anchor(KEY, TENANT, entry.number, entry.hash, START, 0) for entry in anchored or []]
    verifier = ChainVerifier(KEY, anchors)
    for entry in entries:
        if not verifier.add(entry):
            break
    return verifier.verdict()


def altered(entry: ChainedEntry, **changes: Any) -> ChainedEntry:
    return dataclasses.replace(entry, entry=dataclasses.replace(entry.entry, **changes))


def test_a_whole_chain_is_good() -> None:
    entries = chain(10)
    assert verdict(entries) == Verdict(10)
    assert verdict(entries, [entries[3], entries[9]]) == Verdict(10)
    assert verdict([]) == Verdict(0)


@pytest.mark.parametrize(
    "changes",
    [
        {"actor": "eve"}, {"action": "user.removed"}, {"target": "x"}, {"outcome": "refused"}, {"reason": "x"},
        {"origin": Origin("192.0.2.2", "r")}, {"origin": Origin("192.0.2.1", "s")}, {"details": {}},
        {"tenant_id": UUID(int=2)},
    ],
    ids=str,
)  # fmt: skip
def test_a_changed_field_is_found(changes: dict[str, Any]) -> None:
    entries = chain(6)
    entries[3] = altered(entries[3], **changes)
    assert verdict(entries).first_bad == 4


@pytest.mark.parametrize("changes", [{"at": START}, {"id": UUID(int=99)}, {"hash": bytes(32)}], ids=str)
def test_a_changed_time_id_or_hash_is_found(changes: dict[str, Any]) -> None:
    entries = chain(6)
    entries[3] = dataclasses.replace(entries[3], **changes)
    assert verdict(entries).first_bad == 4


def _renumbered(entries: list[ChainedEntry]) -> list[ChainedEntry]:
    return [dataclasses.replace(entry, number=number) for number, entry in enumerate(entries, start=1)]


@pytest.mark.parametrize(
    ("damage", "first_bad", "why"),
    [
        (lambda e: e[:3] + e[4:], 4, "missing"),
        (lambda e: _renumbered(e[:3] + e[4:]), 4, "changed"),
        (lambda e: e[1:], 1, "missing"),
        (lambda e: _renumbered([e[0], e[2], e[1], *e[3:]]), 2, "moved"),
        (lambda e: _renumbered([*e[:2], e[0], *e[2:]]), 3, "inserted"),
        (lambda e: [*e[:2], *chain(6, "another key")[2:]], 3, "key"),
    ],
    ids=["deleted", "deleted and renumbered", "first deleted", "reordered", "inserted", "another key"],
)
def test_damage_is_named_by_the_first_bad_entry(
    damage: Callable[[list[ChainedEntry]], list[ChainedEntry]], first_bad: int, why: str
) -> None:
    found = verdict(damage(chain(6)))
    assert found.first_bad == first_bad
    assert why in found.why


def test_only_an_anchor_shows_that_the_end_is_missing() -> None:
    entries = chain(10)
    assert verdict(entries[:7]) == Verdict(7)
    cut = verdict(entries[:7], [entries[8]])
    assert (cut.first_bad, cut.why) == (8, "entries 8 to 9 are missing from the end")
    assert verdict([], [entries[4]]).first_bad == 1


def test_only_an_anchor_shows_that_the_whole_chain_was_replaced_with_the_key() -> None:
    entries, other = chain(10), chain(10, what="user.changed")
    assert verdict(other) == Verdict(10)
    replaced = verdict(other, [entries[2], entries[8]])
    assert (replaced.first_bad, replaced.entries) == (3, 2)
    assert "replaced" in replaced.why


def test_an_anchor_is_read_only_as_it_was_made() -> None:
    anchor = make_anchor(KEY, TENANT, 7, bytes(32), START, 3)
    content = msgspec.json.encode(anchor)
    assert read_anchor(KEY, content, TENANT) == anchor
    assert read_anchor("another", content, TENANT) is None
    assert read_anchor(KEY, content, UUID(int=2)) is None
    assert read_anchor(KEY, content.replace(b'"number":7', b'"number":6'), TENANT) is None
    assert read_anchor(KEY, b"", TENANT) is None


def test_without_a_key_nothing_is_chained() -> None:
    with pytest.raises(SettingsError, match="MOCKUPAWS_AUDIT_KEY"):
        chain(1, "")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text() | st.floats(allow_nan=False, width=32),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(_JSON)
def test_one_value_has_one_text_however_it_was_stored(value: Any) -> None:
    text = canonical(value)
    again = json.loads(text, parse_float=Decimal)
    assert canonical(again) == text
    assert canonical(json.loads(json.dumps(value), parse_float=Decimal)) == text


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        canonical({"at": START})
