"""A whole installation whose processes reach each other through proxies, and what a fault may do to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import psutil

from mockupaws.cli.processes import MODULES, own_plans
from mockupaws.runtime.embedded.supervisor import read_state
from mockupaws.runtime.failpoints import Action, Failpoint
from mockupaws.runtime.settings import PREFIX
from tests.adversity.fault_proxy import FaultProxy
from tests.adversity.http_fault_proxy import HttpFaultProxy
from tests.adversity.supervise import BUCKET, StackPlan
from tests.running_stack import RunningStack, free_ports

START_SECONDS = 180.0
STOP_SECONDS = 120.0
READY_SECONDS = 60.0
GATEWAY_MEMORY_BYTES = 350_000_000
"""Near which the gateway sheds."""
REPOSITORY = Path(__file__).parents[2]
CLOCK_FOLDER = Path(__file__).parent / "shifted_clock"

KAFKA_CLIENTS = ("gateway", "processor", "postgres-sink", "parquet-sink")
POSTGRES_CLIENTS = ("gateway", "postgres-sink", "parquet-sink")
AWS = {"AWS_ACCESS_KEY_ID": "drill", "AWS_SECRET_ACCESS_KEY": "drill", "AWS_DEFAULT_REGION": "us-east-1"}


class DrilledStack(RunningStack):
    """`kafka[process]`, `postgres[process]`, `valkey`, `s3` and `clients` are the proxies before each part."""

    def __init__(self, home: Path, settings: dict[str, str] | None = None, *, small_disks: bool = False) -> None:
        self._exits = ExitStack()
        s3_port, *kafka_ports = free_ports(1 + len(KAFKA_CLIENTS))
        self.failpoints = home / "failpoints"
        self.second_processes = 0
        """How many were started beside the supervised ones so far."""
        super().__init__(
            home,
            {
                **AWS,
                f"{PREFIX}ARCHIVE_URL": f"s3://{BUCKET}/archive",
                f"{PREFIX}ARCHIVE_S3_ENDPOINT_URL": f"http://127.0.0.1:{s3_port}",
                f"{PREFIX}FAILPOINTS": str(self.failpoints),
                f"{PREFIX}PARQUET_FLUSH_SECONDS": "2",
                f"{PREFIX}GATEWAY_MAX_MEMORY_BYTES": str(GATEWAY_MEMORY_BYTES),
                **{PREFIX + name: value for name, value in (settings or {}).items()},
            },
        )
        self.failpoints.mkdir(parents=True, exist_ok=True)
        os.environ.update(AWS)  # the oracle reads the bucket too
        ports = self.installation.ports
        if small_disks:
            self._mount(home / "data", "1500m")
            self._mount(home / "data" / "kafka", "600m")
        self.kafka = {name: self._proxy(port) for name, port in zip(KAFKA_CLIENTS, kafka_ports, strict=True)}
        self.postgres = {name: self._proxy(ports["postgres"]) for name in POSTGRES_CLIENTS}
        self.valkey = self._proxy(ports["valkey"])
        self.s3 = self._exits.enter_context(HttpFaultProxy(s3_port))
        self.clients = self._proxy(self.settings.gateway_port)
        self.clock_file = home / "clock_shift_seconds"
        self._plan_file = home / "stack_plan.json"
        self._plan_file.write_bytes(msgspec.json.encode(self._plan(s3_port, kafka_ports)))
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def proxied_ingest_url(self) -> str:
        return f"http://127.0.0.1:{self.clients.port}"

    @property
    def proxies(self) -> list[FaultProxy]:
        return [*self.kafka.values(), *self.postgres.values(), self.valkey, self.clients]

    def start(self) -> None:
        """Returns once every process is ready. Raises RuntimeError with what the supervisor said where that fails."""
        log_file = self.home / "logs" / "supervisor.log"
        with log_file.open("ab") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "tests.adversity.supervise", str(self._plan_file)],
                env=self.environ,
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_up():
            if self._supervisor.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"the stack did not start:\n{log_file.read_text()[-3000:]}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Ends every process and every proxy."""
        if self._supervisor is not None and self._supervisor.stdin is not None:
            self.resume_supervisor()
            with contextlib.suppress(OSError):
                self._supervisor.stdin.close()
            try:
                self._supervisor.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._supervisor.kill()  # the kernel then ends its children
                self._supervisor.wait()
        self._exits.close()

    def _is_up(self) -> bool:
        state = read_state(self.installation.state_file)
        return state is not None and state["phase"] == "up"

    # What a fault does

    def signal(self, name: str, number: signal.Signals) -> None:
        """To the process and all its children: a JVM and a Postgres are frozen and killed as a whole."""
        pid = self.pid_of(name)
        if pid is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            for part in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    part.send_signal(number)

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """Frozen by SIGSTOP inside the block."""
        self.signal(name, signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(name, signal.SIGCONT)

    @contextlib.contextmanager
    def taken_down(self, name: str) -> Iterator[None]:
        """Killed, and kept from starting again inside the block."""
        self.pause_supervisor()
        try:
            pid = self.pid_of(name)
            self.signal(name, signal.SIGKILL)
            if pid is not None:
                wait_until_gone(pid)
            yield
        finally:
            self.resume_supervisor()

    def pause_supervisor(self) -> None:
        """So that it starts nothing again: somebody works on the machine."""
        if self._supervisor is not None:
            self._supervisor.send_signal(signal.SIGSTOP)

    def resume_supervisor(self) -> None:
        if self._supervisor is not None:
            self._supervisor.send_signal(signal.SIGCONT)

    def arm(self, point: Failpoint, action: Action) -> None:
        """The next process to reach the point does it, once."""
        unfinished = self.failpoints / f".{point}"
        unfinished.write_text(action)
        unfinished.replace(self.failpoints / point)

    def is_armed(self, point: Failpoint) -> bool:
        return (self.failpoints / point).exists()

    def shift_clock(self, seconds: float) -> None:
        """Of the gateway alone."""
        self.clock_file.write_text(str(seconds))

    @contextlib.contextmanager
    def second_process(self, name: str, settings: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
        """Another process of the same kind beside the supervised one, ended at the end of the block."""
        plan = next(plan for plan in own_plans(self.installation) if plan.name == name)
        self.second_processes += 1
        own = {PREFIX + key: value for key, value in {**settings, "HEALTH_PORT": "0"}.items()}
        with self.installation.log_file(f"second-{name}").open("ab") as log:
            process = subprocess.Popen(plan.command, env={**plan.environ, **own}, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def heal(self) -> None:
        """No proxy, failpoint, clock or frozen process is in the way any more."""
        self.resume_supervisor()
        for proxy in self.proxies:
            proxy.heal()
        self.s3.heal()
        for armed in self.failpoints.iterdir():
            armed.unlink(missing_ok=True)
        self.clock_file.unlink(missing_ok=True)
        for name in ("kafka", "postgres", "valkey", *MODULES):
            self.signal(name, signal.SIGCONT)

    def _mount(self, folder: Path, size: str) -> None:
        """A file system in memory, which can be filled; needs root."""
        folder.mkdir(parents=True, exist_ok=True)
        options = f"size={size},mode=755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "drill", str(folder)], check=True)
        self._exits.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=False)

    def _proxy(self, port: int) -> FaultProxy:
        return self._exits.enter_context(FaultProxy(port))

    def _plan(self, s3_port: int, kafka_ports: list[int]) -> StackPlan:
        settings_of: dict[str, dict[str, str]] = {name: {} for name in MODULES}
        for name, proxy in self.kafka.items():
            settings_of[name]["KAFKA_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{proxy.port}"
        direct = str(self.installation.ports["postgres"])
        for name, proxy in self.postgres.items():
            for role in ("POSTGRES_SINK_URL", "POSTGRES_API_URL"):
                url: str = getattr(self.settings, role.lower())
                settings_of[name][role] = url.replace(f":{direct}/", f":{proxy.port}/")
        settings_of["gateway"]["REDIS_URL"] = f"redis://127.0.0.1:{self.valkey.port}/0"
        settings_of["parquet-sink"]["ARCHIVE_S3_ENDPOINT_URL"] = f"http://127.0.0.1:{self.s3.port}"
        clock = {"PYTHONPATH": str(CLOCK_FOLDER), "DRILL_CLOCK_FILE": str(self.clock_file)}
        return StackPlan(
            s3_port=s3_port,
            proxied_kafka={port: proxy.port for port, proxy in zip(kafka_ports, self.kafka.values(), strict=True)},
            settings_of=settings_of,
            environ_of={"gateway": clock},
        )


def wait_until_gone(pid: int, seconds: float = 20.0) -> None:
    """Gone, or a zombie that its paused parent hasn't reaped."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
        except psutil.NoSuchProcess:
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} still runs after {seconds:.0f} s")


def restarts(stack: RunningStack) -> dict[str, int]:
    """How often the supervisor has started each process again."""
    state = json.loads(stack.installation.state_file.read_text())
    return {process["name"]: process["restarts"] for process in state["processes"]}
