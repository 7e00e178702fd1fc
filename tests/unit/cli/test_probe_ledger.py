"""The canary's verdicts."""

from __future__ import annotations

import pytest

from mockupaws.cli.probe_ledger import Change, Probe, ProbeLedger


@pytest.fixture
def ledger() -> ProbeLedger:
    made = ProbeLedger(lost_after_seconds=60, watch_seconds=300)
    made.add(Probe("abc", 2, accepted_at=100.0))
    return made


def stored(number: int, identifier: str = "") -> tuple[str, str]:
    return identifier or f"id-{number}", f"canary abc {number} mail [EMAIL]"


def test_each_line_once_is_what_should_be(ledger: ProbeLedger) -> None:
    assert ledger.pending == 1
    assert ledger.observe([stored(0)], 101.0) == ([Change("stored", 1)], [])
    assert ledger.observe([stored(0), stored(1)], 102.5) == ([Change("stored", 1)], [2.5])
    assert ledger.observe([stored(0), stored(1)], 103.0) == ([], [])
    assert ledger.judge(399.0) == []
    assert ledger.pending == 0


def test_a_line_that_does_not_come_is_lost_once(ledger: ProbeLedger) -> None:
    ledger.observe([stored(0)], 101.0)
    assert ledger.judge(160.0) == []
    assert ledger.judge(161.0) == [Change("lost", 1)]
    assert ledger.judge(170.0) == []
    assert ledger.pending == 0


def test_a_second_row_is_a_duplicate_even_late(ledger: ProbeLedger) -> None:
    ledger.observe([stored(0), stored(1)], 101.0)
    assert ledger.observe([stored(0), stored(0, "another"), stored(1)], 250.0) == ([Change("duplicated", 1)], [])


def test_personal_data_that_comes_back_is_told(ledger: ProbeLedger) -> None:
    changes, _ = ledger.observe([("id", "canary abc 0 mail abc@example.com")], 101.0)
    assert Change("unredacted", 1) in changes


def test_lines_of_others_count_nothing(ledger: ProbeLedger) -> None:
    foreign = [("1", "canary xyz 0 mail [EMAIL]"), ("2", "canary abc 7 mail x"), ("3", "canary"), ("4", "hello a b c")]
    assert ledger.observe(foreign, 101.0) == ([], [])


def test_forgotten_after_the_watch(ledger: ProbeLedger) -> None:
    ledger.observe([stored(0), stored(1)], 101.0)
    ledger.judge(401.0)
    assert ledger.observe([stored(0, "late")], 402.0) == ([], [])


def test_what_is_sent_holds_what_is_looked_for() -> None:
    probe = Probe("abc", 2, 0.0)
    assert [message.split(" ")[:3] for message in probe.messages()] == [["canary", "abc", "0"], ["canary", "abc", "1"]]
    assert all(probe.secret in message for message in probe.messages())
