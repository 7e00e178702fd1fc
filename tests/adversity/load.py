"""Producers under a drill: they send from a seed, retry as real clients do, and write down every attempt.

With an `Idempotency-Key` an unknown outcome is tried again under the same key; without one it stays unknown. Some
requests are wrong on purpose, some clients go away in the middle.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from uuid import UUID

import httpx
import msgspec

from mockupaws.ingest_gateway.errors import ERRORS
from mockupaws.schemas.identifiers import partition_of, request_id_of_key
from tests.adversity.ledger import Intent, Ledger, Outcome, Result
from tests.adversity.lines import Content, Line

ANSWER_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 2.0
CLIENTS = 24
MOST_ATTEMPTS = 1000
OVER_THE_LIMIT = 1024 * 1024 + 1
"""Bytes of a message the gateway rejects."""
EXTRA_NUMBERS = 1_000_000
"""Numbers from here on are requests a fault sends besides the load."""
NO_SUCH_SCENARIO = UUID(int=1)


_LETTERS = bytes(ord("a") + byte % 26 for byte in range(256))


@dataclass(frozen=True, slots=True)
class Producer:
    """One tenant as its log shipper knows it."""

    tenant_id: UUID
    scenario_id: UUID
    api_key: str


@dataclass(frozen=True, slots=True)
class Plan:
    """One request before it is sent; the same for the same seed."""

    number: int
    tenant: int
    lines: int
    keyed: bool
    wrong: str
    """Empty, or what is wrong with it."""
    leaves_after_seconds: float | None
    ndjson: bool
    padding: int = 0
    """Bytes more in the attributes of each line, which compress badly."""
    oversized: int | None = None
    """Index of a line in whose place one over the gateway's limit is sent."""


def plan_requests(seed: int, tenants: int) -> Iterator[Plan]:
    """Endless."""
    chance = random.Random(seed)
    for number in itertools.count():
        size = chance.random()
        lines = (
            chance.randint(1, 5) if size < 0.5 else chance.randint(6, 60) if size < 0.88 else chance.randint(61, 400)
        )
        yield Plan(
            number=number,
            tenant=chance.randrange(tenants),
            lines=lines,
            keyed=chance.random() < 0.6,
            wrong=chance.choice(("no key", "no scenario", "no JSON", "reused key")) if chance.random() < 0.03 else "",
            leaves_after_seconds=chance.uniform(0, 0.02) if chance.random() < 0.02 else None,
            ndjson=chance.random() < 0.2,
        )


class Load:
    """Sends from `start` until `stop`; about `lines_per_second`, less while the gateway is slow or away."""

    def __init__(
        self,
        url: str,
        producers: list[Producer],
        content: Content,
        ledger: Ledger,
        lines_per_second: float,
    ) -> None:
        self.accepted_requests = 0
        self.accepted_lines = 0
        self.accepted_of = [0] * len(producers)
        """Requests of each tenant."""
        self.refusals: Counter[str] = Counter()
        """Attempts refused for good, by the error's code."""
        self._url = url
        self._producers = producers
        self._content = content
        self._ledger = ledger
        self._rate = lines_per_second
        self._plans = plan_requests(content.seed, len(producers))
        self._stopping = asyncio.Event()
        self._giving_up = asyncio.Event()
        self._paused = asyncio.Event()
        self._paused.set()
        self._extra = itertools.count(EXTRA_NUMBERS)
        self._tasks: list[asyncio.Task[None]] = []
        self._began = 0.0
        self._sent_lines = 0
        self._accepted_keys: dict[int, int] = {}
        """Tenant → a request of it that was accepted under a key."""
        limits = httpx.Limits(max_connections=2 * CLIENTS, max_keepalive_connections=CLIENTS)
        self._client = httpx.AsyncClient(timeout=ANSWER_SECONDS, limits=limits)

    @property
    def run(self) -> str:
        """Which each of its lines begins with."""
        return self._content.run

    def start(self) -> None:
        self._began = time.monotonic()
        self._tasks = [asyncio.create_task(self._send_requests()) for _ in range(CLIENTS)]

    async def stop(self, retry_seconds: float) -> None:
        """No new requests; what is unknown is tried for `retry_seconds` more, and then stays unknown."""
        self._paused.set()
        self._stopping.set()
        _, pending = await asyncio.wait(self._tasks, timeout=retry_seconds)
        self._giving_up.set()
        if pending:
            await asyncio.wait(pending, timeout=ANSWER_SECONDS + LONGEST_PAUSE_SECONDS)
        await self._client.aclose()
        for task in self._tasks:
            task.result()

    def pause(self) -> None:
        """No new requests until `resume`; those on their way go on."""
        self._paused.clear()

    def resume(self) -> None:
        self._paused.set()

    def plan_keyed(self, lines: int, *, padding: int = 0, oversized: int | None = None) -> Plan:
        """A request of the first tenant with a key, besides the load."""
        return Plan(next(self._extra), 0, lines, True, "", None, False, padding, oversized)

    def plan_in_partition(self, lines: int, partition: int, partitions: int) -> Plan:
        """As `plan_keyed`, with a key that leads to this partition."""
        while True:
            plan = self.plan_keyed(lines)
            request_id = request_id_of_key(self._producers[0].tenant_id, self._key_of(plan.number))
            if partition_of(request_id.bytes, partitions) == partition:
                return plan

    def _key_of(self, number: int) -> str:
        return f"{self._content.run}.{number}"

    async def send_copies(self, plan: Plan, copies: range) -> None:
        """The same request by as many clients at the same time; each copy of a request has a number of its own."""
        await asyncio.gather(*(self._send_request(plan, copy * MOST_ATTEMPTS) for copy in copies))

    async def send_raw(
        self, lines: int, send: Callable[[bytes, bytes], Awaitable[tuple[int, bytes]]], padding: int = 0
    ) -> Result:
        """One request without a key, sent by `send` in its own way: (head, body) → (status, body of the answer)."""
        plan = Plan(next(self._extra), 0, lines, False, "", None, False, padding)
        headers, body = self._request(plan, None, self._content.lines(plan.number, lines))
        headers |= {"Host": "localhost", "Content-Length": str(len(body)), "Connection": "close"}
        head = "POST /api/v1/ingest HTTP/1.1\r\n" + "".join(f"{name}: {text}\r\n" for name, text in headers.items())
        await self._ledger.write(Intent(plan.number, 0, plan.tenant, lines, None))
        try:
            result = read_answer(plan.number, 0, *await send(head.encode() + b"\r\n", body))
        except (OSError, TimeoutError, EOFError, ValueError) as error:
            result = Result(plan.number, 0, "unknown", code=type(error).__name__)
        await self._ledger.write(result)
        return result

    async def wait_for_accepted(self, more_requests: int, seconds: float) -> bool:
        """Whether that many more requests were accepted in time."""
        wanted = self.accepted_requests + more_requests
        deadline = time.monotonic() + seconds
        while self.accepted_requests < wanted and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        return self.accepted_requests >= wanted

    async def _send_requests(self) -> None:
        while not self._stopping.is_set():
            plan = next(self._plans)
            due = self._began + self._sent_lines / self._rate
            self._sent_lines += plan.lines
            await _pause(due - time.monotonic(), self._stopping)
            await self._paused.wait()
            if self._stopping.is_set():
                return
            await self._send_request(plan)

    async def _send_request(self, plan: Plan, first_attempt: int = 0) -> None:
        """Until it is known, or nobody would try again."""
        pause = 0.1
        key = self._key_of(plan.number) if plan.keyed else None
        reuses = self._accepted_keys.get(plan.tenant) if plan.wrong == "reused key" else None
        if reuses is not None:
            key = self._key_of(reuses)
        elif plan.wrong == "reused key":
            return
        for attempt in range(first_attempt, first_attempt + MOST_ATTEMPTS):
            await self._ledger.write(Intent(plan.number, attempt, plan.tenant, plan.lines, key, reuses))
            result = await self._attempt(plan, attempt, key)
            await self._ledger.write(result)
            self.refusals[result.code] += result.outcome == "fail"
            if result.outcome == "ok":
                self.accepted_requests += 1
                self.accepted_lines += result.accepted
                self.accepted_of[plan.tenant] += 1
                if plan.keyed and reuses is None:
                    self._accepted_keys[plan.tenant] = plan.number
                return
            again = result.status == 429 or (result.outcome == "unknown" and key is not None)
            await _pause(pause, self._giving_up)
            if not again or self._giving_up.is_set():
                return
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _attempt(self, plan: Plan, attempt: int, key: str | None) -> Result:
        lines = self._content.lines(plan.number, plan.lines)
        headers, body = self._request(plan, key, lines)
        leaves = plan.leaves_after_seconds if attempt == 0 else None
        try:
            async with asyncio.timeout(leaves if leaves is not None else 2 * ANSWER_SECONDS):
                answer = await self._client.post(f"{self._url}/api/v1/ingest", content=body, headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            return Result(plan.number, attempt, "unknown", code=type(error).__name__)
        return read_answer(plan.number, attempt, answer.status_code, answer.content)

    def _request(self, plan: Plan, key: str | None, lines: list[Line]) -> tuple[dict[str, str], bytes]:
        producer = self._producers[plan.tenant]
        scenario_id = NO_SUCH_SCENARIO if plan.wrong == "no scenario" else producer.scenario_id
        headers = {"Content-Type": "application/json"}
        if plan.wrong != "no key":
            headers["Authorization"] = f"Bearer {producer.api_key}"
        if key is not None:
            headers["Idempotency-Key"] = key
        entries = [_entry(line.sent, plan.number + index, plan.padding) for index, line in enumerate(lines)]
        if plan.oversized is not None:
            entries[plan.oversized] = _entry("x" * OVER_THE_LIMIT, plan.number)
        if plan.ndjson:
            headers |= {"Content-Type": "application/x-ndjson", "X-Scenario-Id": str(scenario_id)}
            body = b"\n".join(entries)
        else:
            body = b'{"scenario_id":"%b","logs":[%b]}' % (str(scenario_id).encode(), b",".join(entries))
        return headers, b"no JSON" if plan.wrong == "no JSON" else body


def _entry(message: str, number: int, padding: int = 0) -> bytes:
    # msgspec refuses half a surrogate pair, which JSON can hold as an escape
    text = msgspec.json.encode(message.replace("\ud83d", "\u0001")).replace(b"\\u0001", b"\\ud83d")
    level = (b"info", b"warn", b"error")[number % 3]
    pad = b',"pad":"%b"' % random.Random(number).randbytes(padding).translate(_LETTERS) if padding else b""
    form = b'{"message":%b,"level":"%b","source":"drill-%d","attributes":{"n":%d%b}}'
    return form % (text, level, number % 5, number, pad)


def read_answer(number: int, attempt: int, status: int, body: bytes) -> Result:
    """What an answer says, and what is wrong with its form."""
    try:
        document = msgspec.json.decode(body)
        if status == 202:
            return Result(
                number,
                attempt,
                "ok",
                status,
                request_id=UUID(document["request_id"]),
                accepted=document["accepted"],
                rejected=[rejection["index"] for rejection in document["rejected"]],
                duplicate=document["duplicate"],
            )
        error = document["error"]
        code, retryable, request_id = error["code"], error["retryable"], error["request_id"]
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as problem:
        return Result(number, attempt, "unknown", status, defect=f"{status} without the documented body: {problem!r}")
    outcome: Outcome = "fail" if 400 <= status < 500 else "unknown"
    kind = ERRORS.get(code)
    defect = ""
    if kind is None or (kind.status, kind.retryable) != (status, retryable) or not request_id:
        defect = f"{status} {code} (retryable {retryable}) isn't in the table of errors"
    return Result(number, attempt, outcome, status, code, defect=defect)


async def _pause(seconds: float, unless: asyncio.Event) -> None:
    if seconds > 0:
        try:
            async with asyncio.timeout(seconds):
                await unless.wait()
        except TimeoutError:
            pass
