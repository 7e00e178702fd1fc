"""A primary with two streaming replicas: real servers of their own, to be paused, stopped and started."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from mockupaws.runtime.embedded.postgres_server import BINARIES, PostgresServer
from mockupaws.runtime.embedded.run_as import arguments_of, choose_identity
from tests.running_stack import free_ports

PASSWORD = "of-the-superuser"
DEADLINE_SECONDS = 60.0


@dataclass
class Server:
    server: PostgresServer
    log_file: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def port(self) -> int:
        return self.server.port

    async def start(self) -> None:
        self._spawn()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not await self.server.is_ready():
            assert time.monotonic() < deadline, self.log_file.read_text()
            await asyncio.sleep(0.05)

    def _spawn(self) -> None:
        plan = self.server.plan("postgres", self.log_file)
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                plan.command, env=plan.environ, stdout=log, stderr=log, **arguments_of(plan.identity)
            )

    def stop(self) -> None:
        """At once, as if its machine had failed; its log is intact."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(DEADLINE_SECONDS)
            self.process = None

    async def run(self, statement: str) -> object:
        """As the superuser."""
        connection = await asyncpg.connect(self.server.superuser_url, timeout=10)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    def become_replica_of(self, primary: Server) -> None:
        folder = self.server.folder
        folder.mkdir(mode=0o700, parents=True)
        identity = choose_identity([folder, BINARIES])
        if identity is not None:
            os.chown(folder, *identity.owner)
        subprocess.run(
            [
                str(BINARIES / "pg_basebackup"),
                f"--dbname={primary.server.superuser_url}",
                f"--pgdata={folder}",
                "--write-recovery-conf",
                "--wal-method=stream",
                "--checkpoint=fast",
            ],
            check=True,
            timeout=DEADLINE_SECONDS,
            env={"PATH": os.defpath},
            cwd=folder,
            **arguments_of(identity),
        )

    async def until_replayed(self, primary: Server) -> None:
        position = await primary.run("SELECT pg_current_wal_lsn()::text")
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not await self.run(f"SELECT pg_last_wal_replay_lsn() >= '{position}'"):
            assert time.monotonic() < deadline, "the replica doesn't come near"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def primary_with_replicas(folder: Path) -> AsyncIterator[tuple[Server, Server, Server]]:
    ports = free_ports(3)
    servers = [
        Server(PostgresServer(folder / f"postgres-{n}", port, PASSWORD), folder / f"postgres-{n}.log")
        for n, port in enumerate(ports)
    ]
    primary, first, second = servers
    try:
        primary.server.prepare()
        await primary.start()
        for replica in (first, second):
            await asyncio.to_thread(replica.become_replica_of, primary)
            await replica.start()
        yield primary, first, second
    finally:
        for server in servers:
            server.stop()
