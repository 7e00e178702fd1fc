"""The gateway (or the API) as it is really run, in processes of its own: to be stopped, killed, seen from outside."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from mockupaws.runtime.settings import PREFIX, Settings
from tests.running_stack import free_ports, wait_until

START_SECONDS = 90.0
STOP_SECONDS = 60.0


class GatewayProcess:
    def __init__(self, settings: Settings, log_file: Path, module: str = "mockupaws.ingest_gateway") -> None:
        [port] = free_ports(1)
        self.settings = dataclasses.replace(settings, gateway_port=port, api_port=port)
        self.address = ("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self._output = log_file.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            env=inherited | self.settings.to_environ(),
            stdout=self._output,
            stderr=self._output,
        )

    def until_ready(self) -> None:
        wait_until(self._is_ready, "the gateway is ready", START_SECONDS)

    def health(self) -> tuple[int, dict[str, str]]:
        answer = httpx.get(f"{self.url}/health/ready", timeout=10)
        return answer.status_code, answer.json()["detail"]

    def metric(self, name: str, **labels: str) -> float:
        """The value now; 0 where it was never set."""
        text = httpx.get(f"{self.url}/metrics", timeout=10).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    @property
    def worker(self) -> psutil.Process:
        """The process that serves; its parent only watches it."""
        [worker] = psutil.Process(self._process.pid).children()
        return worker

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def until_ended(self) -> None:
        self._process.wait(STOP_SECONDS)

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.returncode

    def kill(self) -> None:
        """kill -9, the worker first: its parent would end it gently."""
        with contextlib.suppress(psutil.NoSuchProcess, ValueError):
            self.worker.kill()
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def close(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for worker in psutil.Process(self._process.pid).children():
                worker.kill()
        self._process.kill()
        self._process.wait(STOP_SECONDS)
        self._output.close()

    def _is_ready(self) -> bool:
        assert not self.has_ended(), "the process ended"
        with contextlib.suppress(httpx.HTTPError):
            return self.health()[0] == 200
        return False


@contextlib.contextmanager
def gateway_process(
    settings: Settings, log_file: Path, module: str = "mockupaws.ingest_gateway"
) -> Iterator[GatewayProcess]:
    """A gateway (or API) that is ready; ended, however the test left it, afterwards."""
    process = GatewayProcess(settings, log_file, module)
    try:
        process.until_ready()
        yield process
    finally:
        process.close()
