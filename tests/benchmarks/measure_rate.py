"""One system under load at one fixed arrival rate: what it commits, how fast, and what CPU and memory that takes."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import time
from collections.abc import Callable
from typing import Protocol

import msgspec
import psutil

from tests.benchmarks.load_generator import Outcome, Plan
from tests.benchmarks.observe_processes import ProcessObserver, ProcessUse

FRESH_SECONDS = 3.0
MEMORY_MIB = 400
_BEHIND_SECONDS = 1.0
"""What a window may leave to be committed after its end: commits come some in a second."""
_DRAIN_SECONDS = 300.0
LOAD_GENERATOR = "load generator"


class System(Protocol):
    """What takes lines over HTTP as the gateway does, and commits them to Postgres."""

    @property
    def pids(self) -> dict[str, int]:
        """Of each of its processes, by name."""

    def plan(self, rate: int, seconds: float) -> Plan:
        """What the load generator is to do; `rate` in lines a second."""

    async def committed(self) -> int:
        """Lines so far."""


class RateResult(msgspec.Struct):
    offered: int
    seconds: float
    committed_per_second: float
    """Lines committed between the window's first request and its last, a second."""
    drained_after_seconds: float
    """From the end of the window until every accepted line was committed."""
    outcome: Outcome
    processes: dict[str, ProcessUse]
    lines: int
    lines_in_request: int

    @property
    def cpu_us_per_line(self) -> float:
        """Of all processes but the load generator, their servers included."""
        own = sum(use.cpu_seconds for name, use in self.processes.items() if name != LOAD_GENERATOR)
        return own / max(1, self.lines) * 1e6

    @property
    def held(self) -> bool:
        fresh = percentile(self.outcome.freshness_s, 95) if self.outcome.freshness_s else 0.0
        return self.drained_after_seconds <= _BEHIND_SECONDS and not self.outcome.errors and fresh <= FRESH_SECONDS


def percentile(ordered: list[float], share: float) -> float:
    """Nearest rank; infinite where there is nothing to rank."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))] if ordered else float("inf")


async def run_rate(system: System, rate: int, seconds: float) -> RateResult:
    observer = ProcessObserver(system.pids)
    plan = system.plan(rate, seconds)
    before = await system.committed()
    observer.start()
    generator = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmarks.load_generator",
        msgspec.json.encode(plan).decode(),
        stdout=asyncio.subprocess.PIPE,
    )
    # the window ends with the load; what is still on its way then doesn't count
    while await system.committed() == before and generator.returncode is None:
        await asyncio.sleep(0.02)
    started = time.monotonic()
    await asyncio.sleep(seconds)
    within = await system.committed() - before
    ended = time.monotonic()
    output, _ = await generator.communicate()
    if generator.returncode != 0:
        raise RuntimeError(f"the load generator ended with {generator.returncode}")
    outcome = msgspec.json.decode(output, type=Outcome)
    deadline = time.monotonic() + _DRAIN_SECONDS
    while await system.committed() < before + outcome.accepted_lines and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    drained = time.monotonic()
    uses = observer.stop()
    uses[LOAD_GENERATOR] = ProcessUse(outcome.cpu_seconds, 0.0)
    return RateResult(
        rate,
        seconds,
        within / (ended - started),
        max(0.0, drained - ended),
        outcome,
        uses,
        outcome.accepted_lines,
        plan.lines_in_request,
    )


def print_rate(result: RateResult, show: Callable[[str], None]) -> None:
    ack, fresh = result.outcome.ack_ms, result.outcome.freshness_s
    show(
        f"offered {result.offered:,} lines/s for {result.seconds:.0f} s: committed {result.committed_per_second:,.0f}"
        f" lines/s, drained after {result.drained_after_seconds:.1f} s, {'held' if result.held else 'NOT held'}"
    )
    latencies = "/".join(f"{percentile(ack, share):.1f}" for share in (50, 95, 99, 100))
    show(f"  ack p50/p95/p99/max      {latencies} ms")
    if fresh:
        latencies = "/".join(f"{percentile(fresh, share):.2f}" for share in (50, 95, 99, 100))
        show(f"  freshness p50/p95/p99/max {latencies} s ({len(fresh)} probes)")
    show(f"  errors                   {result.outcome.errors or 'none'}")
    show(f"  requests left late by    {result.outcome.late_ms:.1f} ms at most")
    show("  process              CPU µs/line   peak MiB")
    lines = max(1, result.lines)
    for name, use in result.processes.items():
        over = "  above the bar" if use.peak_mib > MEMORY_MIB and name != "kafka" else ""
        show(f"    {name:<18} {use.cpu_seconds / lines * 1e6:>11.1f}   {use.peak_mib:>8.0f}{over}")
    total = sum(use.cpu_seconds for use in result.processes.values())
    show(f"    {'sum':<18} {total / lines * 1e6:>11.1f}")


def machine() -> str:
    memory = psutil.virtual_memory().total / 1024**3
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {system}"
