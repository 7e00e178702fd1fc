"""The one HTTP server, granian, as gateway and API run it: what a client may take of it is bounded here.

It speaks HTTP/1.1 only: the limits below are those of its HTTP/1 side. What it doesn't do itself, and a reverse proxy
in front of it must: docs/security.md.
"""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import Callable

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings

from mockupaws.runtime.worker_metrics import shared_metrics

READ_BUFFER_BYTES = 64 * 1024
"""What the server reads ahead of one client, and the longest head it reads; over many slow uploads granian's 400 KiB
would be most of the memory."""
STOP_SECONDS = 13
"""When a worker that doesn't drain is killed: before the supervisor loses patience."""
OTHER_DESCRIPTORS = 256
"""Of a process, for all but its clients."""


def serve(target: str, *, host: str, port: int, workers: int, max_connections: int, head_seconds: float) -> None:
    """Runs `target`, a "module:function" that makes the application in each worker, until SIGTERM or SIGINT.

    `head_seconds`: how long a client may take to send a request's head, and keep an idle connection.
    """
    server = Granian(
        target,
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        workers=workers,
        websockets=False,
        backpressure=_connections(max_connections),
        log_dictconfig={"loggers": {"_granian": {"handlers": [], "propagate": True}}, "handlers": {}},
        http1_settings=HTTP1Settings(header_read_timeout=int(head_seconds * 1000), max_buffer_size=READ_BUFFER_BYTES),
        workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=False,
    )
    with shared_metrics(workers):
        server.serve()


def on_sigterm(tell: Callable[[], None]) -> None:
    """Calls `tell` first, in the running loop: granian waits for open requests, but doesn't say that the process
    stops."""

    def stop() -> None:
        tell()
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
