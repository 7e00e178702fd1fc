"""The supervisor with real processes: order, restarts, stop, and what is left after it was killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import psutil
import pytest

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.embedded.supervisor import (
    AlreadyRunningError,
    ProcessPlan,
    Stage,
    StartFailedError,
    Supervisor,
    end_leftovers,
    read_state,
    start_time_of,
)

SLEEPER = "import pathlib, signal, sys; pathlib.Path(sys.argv[1]).touch(); signal.pause()"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"


def plan(folder: Path, name: str, code: str = SLEEPER, **changes: object) -> ProcessPlan:
    """Ready once the program has touched its file."""
    sign = folder / f"{name}.sign"

    async def is_ready() -> bool:
        return sign.exists()

    fields: dict[str, object] = {
        "name": name,
        "command": [sys.executable, "-c", code, str(sign)],
        "environ": dict(os.environ),
        "log_file": folder / f"{name}.log",
        "is_ready": is_ready,
        "stop_seconds": 5.0,
    }
    return ProcessPlan(**{**fields, **changes})  # type: ignore[arg-type]


def make_supervisor(folder: Path) -> Supervisor:
    return Supervisor(folder / "state.json", folder / "lock", SystemClock())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


def pid_of(folder: Path, name: str) -> int | None:
    state = read_state(folder / "state.json")
    found = [process for process in (state["processes"] if state else []) if process["name"] == name]
    return found[0]["pid"] if found and found[0]["state"] == "ready" else None


async def running(supervisor: Supervisor, stages: Sequence[Stage], then: Callable[[], Awaitable[None]]) -> None:
    """Runs `then` once all stages stand, stops the supervisor and waits for its end."""
    up = asyncio.Event()

    async def note() -> None:
        up.set()

    task = asyncio.create_task(supervisor.run([*stages, lambda: note()]))
    waiting = asyncio.create_task(up.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    try:
        if not task.done():
            await then()
    finally:
        waiting.cancel()
        supervisor.stop()
        await task


async def test_a_stage_starts_when_the_one_before_it_is_ready(tmp_path: Path) -> None:
    seen: list[bool] = []

    async def look() -> None:
        seen.append((tmp_path / "first.sign").exists() and not (tmp_path / "second.sign").exists())

    async def check() -> None:
        assert seen == [True]
        assert pid_of(tmp_path, "second")

    stages: list[Stage] = [lambda: [plan(tmp_path, "first")], lambda: look(), lambda: [plan(tmp_path, "second")]]
    await running(make_supervisor(tmp_path), stages, check)


async def test_what_dies_is_started_again(tmp_path: Path) -> None:
    async def check() -> None:
        first = pid_of(tmp_path, "worker")
        assert first
        os.kill(first, signal.SIGKILL)
        await until(lambda: pid_of(tmp_path, "worker") not in (None, first))
        state = read_state(tmp_path / "state.json")
        assert state
        assert state["processes"][0]["restarts"] == 1

    await running(make_supervisor(tmp_path), [lambda: [plan(tmp_path, "worker")]], check)


async def test_workers_a_killed_process_leaves_behind_are_ended(tmp_path: Path) -> None:
    forking = f"import os; os.fork() and None; {SLEEPER}"

    async def check() -> None:
        first = pid_of(tmp_path, "forking")
        assert first
        [child] = psutil.Process(first).children()
        os.kill(first, signal.SIGKILL)
        await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)

    await running(make_supervisor(tmp_path), [lambda: [plan(tmp_path, "forking", forking)]], check)


async def test_stop_ends_everything_even_what_ignores_the_signal(tmp_path: Path) -> None:
    pids: list[int | None] = []

    async def note() -> None:
        pids.extend(pid_of(tmp_path, name) for name in ("polite", "deaf"))

    plans = [plan(tmp_path, "polite"), plan(tmp_path, "deaf", DEAF, stop_seconds=0.2)]
    await running(make_supervisor(tmp_path), [lambda: plans], note)

    assert all(pids)
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
    assert read_state(tmp_path / "state.json") is None


async def test_a_process_that_never_gets_ready_fails_the_start_and_names_its_log(tmp_path: Path) -> None:
    impatient = Supervisor(tmp_path / "state.json", tmp_path / "lock", SystemClock(), start_seconds=0.5)
    dying = plan(tmp_path, "dying", "print('no disk', flush=True); raise SystemExit(3)")

    with pytest.raises(StartFailedError, match=r"dying .*dying\.log"):
        await impatient.run([lambda: [dying]])

    assert "no disk" in (tmp_path / "dying.log").read_text()


async def test_one_installation_has_one_supervisor(tmp_path: Path) -> None:
    async def check() -> None:
        with pytest.raises(AlreadyRunningError):
            await make_supervisor(tmp_path).run([])
        assert pid_of(tmp_path, "worker")

    await running(make_supervisor(tmp_path), [lambda: [plan(tmp_path, "worker")]], check)


async def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    program = f"""
import asyncio, pathlib, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_supervisor import make_supervisor, plan
folder = pathlib.Path({str(tmp_path)!r})
asyncio.run(make_supervisor(folder).run([lambda: [plan(folder, "worker")]]))
"""
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    await until(lambda: pid_of(tmp_path, "worker"))
    worker = psutil.Process(pid_of(tmp_path, "worker"))

    supervisor.kill()
    await supervisor.wait()

    await until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)
    assert read_state(tmp_path / "state.json") is None

    async def check() -> None:
        assert pid_of(tmp_path, "worker")

    await running(make_supervisor(tmp_path), [lambda: [plan(tmp_path, "worker")]], check)


def test_leftovers_are_ended_but_not_a_stranger_with_the_same_pid(tmp_path: Path) -> None:
    left, stranger = subprocess.Popen(["sleep", "60"]), subprocess.Popen(["sleep", "60"])
    state_file = tmp_path / "state.json"
    known = {"pid": left.pid, "start_time": start_time_of(left.pid)}
    other = {"pid": stranger.pid, "start_time": (start_time_of(stranger.pid) or 0) - 1}
    state_file.write_text(json.dumps({"supervisor": other, "phase": "up", "processes": [known, other]}))
    try:
        end_leftovers(state_file)

        assert not psutil.pid_exists(left.pid)
        assert stranger.poll() is None
        assert not state_file.exists()
    finally:
        for process in (left, stranger):
            process.kill()
            process.wait()


async def test_a_program_that_can_not_be_started_fails_the_start_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await make_supervisor(tmp_path).run([lambda: [plan(tmp_path, "absent", command=["/no/such/program"])]])
