"""A whole installation of its own, started and stopped by the `mockupaws` command: what a user has after `make up`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from mockupaws.cli.client_settings import parse_environment_file
from mockupaws.cli.status import describe_processes
from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.settings import PREFIX, Settings

COMMAND_SECONDS = 240.0
POLL_SECONDS = 0.05
_COUNT_SECONDS = 600.0
"""Tens of millions of lines are counted after an hour's benchmark."""


@dataclass(frozen=True, slots=True)
class StoredCounts:
    """The same lines counted in three places, and what a receipt says of them."""

    rows: int
    distinct_ids: int
    rollup_entries: int
    archived_rows: int
    receipt_stored: int

    def all_are(self, lines: int) -> bool:
        return {self.rows, self.distinct_ids, self.rollup_entries, self.archived_rows, self.receipt_stored} == {lines}


class RunningStack:
    def __init__(self, home: Path, environ: dict[str, str] | None = None) -> None:
        gateway_port, api_port = free_ports(2)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        self.environ = kept | {
            f"{PREFIX}HOME": str(home),
            f"{PREFIX}GATEWAY_PORT": str(gateway_port),
            f"{PREFIX}API_PORT": str(api_port),
            **(environ or {}),
        }
        self.home = home
        self.ingest_url = f"http://127.0.0.1:{gateway_port}"
        self.api_url = f"http://127.0.0.1:{api_port}"

    def start(self) -> None:
        """Returns once every process is ready. Raises RuntimeError with what `up` said where that fails."""
        done = self.command("up", "--no-sample")
        if done.returncode != 0:
            self.stop()
            raise RuntimeError(f"`mockupaws up` failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")

    def stop(self) -> None:
        self.command("down")

    @property
    def demo_file(self) -> Path:
        return self.home / "demo.env"

    @property
    def demo(self) -> dict[str, str]:
        return parse_environment_file(self.demo_file.read_text())

    @property
    def api_key(self) -> str:
        return self.demo[f"{PREFIX}API_KEY"]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    @property
    def settings(self) -> Settings:
        """As the processes have them, addresses and secrets filled in."""
        return self.installation.settings

    @property
    def installation(self) -> Installation:
        return Installation.open(Settings.from_environ({k: v for k, v in self.environ.items() if k.startswith(PREFIX)}))

    def status(self) -> list[dict[str, Any]]:
        """What `mockupaws status --json` prints, without the start of another interpreter."""
        return describe_processes(self.installation)

    def is_ready(self) -> bool:
        processes = self.status()
        return bool(processes) and all(process["state"] == "ready" for process in processes)

    def pid_of(self, name: str) -> int | None:
        return next((process["pid"] for process in self.status() if process["name"] == name), None)

    def kill(self, name: str) -> None:
        """kill -9, then waits until another process has taken its place."""
        pid = self.pid_of(name)
        assert pid is not None, f"{name} does not run"
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.pid_of(name) not in (None, pid), f"{name} runs again", 30.0)

    def command(self, *arguments: str, scenario_id: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs `mockupaws …` as a user of the demo tenant would."""
        return subprocess.run(
            _command(*arguments),
            env=self.client_environ(scenario_id),
            timeout=COMMAND_SECONDS,
            check=False,
            capture_output=True,
            text=True,
        )

    def start_command(self, *arguments: str, scenario_id: str | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            _command(*arguments),
            env=self.client_environ(scenario_id),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def client_environ(self, scenario_id: str | None) -> dict[str, str]:
        return (
            self.environ
            | (self.demo if self.demo_file.exists() else {})
            | ({f"{PREFIX}SCENARIO_ID": scenario_id} if scenario_id else {})
        )

    def make_scenario(self, name: str) -> str:
        """Its id; returned once the gateway takes lines for it."""
        answer = httpx.post(f"{self.api_url}/api/v1/scenarios", json={"name": name}, headers=self.headers, timeout=10)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def counts(self, scenario_id: str) -> StoredCounts:
        return asyncio.run(self._counts(uuid.UUID(scenario_id)))

    async def _counts(self, scenario_id: uuid.UUID) -> StoredCounts:
        connection = await asyncpg.connect(self.settings.postgres_owner_url, timeout=10, command_timeout=_COUNT_SECONDS)
        try:
            row = await connection.fetchrow(
                """
                SELECT (SELECT count(*) FROM scenario_logs WHERE scenario_id = $1) AS rows,
                       (SELECT count(DISTINCT id) FROM scenario_logs WHERE scenario_id = $1) AS distinct_ids,
                       (SELECT coalesce(sum(value), 0)::bigint FROM scenario_metrics
                        WHERE scenario_id = $1 AND (metric_type, metric_name) = ('ingest', 'entries')
                       ) AS rollup_entries,
                       (SELECT coalesce(sum(row_count), 0)::bigint FROM archive_objects
                        WHERE scenario_id = $1) AS archived_rows,
                       (SELECT coalesce(sum(stored), 0)::bigint FROM ingest_receipts
                        WHERE scenario_id = $1) AS receipt_stored
                """,
                scenario_id,
            )
        finally:
            await connection.close()
        assert row is not None
        return StoredCounts(**dict(row))

    def wait_for_counts(self, scenario_id: str, lines: int, seconds: float) -> StoredCounts:
        """The counts once all of them are `lines`, or as they are after `seconds`: the caller checks."""
        deadline = time.monotonic() + seconds
        while not (counts := self.counts(scenario_id)).all_are(lines) and time.monotonic() < deadline:
            time.sleep(0.2)
        return counts


@contextmanager
def running_stack(home: Path, environ: dict[str, str] | None = None) -> Iterator[RunningStack]:
    stack = RunningStack(home, environ)
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for probe in held:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in held]
    finally:
        for probe in held:
            probe.close()


def wait_until(condition: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(POLL_SECONDS)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mockupaws.cli.main", *arguments]
