"""What no producer should send is kept, marked, and ends soon."""

from __future__ import annotations

import pytest

from mockupaws.schemas.requests import Entry
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.policies.apply_policy import CompiledPolicy
from mockupaws.stream_processors.policies.document import PolicyError, read_policy

ANALYSER = Analyser()
MEBIBYTE = 1 << 20


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (b"login of bob@example.com \xff\xfe".decode(errors="replace"), "login of [EMAIL] \ufffd\ufffd"),
        ("bob@example.com\0zoe@example.com", "[EMAIL]\u2400[EMAIL]"),
        ("\0", "\u2400"),
        ("\ud83d bob@example.com \udc00", "\ufffd [EMAIL] \ufffd"),
    ],
)
def test_what_text_cannot_hold_is_marked_and_its_neighbours_are_found(sent: str, stored: str) -> None:
    made = ANALYSER.analyse_entry(Entry(sent))
    assert made.message == stored
    for found in made.findings:
        assert sent[found.start : found.end].endswith("@example.com")


@pytest.mark.parametrize(
    "character", ["a", "0", "1", "@", ".", ":", " ", "+", "%", "\\", "-", "é", "\u00a0", "\0", '"', "="]
)
def test_a_mebibyte_of_one_character_ends_and_is_no_finding(character: str) -> None:
    made = ANALYSER.analyse_entry(Entry(character * MEBIBYTE))
    assert made.findings == [] or {found.rule for found in made.findings} == {"bound.unexamined"}
    assert made.size_bytes == len(character.encode()) * MEBIBYTE


def test_ten_thousand_findings_in_a_line_are_each_found_and_hidden() -> None:
    made = ANALYSER.analyse_entry(Entry(" ".join(f"u{number}@example.com" for number in range(10_000))))
    assert len(made.findings) == 10_000
    assert made.message == " ".join(["[EMAIL]"] * 10_000)


def test_a_policy_for_an_unknown_type_is_refused_by_name_and_never_applied_in_part() -> None:
    with pytest.raises(PolicyError, match="EMIAL"):
        CompiledPolicy(read_policy({"actions": {"EMIAL": "drop", "IPV4": "flag"}}), 1, None)
