"""One fault (or several) under load, healed, settled and judged: the unit of a drill."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.adversity.drilled_stack import DrilledStack
from tests.adversity.faults.fault import Fault, NotInjectedError, Scene
from tests.adversity.ledger import Head, Ledger, ReadLedger, read_ledger
from tests.adversity.lines import Content
from tests.adversity.load import Load, Producer
from tests.adversity.oracle.invariants import Violation, check_answers, check_lines
from tests.adversity.oracle.observe import LogEnds, Use, check_bounds, read_counters, uses
from tests.adversity.oracle.read_stores import check_rollups, read_stored
from tests.adversity.oracle.settle import wait_until_quiet
from tests.conftest import make_tenant

LINES_PER_SECOND = 3500.0
TENANTS = 2
WARM_REQUESTS = 15
RETRY_SECONDS = 60.0
QUIET_SECONDS = 120.0
PROBE_SECONDS = 5.0


@dataclass(slots=True)
class TrialResult:
    fault: str
    seed: int
    skipped: str = ""
    violations: list[Violation] = field(default_factory=list)
    requests: int = 0
    lines: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    injected_seconds: float = 0.0
    recovery_seconds: float | None = None
    last_to_recover: list[str] = field(default_factory=list)
    """What was not ready the last time it was looked at."""
    quiet_seconds: float | None = None
    """From the last request until nothing was on its way."""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.violations


async def run_trial(
    stack: DrilledStack, faults: Sequence[Fault], seed: int, folder: Path, lines_per_second: float = LINES_PER_SECOND
) -> TrialResult:
    """The faults one after the other under one load. Never raises for what the system does."""
    name = " + ".join(fault.name for fault in faults)
    result = TrialResult(name, seed)
    result.skipped = next((reason for fault in faults if (reason := _why_skipped(fault))), "")
    if result.skipped:
        return result
    began = time.monotonic()
    run = f"s{seed}_{uuid.uuid4().hex[:6]}"
    producers = [await _make_producer(stack, f"{run}-{number}@drill.example") for number in range(TENANTS)]
    head = Head(seed, run, [p.tenant_id for p in producers], [p.scenario_id for p in producers])
    logs, before, counters = LogEnds.of(stack.home), uses(stack), _counters(stack)
    second_processes = stack.second_processes
    path = folder / f"{run}.ledger"
    with Ledger(path, head) as ledger:
        load = Load(stack.proxied_ingest_url, producers, Content(seed, run), ledger, lines_per_second)
        scene = Scene(stack, load, producers, random.Random(seed))
        load.start()
        try:
            await _disturb(scene, faults, result)
        finally:
            stack.heal()
            await _recover(stack, producers[0], max(fault.recovery_seconds for fault in faults), result)
            await load.stop(RETRY_SECONDS)
    read = read_ledger(path)
    lettered = await _judge(stack, scene, read, result)
    after, counted = uses(stack), _counters(stack)
    result.violations += check_bounds(before, after, stack.home)
    result.violations += logs.check(stack.home, run)
    result.violations += _check_gateway_counters(before, after, counters["gateway"], counted["gateway"], read)
    if stack.second_processes == second_processes:  # another process would have counted some of the lines
        result.violations += _check_sink_counters(before, after, counters, counted, lettered)
    result.seconds = time.monotonic() - began
    if result.passed:
        path.unlink()
    return result


async def _disturb(scene: Scene, faults: Sequence[Fault], result: TrialResult) -> None:
    began = time.monotonic()
    try:
        await scene.flow(WARM_REQUESTS)
        began = time.monotonic()
        for fault in faults:
            assert fault.inject is not None
            await fault.inject(scene)
            if fault is not faults[-1]:
                scene.stack.heal()
    except NotInjectedError as error:
        result.violations.append(Violation("I10", f"the fault could not be brought about: {error}"))
    result.injected_seconds = time.monotonic() - began


async def _recover(stack: DrilledStack, producer: Producer, within_seconds: float, result: TrialResult) -> None:
    """I10: until every process is ready and a request is accepted, with nobody's help."""
    began = time.monotonic()
    async with httpx.AsyncClient(timeout=PROBE_SECONDS) as client:
        while time.monotonic() - began < within_seconds:
            unready = [process["name"] for process in stack.status() if process["state"] != "ready"]
            if not unready and not await _is_accepting(stack, client, producer):
                unready = ["gateway"]
            if not unready:
                result.recovery_seconds = time.monotonic() - began
                return
            result.last_to_recover = unready
            await asyncio.sleep(0.2)
    late = f"not recovered within {within_seconds:.0f} s; not ready: {result.last_to_recover}"
    result.violations.append(Violation("I10", late))


async def _is_accepting(stack: DrilledStack, client: httpx.AsyncClient, producer: Producer) -> bool:
    """By a dry run's answer and the gateway's readiness: a probe that stored a line would not stand in the ledger."""
    try:
        ready = await client.get(f"{stack.proxied_ingest_url}/health/ready")
        dry = await client.post(
            f"{stack.proxied_ingest_url}/api/v1/ingest?dry_run=1",
            json={"scenario_id": str(producer.scenario_id), "logs": [{"message": "probe"}]},
            headers={"Authorization": f"Bearer {producer.api_key}"},
        )
    except httpx.HTTPError:
        return False
    return (ready.status_code, dry.status_code) == (200, 200)


async def _judge(stack: DrilledStack, scene: Scene, ledger: ReadLedger, result: TrialResult) -> int:
    """Answers how many lines went to the dead letters."""
    began = time.monotonic()
    result.requests, result.lines = len(ledger.requests), ledger.lines
    for request in ledger.requests.values():
        result.outcomes[request.outcome] = result.outcomes.get(request.outcome, 0) + 1
    left = await wait_until_quiet(stack.settings, QUIET_SECONDS)
    result.quiet_seconds = time.monotonic() - began
    if left is not None:
        result.violations.append(Violation("I10", f"not quiet within {QUIET_SECONDS:.0f} s: {left}"))
    stored, damage = await read_stored(stack.settings, ledger)
    result.violations += damage + check_lines(ledger, stored) + check_answers(ledger)
    result.violations += await check_rollups(stack.settings, ledger)
    for expectation in scene.expectations:
        if problem := await expectation():
            result.violations.append(Violation("I1", problem))
    return sum(len(letter.indexes) for letter in stored.letters)


def _why_skipped(fault: Fault) -> str:
    return fault.skipped() or ("needs what one machine doesn't have" if fault.inject is None else "")


async def _make_producer(stack: DrilledStack, email: str) -> Producer:
    demo = await make_tenant(stack.settings, email)
    return Producer(demo.tenant_id, demo.scenario_id, demo.api_key)


def _counters(stack: DrilledStack) -> dict[str, dict[str, float]]:
    return {name: read_counters(stack.installation, name) for name in ("gateway", "postgres-sink", "parquet-sink")}


def _check_gateway_counters(
    before: dict[str, Use],
    after: dict[str, Use],
    old: dict[str, float],
    new: dict[str, float],
    ledger: ReadLedger,
) -> list[Violation]:
    """I7: a gateway that lived through it all counted what was answered, and of unknown answers at most all."""
    lived = "gateway" in before and "gateway" in after and before["gateway"].pid == after["gateway"].pid
    if not lived or not old or not new:
        return []
    problems = []
    for counter, known, unknown in (
        ('mockupaws_ingest_requests_total{status="202"}', *ledger.answered_requests()),
        ('mockupaws_ingest_entries_total{outcome="accepted"}', *ledger.answered_lines()),
    ):
        counted = new.get(counter, 0.0) - old.get(counter, 0.0)
        if not known <= counted <= known + unknown:
            problems.append(f"{counter} counted {counted:.0f} of {known} known and {unknown} unknown")
    return [Violation("I7", "; ".join(problems))] if problems else []


def _check_sink_counters(
    before: dict[str, Use],
    after: dict[str, Use],
    old: dict[str, dict[str, float]],
    new: dict[str, dict[str, float]],
    lettered: int,
) -> list[Violation]:
    """I7: both sinks, where they lived through it all without a failed attempt, counted the same lines.

    But for the dead-lettered ones: the archive may keep what Postgres refuses.
    """
    counted = {}
    for name, sink in (("postgres-sink", "postgres"), ("parquet-sink", "parquet")):
        lived = name in before and name in after and before[name].pid == after[name].pid
        if not lived or not old[name] or not new[name] or _retries(old[name]) != _retries(new[name]):
            return []
        entries = f'mockupaws_sink_entries_total{{sink="{sink}"}}'
        counted[name] = new[name].get(entries, 0.0) - old[name].get(entries, 0.0)
    if not 0 <= counted["parquet-sink"] - counted["postgres-sink"] <= lettered:
        return [Violation("I7", f"the sinks counted different lines: {counted}")]
    return []


def _retries(counters: dict[str, float]) -> float:
    return sum(value for name, value in counters.items() if name.startswith("mockupaws_sink_retries_total"))
