"""Starts processes, waits until each is ready, restarts what dies, stops all: the embedded default's init.

Order: 1. leftovers of a supervisor that was killed are ended, known by pid and start time; 2. each stage's processes
start together, and the next stage waits until all of them are ready; 3. what exits is started again, after a pause
that doubles up to a limit and shrinks back once it has run for a while; 4. on stop, the stages end in reverse order,
each process by its own signal and, past its time, by SIGKILL.

Children get PR_SET_PDEATHSIG, so the kernel ends them when the supervisor dies, however it dies.
Why no library does this for us: docs/adr/0002-supervisor.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, TypedDict

import psutil

from mockupaws.runtime.clock import Clock
from mockupaws.runtime.embedded.run_as import Identity, arguments_of
from mockupaws.runtime.errors import PermanentError
from mockupaws.runtime.replace_file import replace_file
from mockupaws.runtime.telemetry import get_logger

State = Literal["starting", "ready", "not ready", "restarting", "stopping", "stopped"]

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STABLE_SECONDS = 60.0
"""A process that ran this long starts again with the first pause."""
PROBE_SECONDS = 0.1
"""Between looks at a process that is starting."""
WATCH_SECONDS = 2.0
"""Between looks at a process that is ready."""
START_SECONDS = 90.0
"""How long a stage may take to become ready before the start has failed."""
LEFTOVER_SECONDS = 20.0
"""How long a leftover may take to end by itself."""
LOG_BYTES = 20 * 1024 * 1024
"""A log file that grew past this is kept once, as `.1`, and begun anew."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

log = get_logger(__name__)


class StartFailedError(PermanentError):
    """A process didn't become ready."""


class AlreadyRunningError(PermanentError):
    """Another supervisor holds this installation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlan:
    """How one process is started, known to be ready, and stopped."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    log_file: Path
    is_ready: Callable[[], Awaitable[bool]]
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15.0
    identity: Identity | None = None
    """Whom it runs as, where it refuses root."""


Stage = Callable[[], Sequence[ProcessPlan] | Awaitable[None]]
"""Called when the stages before it are ready: answers processes to start, or is work to wait for."""


class ProcessState(TypedDict):
    name: str
    pid: int | None
    start_time: float | None
    """With the pid, what tells this process from a later one with the same pid."""
    state: State
    started_at_us: int | None
    restarts: int


class SupervisedProcess:
    """One plan and the process it runs as now."""

    def __init__(self, plan: ProcessPlan, clock: Clock, on_change: Callable[[], None]) -> None:
        self.plan = plan
        self.ready = asyncio.Event()
        self._clock = clock
        self._on_change = on_change
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._state = ProcessState(
            name=plan.name, pid=None, start_time=None, state="stopped", started_at_us=None, restarts=0
        )

    @property
    def state(self) -> ProcessState:
        return self._state

    async def run(self) -> None:
        """Keeps the process running until `stop`."""
        pause = FIRST_PAUSE_SECONDS
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            began = loop.time()
            await self._run_once()
            if self._stopping.is_set():
                break
            pause = FIRST_PAUSE_SECONDS if loop.time() - began > STABLE_SECONDS else pause
            self._change(state="restarting", pid=None, start_time=None, restarts=self._state["restarts"] + 1)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        self._change(state="stopped", pid=None, start_time=None)

    async def stop(self) -> None:
        """Returns once the process is gone."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._change(state="stopping")
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(self.plan.stop_signal)
            try:
                await asyncio.wait_for(process.wait(), self.plan.stop_seconds)
            except TimeoutError:
                log.warning("process_killed", name=self.plan.name, after_seconds=self.plan.stop_seconds)
                process.kill()
                await process.wait()

    async def _run_once(self) -> None:
        self.ready.clear()
        with _open_log(self.plan.log_file) as output:
            self._process = await asyncio.create_subprocess_exec(
                *self.plan.command,
                env=dict(self.plan.environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in the terminal reaches the supervisor alone, which stops in order
                **arguments_of(self.plan.identity, _die_with(os.getpid(), self.plan.stop_signal)),
            )
        pid = self._process.pid
        self._change(state="starting", pid=pid, start_time=start_time_of(pid), started_at_us=self._clock.now_us())
        watch = asyncio.create_task(self._watch())
        code = await self._process.wait()
        watch.cancel()
        self.ready.clear()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # workers it leaves behind would hold its port
        if not self._stopping.is_set():
            log.warning("process_exited", name=self.plan.name, pid=pid, code=code)

    async def _watch(self) -> None:
        while True:
            if await self.plan.is_ready():
                self.ready.set()
                self._change(state="ready")
            elif self.ready.is_set():
                self._change(state="not ready")
            _bound_log(self.plan.log_file)
            await asyncio.sleep(WATCH_SECONDS if self.ready.is_set() else PROBE_SECONDS)

    def _change(self, **fields: object) -> None:
        changed = ProcessState(**{**self._state, **fields})  # type: ignore[typeddict-item]
        if changed != self._state:
            self._state = changed
            self._on_change()


class Supervisor:
    """The processes of one installation; `run` returns when all of them have stopped."""

    def __init__(
        self, state_file: Path, lock_file: Path, clock: Clock, *, start_seconds: float = START_SECONDS
    ) -> None:
        self._state_file = state_file
        self._lock_file = lock_file
        self._clock = clock
        self._start_seconds = start_seconds
        self._processes: list[SupervisedProcess] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()
        self._phase: Literal["starting", "up", "stopping"] = "starting"

    def stop(self) -> None:
        self._stop.set()

    async def run(self, stages: Sequence[Stage]) -> None:
        """Starts the stages in order, then keeps all of their processes running until `stop`.

        Raises AlreadyRunningError; StartFailedError, after everything has been stopped again, where a stage fails.
        """
        with _hold(self._lock_file):
            end_leftovers(self._state_file)
            try:
                await self._start(stages)
                self._phase = "up"
                self._write_state()
                await self._unless_stopped(asyncio.get_running_loop().create_future())
            finally:
                await self._stop_all()
                self._state_file.unlink(missing_ok=True)

    async def _start(self, stages: Sequence[Stage]) -> None:
        for stage in stages:
            plans = stage()
            if inspect.isawaitable(plans):
                await self._unless_stopped(asyncio.ensure_future(plans))
                continue
            started = [SupervisedProcess(plan, self._clock, self._write_state) for plan in plans]
            self._processes += started
            self._tasks += [asyncio.create_task(process.run()) for process in started]
            try:
                await self._unless_stopped(asyncio.ensure_future(self._all_ready(started)))
            except TimeoutError:
                missing = next(process.plan for process in started if not process.ready.is_set())
                raise StartFailedError(
                    f"{missing.name} was not ready within {self._start_seconds:.0f} s; its log is {missing.log_file}"
                ) from None
            if self._stop.is_set():
                return

    async def _all_ready(self, processes: Sequence[SupervisedProcess]) -> None:
        async with asyncio.timeout(self._start_seconds):
            for process in processes:
                await process.ready.wait()

    async def _unless_stopped(self, work: asyncio.Future[Any]) -> None:
        """Waits for `work`, or for `stop`. What keeps a process running never ends by itself: if it does, it raises."""
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([work, stopped, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
            for ended in (work, *self._tasks):
                if ended.done():
                    ended.result()
        finally:
            for waiting in (work, stopped):
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await waiting

    async def _stop_all(self) -> None:
        self._phase = "stopping"
        for process in reversed(self._processes):
            await process.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _write_state(self) -> None:
        state = {
            "supervisor": {"pid": os.getpid(), "start_time": start_time_of(os.getpid())},
            "phase": self._phase,
            "processes": [process.state for process in self._processes],
        }
        replace_file(self._state_file, json.dumps(state, indent=1).encode())


class SupervisorState(TypedDict):
    supervisor: dict[str, float]
    phase: Literal["starting", "up", "stopping"]
    processes: list[ProcessState]


def read_state(state_file: Path) -> SupervisorState | None:
    """What a supervisor that is alive says of its processes; None where none is."""
    try:
        state: SupervisorState = json.loads(state_file.read_text())
    except FileNotFoundError:
        return None
    supervisor = state["supervisor"]
    return state if _find(int(supervisor["pid"]), supervisor["start_time"]) else None


def end_leftovers(state_file: Path) -> None:
    """Ends what a killed supervisor's state still names and waits until it is gone."""
    try:
        state: SupervisorState = json.loads(state_file.read_text())
    except FileNotFoundError:
        return
    left = [
        process
        for known in state["processes"]
        if known["pid"] and known["start_time"] and (process := _find(known["pid"], known["start_time"]))
    ]
    for process in left:
        log.warning("leftover_ended", pid=process.pid)
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(left, timeout=LEFTOVER_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=LEFTOVER_SECONDS)
    state_file.unlink(missing_ok=True)


def _find(pid: int, start_time: float) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        same = start_time_of(pid) == start_time and process.status() != psutil.STATUS_ZOMBIE
        return process if same else None
    except psutil.NoSuchProcess:
        return None


def start_time_of(pid: int) -> float | None:
    """With the pid, what tells a process from a later one; None where there is none.

    On Linux the kernel's ticks since boot: psutil's epoch seconds move when the machine's clock is set.
    """
    try:
        if sys.platform != "linux":
            return psutil.Process(pid).create_time()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return float(fields[19])
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None


@contextlib.contextmanager
def _hold(lock_file: Path) -> Iterator[None]:
    """The kernel gives the lock back however its holder ends."""
    with lock_file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(f"another supervisor holds {lock_file}") from None
        yield


def _die_with(parent: int, number: signal.Signals) -> Callable[[], None]:
    """For the child, between fork and exec, once its user is set (which would clear the request)."""

    def request() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, number)
            if os.getppid() != parent:  # the parent died before the request stood
                os._exit(1)

    return request


def _open_log(path: Path) -> IO[bytes]:
    _bound_log(path)
    return path.open("ab")


def _bound_log(path: Path) -> None:
    """Copies and empties instead of renaming: the process keeps its descriptor, which appends."""
    if path.exists() and path.stat().st_size > LOG_BYTES:
        shutil.copyfile(path, path.with_name(path.name + ".1"))
        os.truncate(path, 0)
