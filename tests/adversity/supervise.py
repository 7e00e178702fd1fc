"""Becomes the supervisor of a drilled stack: what `mockupaws up --foreground` is, with faults in between.

    python -m tests.adversity.supervise PLAN.json

It stops everything when its standard input ends: whoever started it is gone then, however it went.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
from pathlib import Path

import fsspec
import msgspec

from mockupaws.cli.prepare import prepare
from mockupaws.cli.processes import own_plans, server_plans
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.embedded.supervisor import ProcessPlan, Supervisor
from mockupaws.runtime.settings import PREFIX, Settings
from mockupaws.runtime.telemetry import configure_logging

BUCKET = "drill"
STOP_SECONDS = 5.0


class StackPlan(msgspec.Struct, frozen=True):
    """What differs from an ordinary installation. Its settings come from the environment, as always."""

    s3_port: int
    proxied_kafka: dict[int, int]
    settings_of: dict[str, dict[str, str]]
    """Process → settings of its own (without prefix), which lead through the proxies."""
    environ_of: dict[str, dict[str, str]]
    """Process → further variables of its environment."""


def drilled_plans(installation: Installation, plan: StackPlan) -> list[ProcessPlan]:
    """Our processes, each with its own way through the proxies."""
    plans = []
    for process in own_plans(installation):
        through = {PREFIX + name: value for name, value in plan.settings_of.get(process.name, {}).items()}
        environ = {**process.environ, **through, **plan.environ_of.get(process.name, {})}
        plans.append(dataclasses.replace(process, environ=environ))
    return plans


def s3_plan(installation: Installation, port: int) -> ProcessPlan:
    async def is_ready() -> bool:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 1.0)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    return ProcessPlan(
        name="s3",
        command=[sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)],
        environ=dict(os.environ),
        log_file=installation.log_file("s3"),
        is_ready=is_ready,
        stop_seconds=STOP_SECONDS,
    )


async def make_bucket(endpoint_url: str) -> None:
    filesystem = fsspec.filesystem("s3", endpoint_url=endpoint_url, skip_instance_cache=True)
    await asyncio.to_thread(filesystem.mkdir, BUCKET)


async def supervise(installation: Installation, plan: StackPlan) -> None:
    supervisor = Supervisor(installation.state_file, installation.lock_file, SystemClock())
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, supervisor.stop)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C reaches the drill, which stops us in its order
    loop.add_reader(sys.stdin, lambda: None if os.read(0, 1) else _stop(loop, supervisor))
    await supervisor.run(
        [
            lambda: [*server_plans(installation, plan.proxied_kafka), s3_plan(installation, plan.s3_port)],
            lambda: prepare(installation),
            lambda: make_bucket(f"http://127.0.0.1:{plan.s3_port}"),
            lambda: drilled_plans(installation, plan),
        ]
    )


def _stop(loop: asyncio.AbstractEventLoop, supervisor: Supervisor) -> None:
    loop.remove_reader(sys.stdin)
    supervisor.stop()


def main() -> None:
    plan = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=StackPlan)
    installation = Installation.open(Settings.from_environ(os.environ))
    configure_logging("supervisor", installation.settings.log_level)
    asyncio.run(supervise(installation, plan))


if __name__ == "__main__":
    main()
