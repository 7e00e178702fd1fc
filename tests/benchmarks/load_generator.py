"""An open-loop load generator in a process of its own: requests leave on a fixed timetable, whatever the answers do.

A latency counts from when the request was due, so a slow server can't hide by slowing the generator down. Prints one
JSON object when done. It also follows the receipt of a few requests a second, which gives freshness: how long after
its 202 a request's lines are committed and readable.

    python -m tests.benchmarks.load_generator '{"rate": 10000, "seconds": 60, ...}'
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

import msgspec
import uvloop

from tests.benchmarks.log_lines import LINES_IN_BODY, make_bodies

_BODIES = 64
_MAX_CONNECTIONS = 512
_PROBES_PER_SECOND = 4
_PROBE_PAUSE_SECONDS = 0.05
_PROBE_LIMIT_SECONDS = 120.0
_ANSWER_SECONDS = 60.0


class Plan(msgspec.Struct, frozen=True):
    ingest_url: str
    api_url: str
    api_key: str
    scenario_id: str
    rate: int
    """Lines a second."""
    seconds: float


class Outcome(msgspec.Struct):
    accepted_lines: int
    requests: int
    errors: dict[str, int]
    ack_ms: list[float]
    """Sorted: from due to 202."""
    freshness_s: list[float]
    """Sorted: from 202 to a final receipt, of the requests that were probed."""
    late_ms: float
    """The most a request left after it was due: the generator's own fault."""
    cpu_seconds: float


class Connections:
    """Keep-alive HTTP/1.1 connections to one server; a broken one is dropped."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._slots = asyncio.Semaphore(_MAX_CONNECTIONS)

    async def call(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        async with self._slots, asyncio.timeout(_ANSWER_SECONDS):
            while self._idle:
                try:
                    return await self._call_on(*self._idle.pop(), head, body)
                except (asyncio.IncompleteReadError, ConnectionError) as error:
                    if getattr(error, "partial", b""):
                        raise
                    # the server closed it while it was idle, before this request: any HTTP client takes another one
            return await self._call_on(*await asyncio.open_connection(self.host, self.port), head, body)

    async def _call_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, body: bytes
    ) -> tuple[int, bytes]:
        try:
            writer.write(head)
            writer.write(body)
            answer_head = await reader.readuntil(b"\r\n\r\n")
            answer = await reader.readexactly(_content_length(answer_head))
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return int(answer_head[9:12]), answer


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise ValueError("an answer without Content-Length")


class LoadGenerator:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._gateway = Connections(plan.ingest_url)
        self._api = Connections(plan.api_url)
        self._requests = [
            (
                f"POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {plan.api_key}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode(),
                body,
            )
            for body in make_bodies(plan.scenario_id, _BODIES)
        ]
        self._outcome = Outcome(0, 0, {}, [], [], 0.0, 0.0)
        self._errors: Counter[str] = Counter()

    async def run(self) -> Outcome:
        interval = LINES_IN_BODY / self._plan.rate
        probe_every = max(1, round(1 / interval / _PROBES_PER_SECOND))
        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(round(self._plan.seconds / interval)):
                due = start + number * interval
                if (wait := due - time.perf_counter()) > 0:
                    await asyncio.sleep(wait)
                self._outcome.late_ms = max(self._outcome.late_ms, (time.perf_counter() - due) * 1000)
                group.create_task(self._post(number, due, probed=number % probe_every == 0))
        self._outcome.ack_ms.sort()
        self._outcome.freshness_s.sort()
        self._outcome.errors = dict(self._errors)
        self._outcome.cpu_seconds = time.process_time()
        return self._outcome

    async def _post(self, number: int, due: float, *, probed: bool) -> None:
        self._outcome.requests += 1
        try:
            status, answer = await self._gateway.call(*self._requests[number % len(self._requests)])
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self._errors[type(error).__name__] += 1
            return
        acked = time.perf_counter()
        if status != 202:
            self._errors[f"HTTP {status}"] += 1
            return
        self._outcome.ack_ms.append((acked - due) * 1000)
        self._outcome.accepted_lines += LINES_IN_BODY
        if probed:
            await self._probe(msgspec.json.decode(answer)["receipt"], acked)

    async def _probe(self, receipt: str, acked: float) -> None:
        head = (
            f"GET {receipt} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self._plan.api_key}\r\n\r\n".encode()
        )
        while time.perf_counter() - acked < _PROBE_LIMIT_SECONDS:
            try:
                status, answer = await self._api.call(head, b"")
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self._errors[f"receipt: {type(error).__name__}"] += 1
                return
            if status == 200 and msgspec.json.decode(answer)["state"] != "queued":
                break
            await asyncio.sleep(_PROBE_PAUSE_SECONDS)
        self._outcome.freshness_s.append(time.perf_counter() - acked)


def main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    outcome = uvloop.run(LoadGenerator(plan).run())
    with open(sys.stdout.fileno(), "wb", closefd=False) as output:  # whole even where Python runs unbuffered
        output.write(msgspec.json.encode(outcome) + b"\n")


if __name__ == "__main__":
    main()
