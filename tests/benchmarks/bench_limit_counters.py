"""Three processes check one tenant at ten times its limit, over one Valkey: no gateway, broker or database around them.

    python -m tests.benchmarks.bench_limit_counters            # 2 to 4 minutes

Prints what all of them admitted in each whole minute against the limit, who answered, and the CPU of a check.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.embedded.valkey_server import ValkeyServer
from mockupaws.runtime.limits.limiter import Limiter
from mockupaws.runtime.redis_client import open_redis, redis_circuit
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import LIMIT_CHECKS
from mockupaws.schemas.limits import Limit
from tests.running_stack import free_ports

PROCESSES = 3
OVERLOAD = 10


async def check(url: str, limit_a_minute: int, seconds: float) -> dict[str, Any]:
    settings = Settings(redis_url=url, limit_processes=PROCESSES)
    redis, limit = open_redis(settings), Limit("ingest_requests", limit_a_minute, 60)
    limiter = Limiter(settings, redis, redis_circuit(), SystemClock(), 1)
    interval = 60 / limit_a_minute / OVERLOAD * PROCESSES
    admitted: Counter[int] = Counter()
    start, began = time.perf_counter(), time.process_time()
    count = round(seconds / interval)
    for number in range(count):
        if (wait := start + number * interval - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        if (await limiter.admit("loud", [(limit, 1)])).admitted:
            admitted[int(time.time() // 60)] += 1  # noqa: TID251 (which of Redis' minutes it fell into)
    cpu = time.process_time() - began
    assert redis is not None
    await redis.aclose()
    answered = {
        sample.labels["answered_by"]: sample.value
        for metric in LIMIT_CHECKS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
    return {"checks": count, "admitted": admitted, "cpu_us": round(cpu / count * 1e6, 1), "answered_by": answered}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_limit_counters", description=__doc__)
    parser.add_argument("--limit", type=int, default=3000, help="requests a minute")
    parser.add_argument("--windows", type=int, default=2, help="whole minutes")
    parser.add_argument("--check", help="checks alone, and prints what it admitted: what the benchmark starts")
    arguments = parser.parse_args()
    if arguments.check:
        url, seconds = json.loads(arguments.check)
        print(json.dumps(uvloop.run(check(url, arguments.limit, seconds))))
        return 0
    with tempfile.TemporaryDirectory(prefix="mockupaws-bench-") as folder:
        (port,) = free_ports(1)
        server = ValkeyServer(Path(folder) / "valkey", port)
        server.prepare()
        plan = server.plan("valkey", Path(folder) / "valkey.log")
        valkey = subprocess.Popen(plan.command, stdout=subprocess.DEVNULL)
        try:
            while not asyncio.run(server.is_ready()):
                time.sleep(0.05)
            seconds = 60 - time.time() % 60 + 60 * arguments.windows + 1  # noqa: TID251 (whole minutes)
            load = json.dumps([f"redis://127.0.0.1:{port}/0", seconds])
            command = [sys.executable, "-m", "tests.benchmarks.bench_limit_counters", "--limit", str(arguments.limit)]
            children = [
                subprocess.Popen([*command, "--check", load], stdout=subprocess.PIPE, env=os.environ)
                for _ in range(PROCESSES)
            ]
            results = [json.loads(child.communicate()[0].splitlines()[-1]) for child in children]
        finally:
            valkey.terminate()
            valkey.wait(10)
    by_minute: Counter[str] = Counter()
    for result in results:
        by_minute.update(result["admitted"])
    first = min(map(int, by_minute)) + 1  # the one before began before the load
    windows = [by_minute[str(first + number)] for number in range(arguments.windows)]
    share = sum(windows) / (arguments.limit * arguments.windows)
    checks = sum(result["checks"] for result in results)
    print(f"offered {checks / seconds * 60:,.0f} a minute to {PROCESSES} processes, limit {arguments.limit:,}")
    print(f"admitted by minute {windows}: {share:.2%} of the limit")
    for result in results:
        print(
            f"  admitted {sum(result['admitted'].values())}, {result['answered_by']}, {result['cpu_us']} µs of CPU a check"
        )
    return 0 if abs(share - 1) <= 0.02 else 1


if __name__ == "__main__":
    sys.exit(main())
