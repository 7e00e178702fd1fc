"""`mockupaws canary`: sends marked requests through the live system and tells what is lost, doubled, late or leaked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import msgspec
import typer

from mockupaws.cli.client_settings import ClientSettings, read_demo_file
from mockupaws.cli.probe_ledger import MARK, Change, Probe, ProbeLedger
from mockupaws.cli.ship_batches import RETRIED_STATUS, describe_answer, seconds_of
from mockupaws.runtime.errors import PermanentError
from mockupaws.runtime.health import HealthReport, HealthServer
from mockupaws.runtime.telemetry import (
    CANARY_ACK_SECONDS,
    CANARY_FAILURES,
    CANARY_FRESHNESS_SECONDS,
    CANARY_LINES,
)

SCENARIO_NAME = "Canary"
WATCH_SECONDS = 300.0
"""How long a probe is looked at for lines that come twice."""
REQUEST_SECONDS = 10.0
_LOOK_SECONDS = 0.25
_SEND_PAUSE_SECONDS = 0.5
_PAGE = 1000
_PAGES = 50


class CanaryError(PermanentError):
    """The canary can't begin."""


class _Line(msgspec.Struct):
    id: str
    message: str


class _Page(msgspec.Struct):
    logs: list[_Line]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How often what is sent, and how long it may take. Seconds."""

    every: float
    lines: int
    lost_after: float
    rounds: int
    """0: until it is stopped."""


def canary(
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two probes.")] = 10.0,
    lines: Annotated[int, typer.Option(min=1, max=100, help="Lines in one probe.")] = 3,
    lost_after: Annotated[float, typer.Option(min=1, help="Seconds after its 202 at which a line is lost.")] = 60.0,
    rounds: Annotated[int, typer.Option(min=0, help="Probes to send; 0: until Ctrl-C.")] = 0,
    metrics_port: Annotated[int, typer.Option(help="Port of 127.0.0.1 for /metrics and /health; 0: none.")] = 0,
    scenario: Annotated[
        str | None, typer.Option(help="Id of the scenario. [default: one named Canary, made if missing]")
    ] = None,
    ingest_url: Annotated[str | None, typer.Option(help="The gateway's address.")] = None,
    api_url: Annotated[str | None, typer.Option(help="The API's address.")] = None,
    api_key: Annotated[str | None, typer.Option(help="Key with the scopes ingest and read (manage to begin).")] = None,
) -> None:
    """Sends marked lines again and again and reads them back: loss, duplication, freshness, redaction.

    Exits with 1 if a line was lost, stored twice or came back with its personal data, or if a probe was not accepted.
    """
    flags = {"ingest_url": ingest_url, "api_url": api_url, "api_key": api_key, "scenario_id": scenario or "unknown"}
    demo_text = read_demo_file(Path(os.environ.get("MOCKUPAWS_HOME", ".mockupaws")))
    settings = ClientSettings.resolve(flags, os.environ, demo_text)
    plan = Plan(every=every, lines=lines, lost_after=lost_after, rounds=rounds)
    run = Canary(settings, plan)
    with HealthServer(metrics_port, run.report):
        asyncio.run(run.run(scenario))
    typer.echo(run.summary())
    if run.failed:
        raise typer.Exit(1)


class Canary:
    """One run: `_send_probes` and `_read_back` side by side."""

    def __init__(self, settings: ClientSettings, plan: Plan) -> None:
        self._settings = settings
        self._plan = plan
        self._ledger = ProbeLedger(plan.lost_after, max(WATCH_SECONDS, plan.lost_after))
        self._counts: Counter[str] = Counter()
        self._freshness: list[float] = []
        self._url = ""

    @property
    def failed(self) -> bool:
        return any(self._counts[bad] for bad in ("lost", "duplicated", "unredacted", "not_accepted"))

    def report(self) -> HealthReport:
        detail = {name: str(count) for name, count in sorted(self._counts.items())}
        latest = self._freshness[-1] if self._freshness else None
        return HealthReport(ready=not self.failed, lag_seconds=latest, detail=detail)

    def summary(self) -> str:
        counts = ", ".join(f"{self._counts[name]} {name}" for name in ("stored", "lost", "duplicated", "unredacted"))
        worst = f"; freshness up to {max(self._freshness):.2f} s" if self._freshness else ""
        refused = f"; {self._counts['not_accepted']} probes not accepted" if self._counts["not_accepted"] else ""
        return f"canary: {self._counts['sent']} lines sent, {counts}{worst}{refused}"

    async def run(self, scenario: str | None) -> None:
        """Until the rounds are over and judged, or SIGINT or SIGTERM. Raises CanaryError."""
        headers = {"Authorization": f"Bearer {self._settings.api_key}"}
        local = {"all://127.0.0.1": None, "all://localhost": None}  # no proxy for this machine
        async with httpx.AsyncClient(timeout=REQUEST_SECONDS, headers=headers, mounts=local) as client:
            scenario = scenario or await self._own_scenario(client)
            self._url = f"{self._settings.api_url}/api/v1/scenarios/{scenario}/logs"
            sending = asyncio.create_task(self._send_probes(client, scenario))
            reading = asyncio.create_task(self._read_back(client, sending))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, reading.cancel)
            try:
                with contextlib.suppress(asyncio.CancelledError):
                    await reading
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    async def _own_scenario(self, client: httpx.AsyncClient) -> str:
        url = f"{self._settings.api_url}/api/v1/scenarios"
        cursor: str | None = None
        try:
            for _ in range(_PAGES):
                page = _checked(await client.get(url, params={"limit": _PAGE} | ({"cursor": cursor} if cursor else {})))
                for known in page["scenarios"]:
                    if known["name"] == SCENARIO_NAME:
                        return str(known["id"])
                cursor = page["next_cursor"]
                if cursor is None:
                    break
            return str(_checked(await client.post(url, json={"name": SCENARIO_NAME}))["id"])
        except httpx.TransportError as error:
            raise CanaryError(f"the API at {url} doesn't answer ({type(error).__name__}): is it up?") from error

    async def _send_probes(self, client: httpx.AsyncClient, scenario: str) -> None:
        number = 0
        began = time.monotonic()
        while not self._plan.rounds or number < self._plan.rounds:
            await self._send_probe(client, scenario)
            number += 1
            await asyncio.sleep(max(0.0, began + number * self._plan.every - time.monotonic()))

    async def _send_probe(self, client: httpx.AsyncClient, scenario: str) -> None:
        """Sends one probe until it is accepted, and then once more: a repeat must change nothing."""
        probe = Probe(secrets.token_hex(8), self._plan.lines, 0.0)
        body = {"scenario_id": scenario, "logs": [{"message": m, "source": MARK} for m in probe.messages()]}
        url = f"{self._settings.ingest_url}/api/v1/ingest"
        headers = {"Idempotency-Key": f"{MARK}-{probe.marker}"}
        began = time.monotonic()
        while True:
            tried = time.monotonic()
            answer = await self._post(client, url, body, headers)
            if answer is not None and answer.status_code == 202:
                break
            if answer is not None and answer.status_code not in RETRIED_STATUS:
                raise CanaryError(f"the gateway refuses the probe: {describe_answer(answer)}")
            CANARY_FAILURES.labels("ingest").inc()
            if time.monotonic() - began > self._plan.lost_after:
                self._counts["not_accepted"] += 1
                return
            wanted = seconds_of(answer.headers.get("Retry-After")) if answer is not None else None
            await asyncio.sleep(min(max(_SEND_PAUSE_SECONDS, wanted or 0.0), self._plan.lost_after))
        probe.accepted_at = time.monotonic()
        CANARY_ACK_SECONDS.observe(probe.accepted_at - tried)
        CANARY_LINES.labels("sent").inc(probe.lines)
        self._counts["sent"] += probe.lines
        self._ledger.add(probe)
        await self._post(client, url, body, headers)

    async def _post(
        self, client: httpx.AsyncClient, url: str, body: dict[str, Any], headers: dict[str, str]
    ) -> httpx.Response | None:
        """None where no answer came."""
        try:
            return await client.post(url, json=body, headers=headers)
        except httpx.TransportError:
            return None

    async def _read_back(self, client: httpx.AsyncClient, sending: asyncio.Task[None]) -> None:
        """Looks often while something is awaited, else once a round; ends when all probes are judged."""
        while True:
            lines = await self._read_lines(client)
            now = time.monotonic()
            changes, freshness = self._ledger.observe(lines, now)
            for seconds in freshness:
                CANARY_FRESHNESS_SECONDS.observe(seconds)
            self._freshness = [*self._freshness, *freshness][-1000:]
            self._note([*changes, *self._ledger.judge(now)])
            if sending.done():
                sending.result()
                if not self._ledger.pending:
                    return
            await asyncio.sleep(_LOOK_SECONDS if self._ledger.pending else min(self._plan.every, 1.0))

    async def _read_lines(self, client: httpx.AsyncClient) -> list[tuple[str, str]]:
        """Lines of all probes still watched; what can't be read now is read the next time."""
        params: dict[str, Any] = {"source": MARK, "limit": _PAGE}
        found: list[tuple[str, str]] = []
        wanted = WATCH_SECONDS / self._plan.every * self._plan.lines + _PAGE
        try:
            while len(found) < wanted:
                answer = await client.get(self._url, params=params)
                if answer.status_code != 200:
                    CANARY_FAILURES.labels("read").inc()
                    break
                page = msgspec.json.decode(answer.content, type=_Page)
                found += [(line.id, line.message) for line in page.logs]
                if page.next_cursor is None:
                    break
                params["cursor"] = page.next_cursor
        except httpx.TransportError:
            CANARY_FAILURES.labels("read").inc()
        return found

    def _note(self, changes: list[Change]) -> None:
        for change in changes:
            CANARY_LINES.labels(change.outcome).inc(change.lines)
            self._counts[change.outcome] += change.lines
            if change.outcome != "stored":
                typer.echo(f"canary: {change.lines} lines {change.outcome}", err=True)


def _checked(answer: httpx.Response) -> Any:
    """The decoded body. Raises CanaryError with what the API said."""
    if answer.status_code not in (200, 201):
        raise CanaryError(f"the API refuses: {describe_answer(answer)}; give --scenario to need the scope `read` only")
    return answer.json()
