"""The processes of an HTTP service: those that serve in their own event loop, and how any of them is told to stop."""

from __future__ import annotations

import asyncio
import multiprocessing
import multiprocessing.connection
import resource
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType

import uvloop

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.http_edge import Application
from mockupaws.runtime.http_listener import HttpListener, lifespan_of
from mockupaws.runtime.worker_metrics import shared_metrics

STOP_SECONDS = 13
"""When a worker that doesn't drain is killed: before the supervisor loses patience."""
OTHER_DESCRIPTORS = 256
"""Of a process, for all but its clients."""
WAITING_CLIENTS = 1024
"""Not let in yet; the kernel holds them."""


def serve_here(
    make_app: Callable[[], Application],
    *,
    host: str,
    port: int,
    workers: int,
    max_connections: int,
    head_seconds: float,
) -> None:
    """Serves what `make_app` makes until SIGTERM or SIGINT: in this process, or where `workers` are several in as many
    children, each with an application of its own.

    `head_seconds`: how long a client may take to send a request's head, and keep an idle connection.
    """
    listening = _listen(host, port)
    serve = partial(_serve, make_app, listening, connections_allowed(max_connections), head_seconds)
    with shared_metrics(workers):
        if workers == 1:
            serve()
        else:
            _watch(serve, workers)


def on_sigterm(tell: Callable[[], None]) -> None:
    """Calls `tell` first, in the running loop: a server waits for open requests, but doesn't say that the process
    stops."""

    def stop() -> None:
        tell()
        signal.raise_signal(signal.SIGINT)  # the server's own handler: lets nobody in, and ends once all are answered

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)


def connections_allowed(wanted: int) -> int:
    """What of `wanted` the file descriptors allow; their soft limit is raised where the hard one lets us."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted + OTHER_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(wanted + OTHER_DESCRIPTORS, hard)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(1, limit - OTHER_DESCRIPTORS)


def _listen(host: str, port: int) -> socket.socket:
    [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setblocking(False)
        listening.bind(address)
        listening.listen(WAITING_CLIENTS)
    except OSError as error:
        listening.close()
        sys.exit(f"can't listen on {host}:{port} ({error.strerror}): another process may hold the port")
    return listening


def _serve(
    make_app: Callable[[], Application], listening: socket.socket, max_connections: int, head_seconds: float
) -> None:
    async def run() -> None:
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, told.set)
        watcher = multiprocessing.parent_process()
        if watcher is not None:  # gone: nobody would end this process any more
            loop.add_reader(watcher.sentinel, partial(_orphaned, loop, watcher.sentinel))
        app = make_app()
        async with lifespan_of(app):
            listener = HttpListener(
                app, listening, SystemClock(), max_connections=max_connections, head_seconds=head_seconds
            )
            listener.start()
            await told.wait()
            await listener.stop(STOP_SECONDS)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def _orphaned(loop: asyncio.AbstractEventLoop, sentinel: int) -> None:
    loop.remove_reader(sentinel)
    signal.raise_signal(signal.SIGTERM)


def _watch(serve: Callable[[], None], workers: int) -> None:
    """Where one of them ends, all do."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=serve) for _ in range(workers)]
    for process in processes:
        process.start()

    def tell(number: int, frame: FrameType | None) -> None:
        for process in processes:
            process.terminate()

    signal.signal(signal.SIGTERM, tell)
    signal.signal(signal.SIGINT, tell)
    multiprocessing.connection.wait([process.sentinel for process in processes])
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(STOP_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
    sys.exit(0 if all(process.exitcode == 0 for process in processes) else 1)
