"""Many, slow and vanishing clients against the real process: it sheds, it forgets them, and it serves the others."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from mockupaws.runtime.settings import Settings
from tests.adversity.fault_proxy import FaultProxy
from tests.adversity.faulty_flow import Faults
from tests.integration.ingest_gateway.gateway_process import GatewayProcess, gateway_process
from tests.integration.ingest_gateway.test_gateway import INGEST, body_of
from tests.integration.ingest_gateway.test_stopping import open_with, request_of
from tests.running_stack import wait_until

LIMIT_BYTES = 300_000_000
UPLOADS = 500
UPLOAD_BYTES = 2_000_000
DISCONNECTS = 1000
AT_ONCE = 50
SLOW_CLIENTS = 1500
"""More than granian would serve at once by itself."""


@contextlib.contextmanager
def peak_memory_of(process: psutil.Process) -> Iterator[Callable[[], int]]:
    ended = threading.Event()
    peak = 0

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.005):
            peak = max(peak, process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: peak
    finally:
        ended.set()
        thread.join()


async def upload(process: GatewayProcess, request: bytes) -> str:
    """The status; `cut` where the gateway closed before it could be read, as it answers before it has the body."""
    try:
        reader, writer = await asyncio.open_connection(*process.address)
    except OSError:
        return "cut"
    try:
        for start in range(0, len(request), 64 * 1024):
            writer.write(request[start : start + 64 * 1024])
            await writer.drain()
        return (await reader.read(12))[9:].decode() or "cut"
    except OSError:
        return "cut"
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_many_uploads_are_shed_before_memory_runs_out(settings: Settings, demo: Any, log_file: Path) -> None:
    limited = dataclasses.replace(settings, gateway_max_memory_bytes=LIMIT_BYTES)
    request = request_of(demo, *["x" * 250] * (UPLOAD_BYTES // 265))
    with gateway_process(limited, log_file) as process, peak_memory_of(process.worker) as peak:
        statuses = await asyncio.gather(*(upload(process, request) for _ in range(UPLOADS)))
        assert set(statuses) <= {"202", "503", "cut"}
        assert "503" in statuses
        assert process.metric("mockupaws_ingest_requests_total", status="503") > 0
        assert peak() < LIMIT_BYTES

        def takes_again() -> bool:
            answer = httpx.post(process.url + INGEST, json=body_of(demo, "small"), headers=headers_of(demo), timeout=30)
            assert answer.status_code in (202, 503)
            return answer.status_code == 202

        await asyncio.to_thread(wait_until, takes_again, "it takes requests again", 20)
        assert peak() < LIMIT_BYTES


async def test_above_the_limit_a_request_is_refused_before_its_body(
    settings: Settings, demo: Any, log_file: Path
) -> None:
    tiny = dataclasses.replace(settings, gateway_max_memory_bytes=10_000_000)
    with gateway_process(tiny, log_file) as process:
        half = open_with(process, request_of(demo, "x")[:-1])
        answer = half.recv(65536)
        half.close()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"overloaded"' in answer
        assert b"retry-after: " in answer.lower()


def test_clients_that_vanish_leave_nothing_behind(
    behind_proxy: Settings, demo: Any, proxied_kafka: FaultProxy, log_file: Path
) -> None:
    whole = request_of(demo, "y" * 2000)
    with gateway_process(behind_proxy, log_file) as process:
        for _ in range(AT_ONCE):  # what is made once and kept
            httpx.post(process.url + INGEST, json=body_of(demo, "x"), headers=headers_of(demo), timeout=30)
        descriptors = process.worker.num_fds()
        for sent in (whole[:60], whole[:-1000]):
            vanish(process, sent)
        assert_forgotten(process, descriptors)
        proxied_kafka.use(to_client=Faults(blackhole=True))
        vanish(process, whole)
        proxied_kafka.heal()
        wait_until(lambda: process.health() == (200, {}), "what they sent is drained", 60)
        assert_forgotten(process, descriptors)


def test_slow_clients_keep_nobody_else_waiting(settings: Settings, demo: Any, log_file: Path) -> None:
    whole = request_of(demo, "x")
    with gateway_process(settings, log_file) as process, contextlib.ExitStack() as slow:
        for number in range(SLOW_CLIENTS):
            slow.enter_context(open_with(process, whole[:40] if number % 2 else whole[:-1]))
        answer = httpx.post(process.url + INGEST, json=body_of(demo, "x"), headers=headers_of(demo), timeout=8)
        assert answer.status_code == 202


def vanish(process: GatewayProcess, sent: bytes) -> None:
    """DISCONNECTS clients that send so much, and are gone."""
    for _ in range(DISCONNECTS // AT_ONCE):
        connections = [open_with(process, sent) for _ in range(AT_ONCE)]
        for connection in connections:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def assert_forgotten(process: GatewayProcess, descriptors: int) -> None:
    for metric in ("ingest_in_flight_requests", "ingest_held_bytes", "publish_pending_bytes"):
        name = f"mockupaws_{metric}"
        wait_until(lambda name=name: process.metric(name) == 0, f"{name} is 0", 45)  # type: ignore[misc]
    wait_until(lambda: process.worker.num_fds() <= descriptors + 2, "no descriptor is left open", 30)


def headers_of(demo: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {demo.api_key}"}
