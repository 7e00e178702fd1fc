"""What stands in the ledger after a kill, and what each request's outcome is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from tests.adversity.ledger import Head, Intent, Ledger, LedgerRequest, Outcome, Result, read_ledger
from tests.adversity.lines import CANARIES, TOKEN, Content
from tests.adversity.load import plan_requests, read_answer

HEAD = Head(7, "r7", [UUID(int=1)], [UUID(int=2)])


async def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger", HEAD) as ledger:
        await asyncio.gather(*(ledger.write(Intent(n, 0, 0, 5, None)) for n in range(100)))
        await ledger.write(Result(3, 0, "ok", 202, request_id=UUID(int=9), accepted=5))
    read = read_ledger(tmp_path / "ledger")
    assert read.head == HEAD
    assert read.lines == 500
    assert read.requests[3].outcome == "ok"
    assert read.requests[4].outcome == "unknown"


async def test_a_record_is_in_the_file_when_write_returns(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger(path, HEAD) as ledger:
        await ledger.write(Intent(1, 0, 0, 5, "key"))
        assert read_ledger(path).requests[1].intent.key == "key"


async def test_a_last_line_cut_off_by_a_kill_is_skipped_and_other_damage_is_not(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger(path, HEAD) as ledger:
        await ledger.write(Intent(1, 0, 0, 5, None))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"type":"res')
    assert list(read_ledger(path).requests) == [1]
    path.write_bytes(whole + b'{"type":"res\n')
    with pytest.raises(msgspec.DecodeError):
        read_ledger(path)


@pytest.mark.parametrize(
    ("outcomes", "attempts", "outcome"),
    [
        (["ok"], 1, "ok"),
        (["unknown", "ok"], 2, "ok"),
        (["unknown", "fail"], 2, "unknown"),
        (["fail", "fail"], 2, "fail"),
        (["fail"], 2, "unknown"),  # the second attempt was cut off by a kill
        ([], 1, "unknown"),
    ],
)
def test_the_outcome_of_several_attempts(outcomes: list[Outcome], attempts: int, outcome: Outcome) -> None:
    results = [Result(1, number, each) for number, each in enumerate(outcomes)]
    assert LedgerRequest(Intent(1, 0, 0, 5, "key"), results, attempts).outcome == outcome


def test_lines_are_unique_the_same_for_a_seed_and_some_are_personal() -> None:
    lines = [line for number in range(50) for line in Content(7, "r7").lines(number, 20)]
    assert lines == [line for number in range(50) for line in Content(7, "r7").lines(number, 20)]
    assert lines != [line for number in range(50) for line in Content(8, "r7").lines(number, 20)]
    assert len({TOKEN.match(line.sent) and line.sent.split()[0] for line in lines}) == 1000
    assert all(any(canary in line.sent for line in lines) for canary in CANARIES)
    assert not any(canary in line.stored for line in lines for canary in CANARIES)


def test_plans_are_the_same_for_a_seed() -> None:
    plans = [plan for plan, _ in zip(plan_requests(7, 2), range(500), strict=False)]
    assert plans == [plan for plan, _ in zip(plan_requests(7, 2), range(500), strict=False)]
    assert {plan.tenant for plan in plans} == {0, 1}
    assert {plan.wrong for plan in plans} == {"", "no key", "no scenario", "no JSON", "reused key"}
    assert max(plan.lines for plan in plans) > 300
    assert min(plan.lines for plan in plans) == 1


GOOD = b'{"error":{"code":"not_durable","message":"m","retryable":true,"request_id":"r"}}'


@pytest.mark.parametrize(
    ("status", "body", "outcome", "has_defect"),
    [
        (503, GOOD, "unknown", False),
        (400, GOOD, "fail", True),  # the code's status is another
        (503, GOOD.replace(b"true", b"false"), "unknown", True),
        (503, GOOD.replace(b'"r"', b'""'), "unknown", True),
        (500, b"Internal Server Error", "unknown", True),
        (503, GOOD.replace(b"not_durable", b"oops"), "unknown", True),
        (202, b"{}", "unknown", True),
    ],
)
def test_answers_are_held_to_the_table_of_errors(status: int, body: bytes, outcome: str, has_defect: bool) -> None:
    result = read_answer(1, 0, status, body)
    assert (result.outcome, bool(result.defect)) == (outcome, has_defect)
