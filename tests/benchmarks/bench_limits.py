"""One tenant at ten times its limit, on three gateways: what it gets, and what the others notice.

    python -m tests.benchmarks.bench_limits                # an installation of its own; 7 minutes

1. The loud tenant offers ten times its limit through whole minutes: admitted requests of each, against the limit.
2. A quiet tenant's acknowledgements, in turn while the loud one keeps its limit and while it offers ten times as much:
   the p95 of each turn, and the median of the turns' ratios.
Both send open loop: each request leaves when it is due, whatever became of the ones before. Nobody waits for Retry-After.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvloop

from mockupaws.cli.tenant_limits import Change, change_limits
from mockupaws.cli.tenants import add_tenant
from mockupaws.runtime.settings import PREFIX
from tests.benchmarks.http_connections import Connections
from tests.benchmarks.measure_rate import machine, percentile
from tests.running_stack import RunningStack, running_stack

GATEWAYS = 3
OVERLOAD = 10
QUIET_A_SECOND = 20
WINDOWS = 2
TURNS = 4
TURN_SECONDS = 15.0
PASSWORD = "a benchmark's password"


class Load(msgspec.Struct, frozen=True):
    ingest_url: str
    api_key: str
    scenario_id: str
    requests_a_second: float
    seconds: float


class Answers(msgspec.Struct):
    offered: int = 0
    at: list[float] = []
    """When each 202 came, epoch s."""
    ack_ms: list[float] = []
    """From due to 202."""
    others: dict[str, int] = {}


async def send(load: Load) -> Answers:
    connections = Connections(load.ingest_url)
    body = json.dumps({"scenario_id": load.scenario_id, "logs": [{"message": "one line of a benchmark" * 5}]}).encode()
    head = (
        f"POST /api/v1/ingest HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {load.api_key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    answers = Answers()

    async def post(due: float) -> None:
        try:
            outcome = str((await connections.call(head + body)).status)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            outcome = type(error).__name__
        if outcome == "202":
            answers.at.append(time.time())  # noqa: TID251 (which of Redis' minutes it fell into)
            answers.ack_ms.append((time.perf_counter() - due) * 1000)
        else:
            answers.others[outcome] = answers.others.get(outcome, 0) + 1

    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(round(load.requests_a_second * load.seconds)):
            due = start + number / load.requests_a_second
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            answers.offered += 1
            group.create_task(post(due))
    return answers


async def in_its_own_process(load: Load) -> Answers:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.benchmarks.bench_limits",
        "--load",
        msgspec.json.encode(load).decode(),
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"a load generator ended with {process.returncode}")
    return msgspec.json.decode(output, type=Answers)


async def make_loud_tenant(stack: RunningStack, limit: int) -> tuple[str, str]:
    """Its key and scenario."""
    tenant = await add_tenant(stack.settings, "Loud", "loud@bench.example", PASSWORD, "enterprise")
    await change_limits(stack.settings, tenant, Change(overrides={"ingest_requests": limit}))
    async with httpx.AsyncClient(base_url=f"{stack.api_url}/api/v1", timeout=30) as api:
        signed_in = await api.post("/auth/login", json={"email": "loud@bench.example", "password": PASSWORD})
        api.headers["Authorization"] = f"Bearer {signed_in.raise_for_status().json()['access_token']}"
        key = (await api.post("/api-keys", json={"name": "bench", "scopes": ["ingest"]})).raise_for_status().json()
        scenario = (await api.post("/scenarios", json={"name": "Loud"})).raise_for_status().json()
    return str(key["key"]), str(scenario["id"])


async def hold_the_limit(stack: RunningStack, limit: int, key: str, scenario: str) -> dict[str, Any]:
    rate = limit / 60 * OVERLOAD
    rest = 60 - time.time() % 60  # noqa: TID251 (whole minutes of Redis' clock)
    seconds = rest + 60 * WINDOWS + 2
    answers = await in_its_own_process(Load(stack.ingest_url, key, scenario, rate, seconds))
    first = min(answers.at) // 60 + 1
    windows = [sum(at // 60 == first + number for at in answers.at) for number in range(WINDOWS)]
    total = sum(windows)
    return {
        "limit_a_minute": limit,
        "offered_a_minute": round(answers.offered / seconds * 60),
        "admitted_by_window": windows,
        "admitted_of_limit": round(total / (limit * WINDOWS), 4),
        "other_answers": answers.others,
    }


async def watch_the_quiet(stack: RunningStack, limit: int, key: str, scenario: str) -> dict[str, Any]:
    rate = limit / 60
    quiet = Load(stack.ingest_url, stack.api_key, stack.make_scenario("Quiet"), QUIET_A_SECOND, TURN_SECONDS)

    async def p95(loud_rate: float) -> float:
        loud = Load(stack.ingest_url, key, scenario, loud_rate, TURN_SECONDS)
        seen, _ = await asyncio.gather(in_its_own_process(quiet), in_its_own_process(loud))
        if seen.others:
            print(f"  the quiet tenant was answered {seen.others}", flush=True)
        return percentile(sorted(seen.ack_ms), 95)

    await p95(rate)  # warm
    turns = []
    for number in range(TURNS):
        order = (rate, rate * OVERLOAD) if number % 2 else (rate * OVERLOAD, rate)
        seen = {loud: await p95(loud) for loud in order}
        within, beyond = seen[rate], seen[rate * OVERLOAD]
        turns.append((within, beyond))
        print(f"  p95 {within:.1f} ms while it keeps its limit, {beyond:.1f} ms at ten times", flush=True)
    return {
        "p95_ms_within": [round(within, 2) for within, _ in turns],
        "p95_ms_beyond": [round(beyond, 2) for _, beyond in turns],
        "median_ratio": round(statistics.median(beyond / within for within, beyond in turns), 3),
        "ratio_of_medians": round(
            statistics.median(beyond for _, beyond in turns) / statistics.median(within for within, _ in turns), 3
        ),
    }


async def checks_by_answerer(stack: RunningStack) -> None:
    """One gateway process's, whichever answers."""
    async with httpx.AsyncClient(timeout=10) as client:
        for line in (await client.get(f"{stack.ingest_url}/metrics")).text.splitlines():
            if line.startswith(
                ("mockupaws_limit_checks_total", "mockupaws_limit_refusals_total", "mockupaws_circuit_state")
            ):
                print(f"  {line}")


async def run(stack: RunningStack, limit: int) -> dict[str, Any]:
    print(f"machine: {machine()}; {GATEWAYS} gateway processes", flush=True)
    key, scenario = await make_loud_tenant(stack, limit)
    held = await hold_the_limit(stack, limit, key, scenario)
    print(json.dumps(held), flush=True)
    await checks_by_answerer(stack)
    seen = await watch_the_quiet(stack, limit, key, scenario)
    print(json.dumps(seen), flush=True)
    await checks_by_answerer(stack)
    return held | seen


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_limits", description=__doc__)
    parser.add_argument("--load", help="sends one load and prints its answers: what the benchmark starts")
    parser.add_argument("--limit", type=int, default=3000, help="the loud tenant's requests a minute")
    parser.add_argument("--json", type=Path, default=Path("build/bench/limits.json"), help="where the result goes")
    arguments = parser.parse_args()
    if arguments.load:
        answers = uvloop.run(send(msgspec.json.decode(arguments.load, type=Load)))
        with open(sys.stdout.fileno(), "wb", closefd=False) as output:
            output.write(msgspec.json.encode(answers))
        return 0
    environ = {f"{PREFIX}GATEWAY_WORKERS": str(GATEWAYS)}
    with (
        tempfile.TemporaryDirectory(prefix="mockupaws-bench-") as folder,
        running_stack(Path(folder) / "home", environ) as stack,
    ):
        result = asyncio.run(run(stack, arguments.limit))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(result)))
    holds = abs(result["admitted_of_limit"] - 1) <= 0.02
    print(f"the limit {'holds' if holds else 'does NOT hold'} within 2 %; the others' p95 × {result['median_ratio']}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
