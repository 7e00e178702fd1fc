"""Ships batches to the gateway and follows their receipts. Every batch is accepted once, or the run says why not.

Order for each batch: 1. post it, and again with the same Idempotency-Key while the answer is lost, late or says to
come back; 2. count what the 202 says; 3. ask the API for its receipt, with those of other batches, until it is final.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import httpx
import msgspec

from mockupaws.cli.batch_entries import Batch
from mockupaws.cli.client_settings import ClientSettings
from mockupaws.runtime.errors import PermanentError, RetriableError

RETRIED_STATUS = frozenset({408, 429, 502, 503, 504})
FINAL_STATES = frozenset({"stored", "partly_dead_lettered", "dead_lettered"})
_LONGEST_PAUSE_SECONDS = 5.0
_RECEIPT_PAUSE_SECONDS = (0.3, 2.0)
_RECEIPTS_AT_ONCE = 100
"""What the API takes in a call."""


class RefusedError(PermanentError):
    """The server answered that the same request would be refused again."""


class GaveUpError(RetriableError):
    """Nothing got through for as long as the user was ready to wait."""


class Rejection(msgspec.Struct):
    index: int
    code: str
    message: str


class Accepted(msgspec.Struct):
    request_id: str
    accepted: int
    rejected: list[Rejection] = []
    duplicate: bool = False


class Receipt(msgspec.Struct):
    request_id: str
    state: Literal["queued", "stored", "partly_dead_lettered", "dead_lettered"]
    stored: int = 0
    dead_lettered: int = 0


class _Receipts(msgspec.Struct):
    receipts: list[Receipt]


class _ErrorBody(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Error(msgspec.Struct):
    error: _ErrorBody


@dataclass(slots=True)
class Totals:
    """What a run has come to so far, in lines."""

    sent: int = 0
    accepted: int = 0
    stored: int = 0
    dead_lettered: int = 0
    retries: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """Reason (code and first message of it) → lines."""

    @property
    def unconfirmed(self) -> int:
        return self.accepted - self.stored - self.dead_lettered


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    request_seconds: float = 30.0
    """Limit for one request."""
    give_up_after_seconds: float = 120.0
    """How long nothing may get through before the run ends."""
    receipts_seconds: float = 120.0
    """How long no receipt may become final before the run ends."""
    requests_in_flight: int = 4


class Shipper:
    """One run. `totals` can be read at any time."""

    def __init__(self, settings: ClientSettings, patience: Patience, client: httpx.AsyncClient) -> None:
        self._settings = settings
        self._patience = patience
        self._client = client
        self._awaited: asyncio.Queue[str] = asyncio.Queue()
        """Ids of requests whose receipts aren't final."""
        self._last_accepted = time.monotonic()
        self._last_confirmed = time.monotonic()
        self._receipt_problem = ""
        """Why the last look at a receipt came to nothing; empty where it told a state."""
        self.totals = Totals()

    async def ship(self, batches: Iterator[Batch], on_progress: Callable[[], None] = lambda: None) -> None:
        """Takes `batches` (in a thread: it may block) until they end and every receipt is final.

        Raises RefusedError or GaveUpError; what was accepted until then is in `totals`.
        """
        queue: asyncio.Queue[Batch | None] = asyncio.Queue(maxsize=self._patience.requests_in_flight)
        confirming = asyncio.create_task(self._confirm())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fill(queue, batches))
                for _ in range(self._patience.requests_in_flight):
                    group.create_task(self._deliver_all(queue, on_progress))
            await self._wait_for_receipts(confirming, on_progress)
        except ExceptionGroup as group_of_errors:  # deliveries side by side fail for one reason: the first says it
            raise group_of_errors.exceptions[0] from None
        finally:
            confirming.cancel()
            await asyncio.gather(confirming, return_exceptions=True)

    async def _fill(self, queue: asyncio.Queue[Batch | None], batches: Iterator[Batch]) -> None:
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            self.totals.sent += batch.entries
            await queue.put(batch)
        for _ in range(self._patience.requests_in_flight):
            await queue.put(None)

    async def _deliver_all(self, queue: asyncio.Queue[Batch | None], on_progress: Callable[[], None]) -> None:
        while (batch := await queue.get()) is not None:
            accepted = await self._deliver(batch)
            self.totals.accepted += accepted.accepted
            for rejection in accepted.rejected:
                self.totals.rejected[f"{rejection.code}: {rejection.message}"] += 1
            self._last_accepted = time.monotonic()
            self._awaited.put_nowait(accepted.request_id)
            on_progress()

    async def _deliver(self, batch: Batch) -> Accepted:
        url = f"{self._settings.ingest_url}/api/v1/ingest"
        headers = {
            "Authorization": f"Bearer {self._settings.api_key}",
            "Content-Type": "application/json",
            "Content-Encoding": "zstd",
            "Idempotency-Key": batch.idempotency_key,
        }
        began = time.monotonic()
        pause = 0.1
        while True:
            retry_after: float | None = None
            try:
                answer = await self._client.post(
                    url, content=batch.body, headers=headers, timeout=self._patience.request_seconds
                )
            except httpx.TransportError as error:
                problem = _told(error)
            else:
                if answer.status_code == 202:
                    return msgspec.json.decode(answer.content, type=Accepted)
                problem = describe_answer(answer)
                if answer.status_code not in RETRIED_STATUS:
                    raise RefusedError(problem)
                retry_after = seconds_of(answer.headers.get("Retry-After"))
            self.totals.retries += 1
            waited = time.monotonic() - max(began, self._last_accepted)
            if waited > self._patience.give_up_after_seconds:
                raise GaveUpError(f"nothing accepted for {waited:.0f} s by {url}; the last answer: {problem}")
            if retry_after is not None and retry_after > self._patience.give_up_after_seconds:
                raise GaveUpError(f"{url} takes nothing for {retry_after:.0f} s: {problem}")
            await asyncio.sleep((retry_after if retry_after is not None else pause) * random.uniform(1.0, 1.2))  # noqa: S311 (spreads retries)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _confirm(self) -> None:
        """Asks for many receipts at once, those that have waited longest first."""
        pause = _RECEIPT_PAUSE_SECONDS[0]
        while True:
            asked = [await self._awaited.get()]
            await asyncio.sleep(pause)
            while len(asked) < _RECEIPTS_AT_ONCE and not self._awaited.empty():
                asked.append(self._awaited.get_nowait())
            receipts, retry_after = await self._receipts(asked)
            final = {receipt.request_id: receipt for receipt in receipts if receipt.state in FINAL_STATES}
            for request_id in asked:
                if (receipt := final.get(request_id)) is not None:
                    self.totals.stored += receipt.stored
                    self.totals.dead_lettered += receipt.dead_lettered
                    self._last_confirmed = time.monotonic()
                else:
                    self._awaited.put_nowait(request_id)
                self._awaited.task_done()
            pause = _RECEIPT_PAUSE_SECONDS[0] if final else min(pause * 1.5, _RECEIPT_PAUSE_SECONDS[1])
            pause = max(pause, retry_after or 0.0)

    async def _receipts(self, request_ids: list[str]) -> tuple[list[Receipt], float | None]:
        """Of those the API knows, none while it is away or limits; and after how long to ask again."""
        try:
            answer = await self._client.get(
                f"{self._settings.api_url}/api/v1/ingest/receipts",
                params={"request_ids": ",".join(request_ids)},
                headers={"Authorization": f"Bearer {self._settings.api_key}"},
                timeout=self._patience.request_seconds,
            )
        except httpx.TransportError as error:
            self._receipt_problem = f"{self._settings.api_url} can't be asked: {_told(error)}"
            return [], None
        if answer.status_code == 200:
            self._receipt_problem = ""
            return msgspec.json.decode(answer.content, type=_Receipts).receipts, None
        self._receipt_problem = f"{self._settings.api_url} answers {describe_answer(answer)}"
        # 404: an API of before this call, while an installation is upgraded.
        if answer.status_code in (404, 500) or answer.status_code in RETRIED_STATUS:
            return [], seconds_of(answer.headers.get("Retry-After"))
        raise RefusedError(f"receipts: {describe_answer(answer)}")

    async def _wait_for_receipts(self, confirming: asyncio.Task[None], on_progress: Callable[[], None]) -> None:
        self._last_confirmed = time.monotonic()
        finished = asyncio.create_task(self._awaited.join())
        try:
            while not finished.done():
                await asyncio.wait([finished, confirming], timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
                on_progress()
                if confirming.done():
                    await confirming
                if time.monotonic() - self._last_confirmed > self._patience.receipts_seconds:
                    why = f" ({self._receipt_problem})" if self._receipt_problem else ""
                    raise GaveUpError(
                        f"{self.totals.unconfirmed} accepted lines have no final receipt after "
                        f"{self._patience.receipts_seconds:.0f} s{why}; they are kept, and processed when the servers "
                        "go on: don't send them again"
                    )
        finally:
            finished.cancel()


def _told(error: httpx.TransportError) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def seconds_of(retry_after: str | None) -> float | None:
    """Only the form in seconds is read; None for any other."""
    try:
        return max(0.0, float(retry_after)) if retry_after else None
    except ValueError:
        return None


def describe_answer(answer: httpx.Response) -> str:
    """The error table's code and message where the body holds them."""
    try:
        error = msgspec.json.decode(answer.content, type=_Error).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"HTTP {answer.status_code}"
    return f"HTTP {answer.status_code} {error.code}: {error.message}"
