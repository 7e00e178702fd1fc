"""Postgres ends, hangs, is cut off in the middle of a COPY or a COMMIT, locked, or set back to an earlier time."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import asyncpg

from mockupaws.runtime.embedded.postgres_server import BINARIES, SUPERUSER
from tests.adversity.drilled_stack import DrilledStack
from tests.adversity.fault_proxy import FaultProxy
from tests.adversity.faults.fault import Fault, Inject, NotInjectedError, Scene, disturb
from tests.adversity.faults.processes import frozen
from tests.adversity.faulty_flow import Faults
from tests.adversity.oracle.read_stores import connect

BACKUP_SECONDS = 120
IN_DOUBT_SECONDS = 20.0
SINKS = ("postgres-sink", "parquet-sink")


async def killed_server(scene: Scene) -> None:
    with scene.stack.taken_down("postgres"):
        await asyncio.sleep(5)


def cut_off(clients: Sequence[str], to_server: Faults, to_client: Faults, seconds: float) -> Inject:
    async def inject(scene: Scene) -> None:
        await disturb([scene.stack.postgres[client] for client in clients], to_server, to_client, seconds)

    return inject


def cut_repeatedly(client: str, faults: Faults, direction: str, times: int) -> Inject:
    """The fault's cut happens that many times; what was on the way is in doubt."""

    async def inject(scene: Scene) -> None:
        proxy = scene.stack.postgres[client]
        for number in range(times):
            cuts = proxy.cuts
            if direction == "to_server":
                proxy.use(to_server=faults)
            else:
                proxy.use(to_client=faults)
            await scene.until(partial(_was_cut, proxy, cuts), f"cut {number} on the way", IN_DOUBT_SECONDS)
            proxy.heal()
            await scene.flow()

    return inject


def _was_cut(proxy: FaultProxy, cuts_before: int) -> bool:
    return proxy.cuts > cuts_before


async def locked_table(scene: Scene) -> None:
    """As a careless ALTER TABLE does: everybody waits behind it."""
    connection = await connect(scene.stack.settings.postgres_owner_url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE scenario_logs, archive_objects IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(10)
    finally:
        await connection.close()


async def ended_sessions(scene: Scene) -> None:
    """pg_terminate_backend of everybody, five times."""
    for _ in range(5):
        connection = await connect(scene.stack.installation.superuser_url)
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        finally:
            await connection.close()
        await asyncio.sleep(scene.chance.uniform(0.3, 1.5))


async def set_back_in_time(scene: Scene) -> None:
    """A backup is taken under load, load goes on, then the backup takes the place of the data.

    Rows and offsets go back together, and Kafka brings again what came after. What only the backup's future held (an
    account made since) is gone: nothing of that kind happens here.
    """
    stack = scene.stack
    backup = stack.home / "backup"
    shutil.rmtree(backup, ignore_errors=True)
    await asyncio.to_thread(_take_backup, stack, backup)
    rows_then = await _count_rows(stack)
    await scene.flow(60, 60)
    await scene.until_async(lambda: _has_more_rows(stack, rows_then), "rows after the backup")
    with stack.taken_down("postgres"):
        await asyncio.to_thread(_put_in_place, stack.home / "data" / "postgres", backup)


def _take_backup(stack: DrilledStack, folder: Path) -> None:
    done = subprocess.run(
        [
            str(BINARIES / "pg_basebackup"),
            f"--pgdata={folder}",
            "--host=127.0.0.1",
            f"--port={stack.installation.ports['postgres']}",
            f"--username={SUPERUSER}",
            "--wal-method=stream",
            "--checkpoint=fast",
        ],
        env={"PATH": os.defpath, "PGPASSWORD": stack.installation.secrets["postgres_superuser"]},
        capture_output=True,
        text=True,
        timeout=BACKUP_SECONDS,
        check=False,
    )
    if done.returncode:
        raise NotInjectedError(f"pg_basebackup: {done.stderr[-300:]}")


def _put_in_place(data: Path, backup: Path) -> None:
    """With the owner and the mode the server's own files have."""
    owner = data.stat()
    for path in data.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for path in backup.iterdir():
        shutil.move(path, data / path.name)
    for path in data.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


async def _count_rows(stack: DrilledStack) -> int:
    connection = await connect(stack.settings.postgres_owner_url)
    try:
        count: int = await connection.fetchval("SELECT coalesce(sum(next_offset), 0) FROM consumer_offsets")
        return count
    finally:
        await connection.close()


async def _has_more_rows(stack: DrilledStack, than: int) -> bool:
    try:
        return await _count_rows(stack) > than + 20
    except (asyncpg.PostgresError, OSError):
        return False


HANGS = Faults(blackhole=True)
NOTHING = Faults()
AFTER_COMMIT = Faults(cut_after_pattern=b"COMMIT;")
BEFORE_REPLY = Faults(cut_before_pattern=b"COMMIT\0")
IN_COPY = Faults(cut_after_pattern=b"PGCOPY\n")

POSTGRES_FAULTS = [
    Fault(name="postgres killed", number="F17", what="SIGKILL, back after 5 s", inject=killed_server),
    Fault(name="postgres frozen", number="F18", what="SIGSTOP for 20 s", inject=frozen("postgres", 20)),
    Fault(name="sessions ended", number="F17", what="every session ended, five times", inject=ended_sessions),
    Fault(
        name="sinks cut off from Postgres",
        number="F18",
        what="nothing passes in either direction for 15 s; then a reset",
        inject=cut_off(SINKS, HANGS, HANGS, 15),
    ),
    Fault(
        name="slow network to Postgres",
        number="F18",
        what="50 ms more each way and 200 kB/s",
        inject=cut_off(SINKS, Faults(latency_seconds=0.05, bytes_per_second=200_000), Faults(latency_seconds=0.05), 10),
    ),
    Fault(
        name="reset in a COPY",
        number="F23",
        what="the connection ends once rows are being copied, three times",
        inject=cut_repeatedly("postgres-sink", IN_COPY, "to_server", 3),
    ),
    *(
        Fault(
            name=f"COMMIT in doubt ({client}, {told})",
            number="F23",
            what=f"the connection ends {told}, three times",
            inject=cut_repeatedly(client, faults, direction, 3),
            short=client == "postgres-sink" and direction == "to_client",
        )
        for client in SINKS
        for told, faults, direction in (
            ("once COMMIT is sent", AFTER_COMMIT, "to_server"),
            ("before the reply to COMMIT", BEFORE_REPLY, "to_client"),
        )
    ),
    Fault(
        name="tables locked",
        number="F28",
        what="ACCESS EXCLUSIVE on logs and manifest for 10 s",
        inject=locked_table,
    ),
    Fault(
        name="postgres set back in time",
        number="F29",
        what="a backup from before takes the place of the data, rows and offsets with it",
        inject=set_back_in_time,
        recovery_seconds=90,
        short=True,
    ),
]
