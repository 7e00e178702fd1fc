"""`python -m mockupaws.ingest_gateway`: serves the gateway until SIGTERM, then drains."""

from __future__ import annotations

import asyncio
import os
import resource
import signal

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.http import HTTP1Settings

from mockupaws.ingest_gateway.app import create_app
from mockupaws.ingest_gateway.handlers import Gateway
from mockupaws.runtime.failpoints import enable_failpoints
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import configure_logging

HEADER_MS = 10_000
"""How long a client may take to send the head of a request."""
READ_BUFFER_BYTES = 64 * 1024
"""What the server reads ahead of one client; over many slow uploads granian's 400 KiB would be most of the memory."""
STOP_SECONDS = 13
"""When a worker that doesn't drain is killed: after HEADER_MS, and before the supervisor loses patience."""
OTHER_DESCRIPTORS = 256
"""Of a process, for all but its clients."""


def make_app() -> object:
    """Called in each worker process."""
    settings = Settings.from_environ(os.environ)
    configure_logging("gateway", settings.log_level)
    enable_failpoints(settings.failpoints)
    return create_app(settings, on_start=_drain_on_sigterm)


def _drain_on_sigterm(gateway: Gateway) -> None:
    """Tells the gateway first: granian waits for open requests, but doesn't tell them that the process stops."""

    def stop() -> None:
        gateway.drain()
        signal.raise_signal(signal.SIGINT)  # granian's own handler: stops accepting, and ends once all are answered

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)


def _connections(wanted: int) -> int:
    """What of `wanted` the file descriptors allow; their soft limit is raised where the hard one lets us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted + OTHER_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(wanted + OTHER_DESCRIPTORS, hard)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(1, limit - OTHER_DESCRIPTORS)


def main() -> None:
    settings = Settings.from_environ(os.environ)
    configure_logging("gateway", settings.log_level)
    Granian(
        "mockupaws.ingest_gateway.__main__:make_app",
        factory=True,
        address=settings.gateway_host,
        port=settings.gateway_port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        workers=settings.gateway_workers,
        websockets=False,
        backpressure=_connections(settings.gateway_max_connections),
        log_dictconfig={"loggers": {"_granian": {"handlers": [], "propagate": True}}, "handlers": {}},
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MS, max_buffer_size=READ_BUFFER_BYTES),
        workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=False,
    ).serve()


if __name__ == "__main__":
    main()
