"""The oracle complains of each way in which a line can be lost, doubled, altered or misplaced; and of nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest

from tests.adversity.ledger import Head, Intent, LedgerRequest, ReadLedger, Result
from tests.adversity.lines import Content
from tests.adversity.oracle.invariants import Stored, check_answers, check_lines
from tests.adversity.oracle.observe import LogEnds, Use, check_bounds
from tests.adversity.oracle.tally import LetterRow, ReceiptRow, Tally

HEAD = Head(7, "r7", [UUID(int=1), UUID(int=2)], [UUID(int=11), UUID(int=12)])
CONTENT = Content(HEAD.seed, HEAD.run)
LINES = 6
OK, UNKNOWN, FAIL, REUSED = range(4)
REQUEST_ID, REUSED_ID = UUID(int=100), UUID(int=101)


def ledger() -> ReadLedger:
    def request(number: int, result: Result, **fields: int) -> LedgerRequest:
        return LedgerRequest(Intent(number, 0, number % 2, LINES, None, **fields), [result], 1)

    accepted = Result(OK, 0, "ok", 202, request_id=REQUEST_ID, accepted=LINES)
    return ReadLedger(
        HEAD,
        {
            OK: request(OK, accepted),
            UNKNOWN: request(UNKNOWN, Result(UNKNOWN, 0, "unknown", 503, "not_durable")),
            FAIL: request(FAIL, Result(FAIL, 0, "fail", 404, "scenario_not_found")),
            REUSED: request(REUSED, replace_result(accepted, number=REUSED, request_id=REUSED_ID), reuses=OK),
        },
    )


def replace_result(result: Result, number: int, request_id: UUID) -> Result:
    return Result(number, 0, result.outcome, result.status, request_id=request_id, accepted=result.accepted)


@dataclass
class Row:
    tenant_id: UUID
    scenario_id: UUID
    text: str
    digest: bytes


def rows_of(number: int) -> list[Row]:
    tenant = number % 2
    return [
        Row(HEAD.tenant_ids[tenant], HEAD.scenario_ids[tenant], line.stored, sha256(line.stored.encode()).digest())
        for line in CONTENT.lines(number, LINES)
    ]


@dataclass
class Stores:
    """What stands where; right at first."""

    postgres: list[Row] = field(default_factory=lambda: rows_of(OK))
    archive: list[Row] = field(default_factory=lambda: rows_of(OK))
    receipts: dict[UUID, ReceiptRow] = field(default_factory=lambda: {REQUEST_ID: ReceiptRow(LINES, LINES, 0)})
    letters: list[LetterRow] = field(
        default_factory=lambda: [
            LetterRow(REUSED_ID, "idempotency_key_reused", (), tuple((REUSED, index) for index in range(LINES)))
        ]
    )

    def store_in_both(self, rows: list[Row]) -> None:
        self.postgres += rows
        self.archive += rows

    def broken(self) -> set[str]:
        read = ledger()
        tallies = []
        for rows, cut_at in ((self.postgres, 500), (self.archive, None)):
            tally = Tally(read, cut_at)
            for row in rows:
                tally.add(row.tenant_id, row.scenario_id, row.text[:cut_at], row.digest, None)
            tallies.append(tally)
        stored = Stored(tallies[0], tallies[1], self.receipts, self.letters)
        return {violation.invariant for violation in check_lines(read, stored)}


def test_nothing_is_wrong_with_what_is_right() -> None:
    assert Stores().broken() == set()


def test_an_unknown_request_may_be_stored_whole_in_both_stores() -> None:
    stores = Stores()
    stores.store_in_both(rows_of(UNKNOWN))
    assert stores.broken() == set()


def test_a_dead_letter_takes_the_place_of_a_row() -> None:
    stores = Stores(receipts={REQUEST_ID: ReceiptRow(LINES, LINES - 1, 1)})
    stores.letters.append(LetterRow(REQUEST_ID, "row_refused", (2,), ()))
    del stores.postgres[2]
    assert stores.broken() == set()  # the archive may keep what Postgres refuses
    del stores.archive[2]
    assert stores.broken() == set()


def altered(row: Row, **fields: object) -> Row:
    return replace(row, **fields)  # type: ignore[arg-type]


SPOILED: list[tuple[str, Callable[[Stores], object], set[str]]] = [
    ("lost in Postgres", lambda s: s.postgres.pop(3), {"I1", "I7"}),
    ("lost in the archive", lambda s: s.archive.pop(3), {"I1"}),
    ("twice in Postgres", lambda s: s.postgres.append(s.postgres[3]), {"I1", "I7"}),
    ("twice in the archive", lambda s: s.archive.append(s.archive[3]), {"I1"}),
    ("other text", lambda s: s.postgres.append(altered(s.postgres.pop(3), text=s.postgres[0].text[:12] + "?")), {"I1"}),
    ("other hash", lambda s: s.archive.append(altered(s.archive.pop(3), digest=bytes(32))), {"I1"}),
    ("cut in the archive", lambda s: s.archive.append(altered(s.archive.pop(3), text=s.archive[3].text[:20])), {"I1"}),
    ("unknown in one store", lambda s: s.postgres.extend(rows_of(UNKNOWN)), {"I2"}),
    ("half of an unknown one", lambda s: s.store_in_both(rows_of(UNKNOWN)[:1]), {"I2"}),
    ("unknown twice", lambda s: s.store_in_both(rows_of(UNKNOWN) * 2), {"I2"}),
    ("refused and stored", lambda s: s.postgres.append(rows_of(FAIL)[0]), {"I3"}),
    ("refused and archived", lambda s: s.archive.append(rows_of(FAIL)[0]), {"I3"}),
    ("never sent", lambda s: s.postgres.append(altered(rows_of(OK)[0], text="drill=r7.99.0 x")), {"I4"}),
    ("of another run", lambda s: s.archive.append(altered(rows_of(OK)[0], text="drill=r8.0.0 x")), {"I4"}),
    ("without a mark", lambda s: s.archive.append(altered(rows_of(OK)[0], text="hello")), {"I4"}),
    ("another tenant's", lambda s: s.postgres.append(altered(s.postgres.pop(3), tenant_id=HEAD.tenant_ids[1])), {"I6"}),
    ("another scenario's", lambda s: s.archive.append(altered(s.archive[3], scenario_id=HEAD.scenario_ids[1])), {"I6"}),
    ("no receipt", lambda s: s.receipts.clear(), {"I7"}),
    ("a receipt that doesn't add up", lambda s: s.receipts.update({REQUEST_ID: ReceiptRow(LINES, 5, 0)}), {"I7"}),
    ("a receipt of too little", lambda s: s.receipts.update({REQUEST_ID: ReceiptRow(5, 5, 0)}), {"I7"}),
    ("a reused key in no letter", lambda s: s.letters.clear(), {"I1"}),
    ("a reused key's line stored", lambda s: s.postgres.append(rows_of(REUSED)[0]), {"I1"}),
]


@pytest.mark.parametrize(("name", "spoil", "broken"), SPOILED, ids=[name for name, _, _ in SPOILED])
def test_what_is_wrong_breaks_its_invariant(name: str, spoil: Callable[[Stores], object], broken: set[str]) -> None:
    stores = Stores()
    spoil(stores)
    assert broken <= stores.broken(), name


def test_personal_data_in_a_row_breaks_i9() -> None:
    stores = Stores()
    stores.postgres[0] = altered(stores.postgres[0], text=stores.postgres[0].text + "a@canary-leak.example")
    assert "I9" in stores.broken()


def test_an_undocumented_answer_breaks_i9() -> None:
    read = ledger()
    assert check_answers(read) == []
    read.requests[FAIL].results.append(Result(FAIL, 1, "fail", 418, defect="418 teapot isn't in the table of errors"))
    assert [violation.invariant for violation in check_answers(read)] == ["I9"]


def test_personal_data_in_a_log_breaks_i9_and_what_stood_there_before_does_not(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "gateway.log"
    log.parent.mkdir()
    log.write_text("a@canary-leak.example of an earlier run\n")
    ends = LogEnds.of(tmp_path)
    assert ends.check(tmp_path, "r7") == []
    with log.open("a") as file:
        file.write("request failed: drill=r7.3.1 hello\n")
    assert [violation.invariant for violation in ends.check(tmp_path, "r7")] == ["I9"]


def test_growth_without_bounds_breaks_i8(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    before = {"gateway": Use(1, 100, 50)}
    assert check_bounds(before, {"gateway": Use(1, 120, 60)}, tmp_path) == []
    assert check_bounds(before, {"gateway": Use(1, 4000, 60)}, tmp_path)
    assert check_bounds(before, {"gateway": Use(1, 120, 120)}, tmp_path)
    assert check_bounds(before, {"gateway": Use(2, 120, 120)}, tmp_path) == []  # another process
    assert check_bounds(before, {"gateway": Use(2, 120, 1200)}, tmp_path)
