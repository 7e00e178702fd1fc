"""What was asked of the gateway and what it answered, written before and after, synced to disk.

A JSON object a line: the run's head, then each attempt's intent before it is sent and its outcome once it is known. An
attempt without an outcome is unknown: whoever sent it died.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from uuid import UUID

import msgspec

Outcome = Literal["ok", "fail", "unknown"]
"""ok: 202. fail: refused for good, nothing may be stored. unknown: timeout, 5xx, reset, or the client is gone."""


class Head(msgspec.Struct, frozen=True, tag="head"):
    """What is needed to make the run's lines again, and whose they are."""

    seed: int
    run: str
    tenant_ids: list[UUID]
    scenario_ids: list[UUID]


class Intent(msgspec.Struct, frozen=True, tag="intent"):
    number: int
    attempt: int
    tenant: int
    """Index in the head's lists."""
    lines: int
    key: str | None
    reuses: int | None = None
    """The request whose Idempotency-Key this other body comes under."""


class Result(msgspec.Struct, frozen=True, tag="result", omit_defaults=True):
    number: int
    attempt: int
    outcome: Outcome
    status: int = 0
    """0: there was no answer."""
    code: str = ""
    """The error's code, or how the connection ended."""
    request_id: UUID | None = None
    accepted: int = 0
    rejected: list[int] = []
    duplicate: bool = False
    defect: str = ""
    """What is wrong with the answer's form (I9)."""


@dataclass(slots=True)
class LedgerRequest:
    """All attempts at one request."""

    intent: Intent
    results: list[Result] = field(default_factory=list)
    attempts: int = 0

    @property
    def outcome(self) -> Outcome:
        """One ok attempt is enough; without one, one unknown attempt leaves it open."""
        outcomes = {result.outcome for result in self.results}
        if "ok" in outcomes:
            return "ok"
        return "unknown" if "unknown" in outcomes or len(self.results) < self.attempts else "fail"

    @property
    def unknown_attempts(self) -> int:
        return self.attempts - sum(result.outcome != "unknown" for result in self.results)

    @property
    def accepted(self) -> Result | None:
        return next((result for result in self.results if result.outcome == "ok"), None)


class Ledger:
    """Open for a run. `write` returns once the record is on disk; those that come together are synced together."""

    def __init__(self, path: Path, head: Head) -> None:
        self._file = path.open("ab")
        self._encoder = msgspec.json.Encoder()
        self._buffer: list[bytes] = []
        self._synced: asyncio.Future[None] | None = None
        self._write_out([self._encoder.encode(head) + b"\n"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._buffer:
            self._write_out(self._buffer)
        self._file.close()

    async def write(self, record: Intent | Result) -> None:
        self._buffer.append(self._encoder.encode(record) + b"\n")
        if self._synced is None:
            self._synced = asyncio.ensure_future(self._sync_soon())
        await asyncio.shield(self._synced)

    async def _sync_soon(self) -> None:
        await asyncio.sleep(0)  # what else comes in this turn goes along
        self._synced = None
        pieces, self._buffer = self._buffer, []
        await asyncio.to_thread(self._write_out, pieces)

    def _write_out(self, pieces: list[bytes]) -> None:
        self._file.write(b"".join(pieces))
        self._file.flush()
        os.fsync(self._file.fileno())


@dataclass(frozen=True, slots=True)
class ReadLedger:
    head: Head
    requests: Mapping[int, LedgerRequest]

    @property
    def lines(self) -> int:
        """Of all requests that were sent at least once."""
        return sum(request.intent.lines for request in self.requests.values())

    def answered_requests(self) -> tuple[int, int]:
        """Attempts that were answered 202, and those of unknown outcome."""
        requests = self.requests.values()
        accepted = sum(result.outcome == "ok" for request in requests for result in request.results)
        return accepted, sum(request.unknown_attempts for request in requests)

    def answered_lines(self) -> tuple[int, int]:
        """Lines accepted and told to be no repeat, and those of attempts of unknown outcome."""
        requests = self.requests.values()
        results = [result for request in requests for result in request.results]
        accepted = sum(result.accepted for result in results if result.outcome == "ok" and not result.duplicate)
        return accepted, sum(request.unknown_attempts * request.intent.lines for request in requests)


def read_ledger(path: Path) -> ReadLedger:
    """A last line that was cut off by a kill is skipped. Raises msgspec.DecodeError on any other damage."""
    decoder = msgspec.json.Decoder(Head | Intent | Result)
    *whole, rest = path.read_bytes().split(b"\n")
    del rest
    head: Head | None = None
    requests: dict[int, LedgerRequest] = {}
    for line in whole:
        match decoder.decode(line):
            case Head() as found:
                head = found
            case Intent() as intent:
                requests.setdefault(intent.number, LedgerRequest(intent)).attempts += 1
            case Result() as result:
                requests[result.number].results.append(result)
    assert head is not None, f"{path} has no head"
    return ReadLedger(head, requests)
