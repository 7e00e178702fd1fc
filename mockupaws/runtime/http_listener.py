"""Lets clients in and runs an ASGI application for each of their requests, in the event loop of this process.

granian (`http_server.py`) hands each request over between three threads, which costs more than all the gateway does
for a small one; here there is one. Whole answers only: what streams them is served by granian.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

from mockupaws.runtime.clock import Clock
from mockupaws.runtime.errors import place_of
from mockupaws.runtime.http_connection import READ_AHEAD_BYTES, Exchange, HttpConnection
from mockupaws.runtime.http_edge import Application, Scope
from mockupaws.runtime.telemetry import get_logger

ACCEPTED_AT_ONCE = 64
"""Clients let in before the loop turns to what the others sent."""
OUT_OF_DESCRIPTORS_SECONDS = 0.1

_log = get_logger(__name__)


class HttpListener:
    """`head_seconds`: how long a client may take to send a request's head, keep an idle connection, and leave answers
    unread."""

    def __init__(
        self, app: Application, listening: socket.socket, clock: Clock, *, max_connections: int, head_seconds: float
    ) -> None:
        self._app = app
        self._listening = listening
        self._clock = clock
        self._max_connections = max_connections
        self._head_seconds = head_seconds
        self._loop = asyncio.get_running_loop()
        self._accepts = False
        self._stops = False
        self._connections: set[HttpConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[HttpConnection, float] = {}
        """Until when each may wait for a head; the one that began first ends first."""
        self._timer: asyncio.TimerHandle | None = None
        """One for all of them."""
        self._date = 0, b""
        self._all_gone = asyncio.Event()
        self.read_into = memoryview(bytearray(READ_AHEAD_BYTES))
        """What came of one client, until it has been copied: one for all of them."""
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "http",
            "root_path": "",
        }

    def start(self) -> None:
        if not self._accepts and not self._stops:
            self._accepts = True
            self._loop.add_reader(self._listening, self._accept)

    async def stop(self, within_seconds: float) -> None:
        """Lets nobody in, and returns once all that was begun is answered, or after that time."""
        self._pause()
        self._stops = True
        self._all_gone.clear()
        self._listening.close()
        for connection in list(self._connections):
            connection.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                if self._tasks:
                    await asyncio.wait(self._tasks)
                if self._connections:
                    await self._all_gone.wait()
        for connection in list(self._connections):
            connection.let_go()

    def run(self, connection: HttpConnection, exchange: Exchange, scope: Scope) -> None:
        """Has the request answered."""
        self.begins(connection)
        task = self._loop.create_task(self._answer(connection, exchange, scope))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def awaits_head(self, connection: HttpConnection) -> None:
        """From now on its time runs."""
        until = self._waiting[connection] = self._loop.time() + self._head_seconds
        if self._timer is None:
            self._timer = self._loop.call_at(until, self._end_late)

    def begins(self, connection: HttpConnection) -> None:
        """Its head has come."""
        self._waiting.pop(connection, None)

    def has_gone(self, connection: HttpConnection) -> None:
        self._waiting.pop(connection, None)
        self._connections.discard(connection)
        self.start()
        if not self._connections:
            self._all_gone.set()

    def date(self) -> bytes:
        """Of an answer that is sent now."""
        second = self._clock.now_us() // 1_000_000
        if self._date[0] != second:
            self._date = second, formatdate(second, usegmt=True).encode()
        return self._date[1]

    async def _answer(self, connection: HttpConnection, exchange: Exchange, scope: Scope) -> None:
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            # The class alone: a message or traceback may quote what was sent.
            _log.error("request_failed", error=type(error).__name__, where=place_of(error))
        finally:
            connection.finish(exchange)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            if len(self._connections) >= self._max_connections:
                self._pause()  # the others wait in the kernel until somebody goes
                return
            try:
                client, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.warning("connection_not_accepted", error=type(error).__name__)
                self._pause()
                self._loop.call_later(OUT_OF_DESCRIPTORS_SECONDS, self.start)
                return
            client.setblocking(False)
            connection = HttpConnection(self)
            self._connections.add(connection)
            task = self._loop.create_task(self._open(connection, client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _open(self, connection: HttpConnection, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, client)
        except OSError:  # it has gone already
            client.close()
            self.has_gone(connection)

    def _pause(self) -> None:
        if self._accepts:
            self._accepts = False
            self._loop.remove_reader(self._listening)

    def _end_late(self) -> None:
        self._timer = None
        for connection, until in list(self._waiting.items()):
            if until > self._loop.time():
                self._timer = self._loop.call_at(until, self._end_late)
                return
            del self._waiting[connection]
            connection.let_go()


@contextlib.asynccontextmanager
async def lifespan_of(app: Application) -> AsyncIterator[None]:
    """Within, the application has started. Raises what its start raises."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    started = asyncio.Event()

    async def send(message: Any) -> None:
        if message["type"] == "lifespan.startup.complete":
            started.set()

    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
    running = asyncio.ensure_future(app(scope, told.get, send))
    starting = asyncio.create_task(started.wait())
    told.put_nowait({"type": "lifespan.startup"})
    await asyncio.wait((running, starting), return_when=asyncio.FIRST_COMPLETED)
    if not started.is_set():
        starting.cancel()
        await running
        raise RuntimeError("the application ended at its start")
    try:
        yield
    finally:
        told.put_nowait({"type": "lifespan.shutdown"})
        await running
