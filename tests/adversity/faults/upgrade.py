"""A new release under load: the schema first, then each process in turn, old and new side by side, then the rest."""

from __future__ import annotations

import asyncio
import signal
import uuid
from datetime import UTC, datetime

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.migrations import Migration, load_migrations, migrate
from tests.adversity.faults.fault import Fault, Scene

TOGETHER_SECONDS = 3.0
READY_SECONDS = 40.0
ROLLED = ("gateway", "postgres-sink", "parquet-sink", "api")


async def rolling_upgrade(scene: Scene) -> None:
    settings = scene.stack.settings
    name = f"drill_{uuid.uuid4().hex[:8]}"
    year = datetime.fromtimestamp(SystemClock().now_us() / 1e6, UTC).year + 2
    before = Migration(
        f"9000_pre_{name}.sql",
        f"ALTER TABLE scenario_logs ADD COLUMN {name} text; SELECT make_log_partition('{year}-01-01'::date);",
    )
    after = Migration(f"9001_post_{name}.sql", f"ALTER TABLE scenario_logs DROP COLUMN {name};")
    await migrate(settings.postgres_owner_url, [*load_migrations(), before])
    with scene.stack.second_process("processor", {"PROCESSOR_INSTANCE": "processor-new"}):
        await asyncio.sleep(TOGETHER_SECONDS)
        await _restart(scene, "processor")
        await asyncio.sleep(TOGETHER_SECONDS)
    for process in ROLLED:
        await _restart(scene, process)
    await migrate(settings.postgres_owner_url, [*load_migrations(), before, after])
    await scene.flow()


async def _restart(scene: Scene, name: str) -> None:
    stack = scene.stack
    pid = stack.pid_of(name)
    stack.signal(name, signal.SIGTERM)
    await scene.until(lambda: stack.pid_of(name) not in (None, pid), f"another {name} runs", READY_SECONDS)
    await scene.until(lambda: _is_ready(scene, name), f"{name} is ready", READY_SECONDS)


def _is_ready(scene: Scene, name: str) -> bool:
    return any(process["name"] == name and process["state"] == "ready" for process in scene.stack.status())


UPGRADE_FAULTS = [
    Fault(
        name="rolling upgrade",
        number="F44",
        what="each process restarted in turn, two processors at once, a pre and a post migration around them",
        inject=rolling_upgrade,
        recovery_seconds=90,
    ),
]
