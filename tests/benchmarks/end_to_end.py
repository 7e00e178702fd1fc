"""`make bench`: the whole way, HTTP to committed row, at fixed arrival rates, on an installation of its own.

For each rate: a load generator in its own process (open loop), the rows committed within the window, the
acknowledgement's latency, freshness (202 → lines committed and readable), CPU per line and peak memory by process,
errors. At the end, rows, rollups, archive and receipts must all equal what was accepted. The last line is the highest
rate that was held: rows kept up with it, no request failed, freshness p95 stayed within `FRESH_SECONDS`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import msgspec
import psutil

from mockupaws.cost_model.capacity import Constants
from tests.benchmarks.load_generator import Outcome, Plan
from tests.benchmarks.measure_constants import constants_of, stored_bytes, write_constants
from tests.benchmarks.observe_processes import ProcessObserver, ProcessUse
from tests.running_stack import RunningStack, StoredCounts, running_stack

DEFAULT_RATES = (12_000, 20_000, 40_000)
FRESH_SECONDS = 3.0
MEMORY_MIB = 400
_HELD_SHARE = 0.98
_DRAIN_SECONDS = 300.0
_WARM_UP_RATE = 5_000


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

    @property
    def held(self) -> bool:
        fresh = percentile(self.outcome.freshness_s, 95)
        keeps_up = self.committed_per_second >= _HELD_SHARE * self.offered
        return keeps_up and not self.outcome.errors and fresh <= FRESH_SECONDS


class BenchResult(msgspec.Struct):
    when: str
    machine: str
    rates: list[RateResult]
    accepted: int
    counts: StoredCounts
    lines_per_second: int
    constants: Constants | None = None
    """For `mockupaws capacity`; None: no rate was held."""


def percentile(ordered: list[float], share: float) -> float:
    """Nearest rank; infinite where there is nothing to rank."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))] if ordered else float("inf")


async def run_rate(stack: RunningStack, scenario_id: str, rate: int, seconds: float) -> RateResult:
    pids = {process["name"]: process["pid"] for process in stack.status() if process["pid"]}
    observer = ProcessObserver(pids)
    plan = Plan(stack.ingest_url, stack.api_url, stack.api_key, scenario_id, rate, seconds)
    connection = await asyncpg.connect(stack.settings.postgres_owner_url)
    try:
        before = await _committed(connection, scenario_id)
        observer.start()
        generator = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.benchmarks.load_generator",
            msgspec.json.encode(plan).decode(),
            stdout=asyncio.subprocess.PIPE,
        )
        # the window ends with the load; what is still on its way then doesn't count
        started = await _first_line_after(connection, scenario_id, before)
        await asyncio.sleep(max(0.0, started + seconds - time.monotonic()))
        ended = time.monotonic()
        within = await _committed(connection, scenario_id) - before
        output, _ = await generator.communicate()
        if generator.returncode != 0:
            raise RuntimeError(f"the load generator ended with {generator.returncode}")
        outcome = msgspec.json.decode(output, type=Outcome)
        drained = await _drained(connection, scenario_id, before + outcome.accepted_lines)
        uses = observer.stop()
    finally:
        await connection.close()
    uses["load generator"] = ProcessUse(outcome.cpu_seconds, 0.0)
    return RateResult(
        rate, seconds, within / (ended - started), max(0.0, drained - ended), outcome, uses, outcome.accepted_lines
    )


async def _committed(connection: asyncpg.Connection, scenario_id: str) -> int:
    stored = await connection.fetchval(
        "SELECT coalesce(sum(value), 0)::bigint FROM scenario_metrics "
        "WHERE scenario_id = $1 AND metric_type = 'ingest' AND metric_name = 'entries'",
        uuid.UUID(scenario_id),
    )
    return int(stored)


async def _first_line_after(connection: asyncpg.Connection, scenario_id: str, before: int) -> float:
    while await _committed(connection, scenario_id) == before:
        await asyncio.sleep(0.02)
    return time.monotonic()


async def _drained(connection: asyncpg.Connection, scenario_id: str, expected: int) -> float:
    deadline = time.monotonic() + _DRAIN_SECONDS
    while await _committed(connection, scenario_id) < expected and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    return time.monotonic()


def print_rate(result: RateResult, show: Callable[[str], None]) -> None:
    ack, fresh = result.outcome.ack_ms, result.outcome.freshness_s
    show(
        f"offered {result.offered:,} lines/s for {result.seconds:.0f} s: committed {result.committed_per_second:,.0f}"
        f" lines/s, drained after {result.drained_after_seconds:.1f} s, {'held' if result.held else 'NOT held'}"
    )
    latencies = "/".join(f"{percentile(ack, share):.1f}" for share in (50, 95, 99, 100))
    show(f"  ack p50/p95/p99/max      {latencies} ms")
    show(f"  freshness p50/p95        {percentile(fresh, 50):.2f}/{percentile(fresh, 95):.2f} s ({len(fresh)} probes)")
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


async def run(stack: RunningStack, rates: list[int], seconds: float, warm_up: float) -> BenchResult:
    scenario_id = stack.make_scenario("Benchmark")
    print(f"machine: {machine()}")
    accepted = 0
    before = await stored_bytes(stack)
    if warm_up:
        accepted += (await run_rate(stack, scenario_id, _WARM_UP_RATE, warm_up)).lines
    results = list[RateResult]()
    for rate in rates:
        results.append(await run_rate(stack, scenario_id, rate, seconds))
        accepted += results[-1].lines
        print_rate(results[-1], lambda text: print(text, flush=True))
    counts = await asyncio.to_thread(stack.wait_for_counts, scenario_id, accepted, 60.0)
    held = max((int(result.committed_per_second) for result in results if result.held), default=0)
    when = datetime.now(UTC).isoformat(timespec="seconds")  # noqa: TID251 (a report's date)
    best = max((result for result in results if result.held), key=lambda result: result.offered, default=None)
    constants = None
    if best is not None:
        after = await stored_bytes(stack)
        constants = constants_of(when, machine(), best.offered, best.processes, best.lines, before, after, accepted)
    return BenchResult(when, machine(), results, accepted, counts, held, constants)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.end_to_end", description=__doc__)
    parser.add_argument("--rates", type=lambda text: [int(rate) for rate in text.split(",")], default=DEFAULT_RATES)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each window")
    parser.add_argument("--warm-up", type=float, default=15.0, help="seconds of load before the first window")
    parser.add_argument("--json", type=Path, default=Path("build/bench/end_to_end.json"), help="where the result goes")
    parser.add_argument("--write-constants", action="store_true", help="into what `mockupaws capacity` computes with")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="mockupaws-bench-") as folder,
        running_stack(Path(folder) / "home") as stack,
    ):
        result = asyncio.run(run(stack, list(arguments.rates), arguments.seconds, arguments.warm_up))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    exact = result.counts.all_are(result.accepted)
    print(f"accepted {result.accepted} lines; {result.counts}")
    print(f"result: {arguments.json}")
    if not exact:
        print("the counts disagree")
    elif arguments.write_constants and result.constants is not None:
        write_constants(result.constants)
        print("constants written; now run scripts/write_capacity_page.py")
    print(f"{result.lines_per_second} lines/s")
    return 0 if exact and result.lines_per_second else 1


if __name__ == "__main__":
    sys.exit(main())
