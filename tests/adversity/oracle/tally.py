"""Counts what one store holds of a run, line by line, against the ledger. Pure: rows come in, counts come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from uuid import UUID

from tests.adversity.ledger import ReadLedger
from tests.adversity.lines import CANARIES, TOKEN, Content, Line

SHOWN = 5
"""Examples kept of each kind of trouble."""


@dataclass(slots=True)
class Trouble:
    """How often, and the first of them."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, what: str) -> None:
        self.count += 1
        if len(self.examples) < SHOWN:
            self.examples.append(what)

    def __str__(self) -> str:
        return f"{self.count}: " + "; ".join(self.examples)


class Tally:
    """`cut_at`: characters after which the store cuts a message; None: it keeps all."""

    def __init__(self, ledger: ReadLedger, cut_at: int | None) -> None:
        self.rows = 0
        self.counts: dict[int, bytearray] = {}
        """Request → how often each of its lines stands here."""
        self.strangers = Trouble()
        """Rows of lines that nobody sent (I4)."""
        self.altered = Trouble()
        """Rows whose text or hash isn't that of the line (I1)."""
        self.foreign = Trouble()
        """Rows that stand with another tenant or scenario (I6)."""
        self.leaks = Trouble()
        """Rows in which personal data stands (I9)."""
        self._cut_at = cut_at
        self._run = ledger.head.run
        self._owners = list(zip(ledger.head.tenant_ids, ledger.head.scenario_ids, strict=True))
        self._intents = {number: request.intent for number, request in ledger.requests.items()}
        content = Content(ledger.head.seed, ledger.head.run)
        self._lines = lru_cache(256)(lambda number: _stored(content.lines(number, self._intents[number].lines)))

    def add(self, tenant_id: UUID, scenario_id: UUID, text: str, digest: bytes, attributes: str | None) -> None:
        """One row of the store."""
        self.rows += 1
        if any(canary in text or (attributes and canary in attributes) for canary in CANARIES):
            self.leaks.add(text[:40])
        found = TOKEN.match(text)
        if found is None or found[1] != self._run or int(found[2]) not in self._intents:
            self.strangers.add(text[:60])
            return
        number, index = int(found[2]), int(found[3])
        intent = self._intents[number]
        if index >= intent.lines:
            self.strangers.add(text[:60])
            return
        counts = self.counts.setdefault(number, bytearray(intent.lines))
        counts[index] = min(counts[index] + 1, 255)
        stored, stored_digest = self._lines(number)[index]
        if text != stored[: self._cut_at] or digest != stored_digest:
            self.altered.add(f"{found[0]}: {text[len(found[0]) :][:60]!r}")
        if (tenant_id, scenario_id) != self._owners[intent.tenant]:
            self.foreign.add(f"{found[0]}under tenant {tenant_id}, scenario {scenario_id}")

    def count_of(self, number: int, lines: int) -> bytes:
        return bytes(self.counts.get(number, bytes(lines)))


def _stored(lines: list[Line]) -> list[tuple[str, bytes]]:
    return [(line.stored, sha256(line.stored.encode()).digest()) for line in lines]


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    accepted: int
    stored: int
    dead_lettered: int
    reused: int = 0


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A dead letter: the entries of a request, by index, and why."""

    request_id: UUID | None
    reason: str
    indexes: tuple[int, ...]
    tokens: tuple[tuple[int, int], ...]
    """(request, line) of each line whose beginning stands in the original bytes."""


Receipts = Mapping[UUID, ReceiptRow]
