"""The invariants of docs/reliability.md, decided from what was sent and what the stores hold. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from tests.adversity.ledger import LedgerRequest, ReadLedger
from tests.adversity.oracle.tally import LetterRow, Receipts, Tally, Trouble

Invariant = Literal["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10"]
INVARIANTS: tuple[Invariant, ...] = get_args(Invariant)
MEANING: dict[Invariant, str] = {
    "I1": "each accepted line stands exactly once, as it should, in Postgres and in the archive, or in a dead letter",
    "I2": "a line of unknown outcome stands at most once, and in both stores or in none",
    "I3": "a refused line stands nowhere",
    "I4": "nothing stands anywhere that was not sent",
    "I5": "the rollups are a recount of the rows",
    "I6": "each row carries its own tenant and scenario",
    "I7": "accepted = stored + dead-lettered for each accepted request, and counters agree",
    "I8": "memory, file descriptors and disk are bounded",
    "I9": "each refusal is a documented one, and no personal data stands in a log or a store",
    "I10": "it recovered in time without a human",
}


@dataclass(frozen=True, slots=True)
class Violation:
    invariant: Invariant
    what: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What the stores hold of one run."""

    postgres: Tally
    archive: Tally
    receipts: Receipts
    letters: Sequence[LetterRow]


def check_lines(ledger: ReadLedger, stored: Stored) -> list[Violation]:
    """I1 to I4, I6, I7 (receipts) and the stores' part of I9."""
    troubles: dict[Invariant, Trouble] = defaultdict(Trouble)
    letters = _letters_by_request(ledger, stored.letters)
    for number, request in ledger.requests.items():
        lines = request.intent.lines
        rows = stored.postgres.count_of(number, lines)
        archived = stored.archive.count_of(number, lines)
        lettered = letters.get(number, {})
        match request.outcome:
            case "ok":
                _check_accepted(troubles, request, rows, archived, lettered)
                _check_receipt(troubles, request, rows, lettered, stored.receipts)
            case "unknown":
                _check_unknown(troubles, number, rows, archived, lettered)
            case "fail":
                if any(rows) or any(archived) or lettered:
                    troubles["I3"].add(f"request {number} was refused: {_counts(rows, archived)}")
    _check_store(troubles, "Postgres", stored.postgres)
    _check_store(troubles, "the archive", stored.archive)
    return [Violation(invariant, str(trouble)) for invariant, trouble in troubles.items()]


def check_answers(ledger: ReadLedger) -> list[Violation]:
    """The answers' part of I9."""
    trouble = Trouble()
    for request in ledger.requests.values():
        for result in request.results:
            if result.defect:
                trouble.add(f"request {request.intent.number}: {result.defect}")
    return [Violation("I9", str(trouble))] if trouble.count else []


def _check_accepted(
    troubles: dict[Invariant, Trouble],
    request: LedgerRequest,
    rows: bytes,
    archived: bytes,
    lettered: dict[int, str],
) -> None:
    accepted = request.accepted
    assert accepted is not None
    number, intent = request.intent.number, request.intent
    if accepted.accepted + len(accepted.rejected) != intent.lines:
        troubles["I1"].add(f"request {number}: {accepted.accepted} lines accepted of {intent.lines}")
    for index in range(intent.lines):
        if index in accepted.rejected:
            wanted = (0, 0)
        elif intent.reuses is not None:
            wanted = (0, 0)
            if index not in lettered and not accepted.duplicate:
                troubles["I1"].add(f"line {number}.{index} came under a used key and is in no dead letter")
        elif index in lettered:
            wanted = (0, min(archived[index], 1))  # the archive may hold what Postgres refused
        else:
            wanted = (1, 1)
        if (rows[index], archived[index]) != wanted:
            invariant: Invariant = "I3" if index in accepted.rejected else "I1"
            troubles[invariant].add(f"line {number}.{index} {_counts(rows[index : index + 1], archived[index:])}")


def _check_unknown(
    troubles: dict[Invariant, Trouble], number: int, rows: bytes, archived: bytes, lettered: dict[int, str]
) -> None:
    kept = [index for index in range(len(rows)) if index not in lettered]
    states = {(rows[index], archived[index]) for index in kept}
    if states - {(0, 0), (1, 1)} or len(states) > 1:
        troubles["I2"].add(f"request {number} of unknown outcome: {_counts(rows, archived)}")


def _check_receipt(
    troubles: dict[Invariant, Trouble],
    request: LedgerRequest,
    rows: bytes,
    lettered: dict[int, str],
    receipts: Receipts,
) -> None:
    result = request.accepted
    assert result is not None
    assert result.request_id is not None
    if request.intent.reuses is not None:
        return  # it has the receipt of the request whose key it came under
    receipt = receipts.get(result.request_id)
    if receipt is None:
        troubles["I7"].add(f"request {request.intent.number} has no receipt")
    elif not receipt.accepted == receipt.stored + receipt.dead_lettered == result.accepted:
        troubles["I7"].add(f"request {request.intent.number}: {result.accepted} accepted, and {receipt}")
    elif (receipt.stored, receipt.dead_lettered) != (sum(rows), len(lettered)):
        troubles["I7"].add(f"request {request.intent.number}: {sum(rows)} rows, {len(lettered)} letters, and {receipt}")


def _check_store(troubles: dict[Invariant, Trouble], name: str, tally: Tally) -> None:
    kinds: list[tuple[Invariant, str, Trouble]] = [
        ("I4", "not in the ledger", tally.strangers),
        ("I1", "altered", tally.altered),
        ("I6", "with another tenant", tally.foreign),
        ("I9", "with personal data", tally.leaks),
    ]
    for invariant, what, trouble in kinds:
        if trouble.count:
            troubles[invariant].add(f"{name}: rows {what}: {trouble}")


def _letters_by_request(ledger: ReadLedger, letters: Iterable[LetterRow]) -> dict[int, dict[int, str]]:
    """Request → index of the line → reason. A request of unknown outcome is known by its lines alone."""
    by_id = {
        request.accepted.request_id: number
        for number, request in ledger.requests.items()
        if request.accepted is not None and request.intent.reuses is None
    }
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for letter in letters:
        if letter.reason == "idempotency_key_reused" or letter.request_id not in by_id:
            for number, index in letter.tokens:
                found[number][index] = letter.reason
        else:
            for index in letter.indexes:
                found[by_id[letter.request_id]][index] = letter.reason
    return found


def _counts(rows: bytes, archived: bytes) -> str:
    def show(counts: bytes) -> str:
        return (
            ", ".join(f"{counts.count(n)} lines {n} times" for n in sorted(set(counts)))
            if len(counts) > 1
            else (f"{counts[0]} times" if counts else "never")
        )

    return f"in Postgres {show(rows)}, in the archive {show(archived[: len(rows)])}"
