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
from functools import partial

import msgspec
import uvloop

from tests.benchmarks.http_connections import Answer, Connections
from tests.benchmarks.log_lines import LINES_IN_BODY, make_bodies
from tests.benchmarks.request_forms import FORMS, FormName

_DISTINCT_LINES = 6_400
_PROBES_PER_SECOND = 4
_PROBE_PAUSE_SECONDS = 0.1
_PROBES_AT_ONCE = 100
"""Receipts the API tells of in one call."""
_PROBE_LIMIT_SECONDS = 120.0
_LEAST_SLEEP_SECONDS = 0.0005
_BURST = 32
_ACCEPTED = (200, 202)
"""Peers answer 200."""
_TO_BE_SENT_LATER = (429, 503)


class Plan(msgspec.Struct, frozen=True):
    ingest_url: str
    api_url: str | None
    """None: it has no receipts, and nothing is probed."""
    api_key: str
    scenario_id: str
    rate: int
    """Lines a second."""
    seconds: float
    lines_in_request: int = LINES_IN_BODY
    connections: int = 512
    """At most."""
    form: FormName = "mockupaws"
    """How the system takes lines."""


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


class LoadGenerator:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._gateway = Connections(plan.ingest_url, plan.connections)
        self._api = Connections(plan.api_url) if plan.api_url is not None else None
        form, lines = FORMS[plan.form], plan.lines_in_request
        self._requests = [
            f"POST {form.path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {plan.api_key}\r\n"
            f"Content-Type: {form.content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
            for body in make_bodies(plan.scenario_id, _DISTINCT_LINES // lines, lines, form=plan.form)
        ]
        self._outcome = Outcome(0, 0, {}, [], [], 0.0, 0.0)
        self._errors: Counter[str] = Counter()
        self._unanswered = 0
        self._all_answered = asyncio.Event()
        self._probes: dict[str, float] = {}
        """Requests that are followed until they can be read: id → when they were acknowledged."""

    async def run(self) -> Outcome:
        plan, requests, outcome = self._plan, self._requests, self._outcome
        interval = plan.lines_in_request / plan.rate
        probe_every = max(1, round(1 / interval / _PROBES_PER_SECOND))
        outcome.requests = self._unanswered = round(plan.seconds / interval)
        following = asyncio.create_task(self._follow_probes()) if self._api is not None else None
        start = time.perf_counter()
        for number in range(outcome.requests):
            due = start + number * interval
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(max(wait, _LEAST_SLEEP_SECONDS))
            elif number % _BURST == 0:
                await asyncio.sleep(0)  # late: answers are read all the same
            outcome.late_ms = max(outcome.late_ms, (time.perf_counter() - due) * 1000)
            probed = self._api is not None and number % probe_every == 0
            self._gateway.send(requests[number % len(requests)], partial(self._answered, due, probed))
        await self._all_answered.wait()
        if following is not None:
            while self._probes and not following.done():
                await asyncio.sleep(_PROBE_PAUSE_SECONDS)
            if following.done():
                following.result()  # it failed
            following.cancel()
        for connections in (self._gateway, self._api):
            if connections is not None:
                connections.close()
        outcome.ack_ms.sort()
        outcome.freshness_s.sort()
        outcome.errors = dict(self._errors)
        outcome.cpu_seconds = time.process_time()
        return outcome

    def _answered(self, due: float, probed: bool, answer: Answer | Exception) -> None:
        self._unanswered -= 1
        if not self._unanswered:
            self._all_answered.set()
        if isinstance(answer, Exception):
            self._errors[type(answer).__name__] += 1
            return
        if answer.status not in _ACCEPTED:
            says_when = answer.status not in _TO_BE_SENT_LATER or b"\r\nretry-after:" in answer.head
            self._errors[f"HTTP {answer.status}{'' if says_when else ' without Retry-After'}"] += 1
            return
        acked = time.perf_counter()
        self._outcome.ack_ms.append((acked - due) * 1000)
        self._outcome.accepted_lines += self._plan.lines_in_request
        if probed:
            self._probes[msgspec.json.decode(answer.body)["request_id"]] = acked

    async def _follow_probes(self) -> None:
        """Asks for all receipts that are awaited in one call, ten times a second: what is measured has to bear it."""
        assert self._api is not None
        while True:
            await asyncio.sleep(_PROBE_PAUSE_SECONDS)
            now = time.perf_counter()
            for request_id in [name for name, acked in self._probes.items() if now - acked > _PROBE_LIMIT_SECONDS]:
                self._outcome.freshness_s.append(now - self._probes.pop(request_id))
            if not self._probes:
                continue
            request = (
                f"GET /api/v1/ingest/receipts?request_ids={','.join(list(self._probes)[:_PROBES_AT_ONCE])} HTTP/1.1\r\n"
                f"Host: localhost\r\nAuthorization: Bearer {self._plan.api_key}\r\n\r\n"
            )
            try:
                answer = await self._api.call(request.encode())
            except (OSError, EOFError, TimeoutError, ValueError) as error:
                self._errors[f"receipts: {type(error).__name__}"] += 1
                continue
            if answer.status != 200:
                self._errors[f"receipts: HTTP {answer.status}"] += 1
                continue
            now = time.perf_counter()
            for receipt in msgspec.json.decode(answer.body)["receipts"]:
                if receipt["state"] != "queued":
                    self._outcome.freshness_s.append(now - self._probes.pop(receipt["request_id"]))


async def _generate(plan: Plan) -> Outcome:
    return await LoadGenerator(plan).run()


def main() -> None:
    plan = msgspec.json.decode(sys.argv[1], type=Plan)
    outcome = uvloop.run(_generate(plan))
    with open(sys.stdout.fileno(), "wb", closefd=False) as output:  # whole even where Python runs unbuffered
        output.write(msgspec.json.encode(outcome) + b"\n")


if __name__ == "__main__":
    main()
