"""`make bench`: the whole way, HTTP to committed row, at fixed arrival rates, on an installation of its own.

For each rate: a load generator in its own process (open loop), the rows committed within the window, the
acknowledgement's latency, freshness (202 → lines committed and readable), CPU per line and peak memory by process,
errors. At the end, rows, rollups, archive and receipts must all equal what was accepted. The last line is the highest
rate that was held: all was committed a second after its end, no request failed, freshness p95 within `FRESH_SECONDS`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import msgspec

from mockupaws.cost_model.capacity import Constants
from tests.benchmarks.load_generator import Plan
from tests.benchmarks.log_lines import LINES_IN_BODY
from tests.benchmarks.measure_constants import constants_of, stored_bytes, write_constants
from tests.benchmarks.measure_rate import RateResult, machine, print_rate, run_rate
from tests.running_stack import RunningStack, StoredCounts, running_stack

DEFAULT_RATES = (12_000, 20_000, 40_000)
_WARM_UP_RATE = 5_000


class BenchResult(msgspec.Struct):
    when: str
    machine: str
    rates: list[RateResult]
    accepted: int
    counts: StoredCounts
    lines_per_second: int
    constants: Constants | None = None
    """For `mockupaws capacity`; None: no rate was held."""


@dataclass(frozen=True)
class Ours:
    """This installation, one scenario of it."""

    stack: RunningStack
    connection: asyncpg.Connection[asyncpg.Record]
    scenario_id: str
    lines_in_request: int = LINES_IN_BODY
    connections: int = 512

    @property
    def pids(self) -> dict[str, int]:
        return {process["name"]: process["pid"] for process in self.stack.status() if process["pid"]}

    def plan(self, rate: int, seconds: float) -> Plan:
        stack = self.stack
        return Plan(
            stack.ingest_url, stack.api_url, stack.api_key, self.scenario_id, rate, seconds, self.lines_in_request,
            self.connections,
        )  # fmt: skip

    async def committed(self) -> int:
        stored = await self.connection.fetchval(
            "SELECT coalesce(sum(value), 0)::bigint FROM scenario_metrics "
            "WHERE scenario_id = $1 AND metric_type = 'ingest' AND metric_name = 'entries'",
            uuid.UUID(self.scenario_id),
        )
        return int(stored)


async def run(stack: RunningStack, arguments: argparse.Namespace) -> BenchResult:
    scenario_id = stack.make_scenario("Benchmark")
    print(f"machine: {machine()}")
    accepted = 0
    before = await stored_bytes(stack)
    results = list[RateResult]()
    connection = await asyncpg.connect(stack.settings.postgres_owner_url)
    try:
        ours = Ours(stack, connection, scenario_id, arguments.lines_in_request, arguments.connections)
        if arguments.warm_up:
            accepted += (await run_rate(ours, min(_WARM_UP_RATE, *arguments.rates), arguments.warm_up)).lines
        for rate in arguments.rates:
            results.append(await run_rate(ours, rate, arguments.seconds))
            accepted += results[-1].lines
            print_rate(results[-1], lambda text: print(text, flush=True))
    finally:
        await connection.close()
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
    parser.add_argument("--lines-in-request", type=int, default=LINES_IN_BODY, help="1: a line a request")
    parser.add_argument("--connections", type=int, default=512, help="of the load generator, at most")
    parser.add_argument("--json", type=Path, default=Path("build/bench/end_to_end.json"), help="where the result goes")
    parser.add_argument("--write-constants", action="store_true", help="into what `mockupaws capacity` computes with")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="mockupaws-bench-") as folder,
        running_stack(Path(folder) / "home") as stack,
    ):
        result = asyncio.run(run(stack, arguments))
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
