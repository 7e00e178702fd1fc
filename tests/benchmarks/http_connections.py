"""Keep-alive HTTP/1.1 connections of a load generator, on bare protocols: a request costs it tens of µs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast
from urllib.parse import urlsplit

_ANSWER_SECONDS = 60.0
_SWEEP_SECONDS = 1.0


class Answer(NamedTuple):
    status: int
    head: bytes
    """In lower case."""
    body: bytes


@dataclass(slots=True, eq=False)
class _Exchange:
    request: bytes
    answered: Callable[[Answer | Exception], None]
    deadline: float
    on_used_connection: bool = False


class Connections:
    """At most `limit` to one server; requests beyond them wait. A broken one is dropped."""

    def __init__(self, url: str, limit: int = 512) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._limit = limit
        self._open = 0
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._waiting: deque[_Exchange] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._sweep = self._loop.call_later(_SWEEP_SECONDS, self._drop_overdue)

    def send(self, request: bytes, answered: Callable[[Answer | Exception], None]) -> None:
        """`answered` is called once: with the answer, or with an OSError, EOFError, TimeoutError or ValueError."""
        self._start(_Exchange(request, answered, self._loop.time() + _ANSWER_SECONDS))

    async def call(self, request: bytes) -> Answer:
        """Raises what `send` may hand over."""
        future: asyncio.Future[Answer] = self._loop.create_future()

        def answered(outcome: Answer | Exception) -> None:
            if future.done():
                return
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self.send(request, answered)
        return await future

    def close(self) -> None:
        self._sweep.cancel()
        for connection in [*self._idle, *self._busy]:
            connection.transport.abort()

    def _start(self, exchange: _Exchange) -> None:
        if self._idle:
            self._begin(self._idle.pop(), exchange, on_used_connection=True)
        elif self._open < self._limit:
            self._open += 1
            task = self._loop.create_task(self._connect(exchange))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        else:
            self._waiting.append(exchange)

    async def _connect(self, exchange: _Exchange) -> None:
        try:
            async with asyncio.timeout_at(exchange.deadline):
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self._next, self._lost), self._host, self._port
                )
        except OSError as error:  # TimeoutError is one
            self._open -= 1
            exchange.answered(error)
            return
        self._begin(connection, exchange, on_used_connection=False)

    def _begin(self, connection: _Connection, exchange: _Exchange, *, on_used_connection: bool) -> None:
        exchange.on_used_connection = on_used_connection
        self._busy.add(connection)
        connection.begin(exchange)

    def _next(self, connection: _Connection) -> None:
        self._busy.discard(connection)
        if self._waiting:
            self._begin(connection, self._waiting.popleft(), on_used_connection=True)
        else:
            self._idle.append(connection)

    def _lost(self, connection: _Connection, cut: _Exchange | None, error: Exception) -> None:
        self._open -= 1
        self._busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if cut is None:
            pass
        elif cut.on_used_connection and not connection.received:
            self._start(cut)  # closed while idle, before this request: any HTTP client takes another one
        else:
            cut.answered(error)
        if self._waiting and self._open < self._limit:
            self._start(self._waiting.popleft())

    def _drop_overdue(self) -> None:
        now = self._loop.time()
        for connection in [one for one in self._busy if one.deadline < now]:
            connection.give_up(TimeoutError(f"no answer within {_ANSWER_SECONDS:.0f} s"))
        self._sweep = self._loop.call_later(_SWEEP_SECONDS, self._drop_overdue)


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(
        self, free: Callable[[_Connection], None], lost: Callable[[_Connection, _Exchange | None, Exception], None]
    ) -> None:
        self._free, self._lost = free, lost
        self._exchange: _Exchange | None = None
        self._error: Exception = ConnectionResetError("the server closed the connection")
        self.received = b""

    @property
    def deadline(self) -> float:
        return self._exchange.deadline if self._exchange is not None else float("inf")

    def begin(self, exchange: _Exchange) -> None:
        self._exchange, self.received = exchange, b""
        self.transport.write(exchange.request)

    def give_up(self, error: Exception) -> None:
        self._error = error
        if self._exchange is not None:
            self._exchange.on_used_connection = False  # it had its time: not sent again
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        self.received = received = self.received + data
        end = received.find(b"\r\n\r\n") + 4
        if end < 4:
            return
        head = received[:end].lower()
        try:
            length = content_length(head)
        except ValueError as error:
            self.give_up(error)
            return
        if len(received) < end + length or self._exchange is None:
            return
        exchange, self._exchange = self._exchange, None
        self._free(self)
        exchange.answered(Answer(int(head[9:12]), head, received[end : end + length]))

    def connection_lost(self, exc: Exception | None) -> None:
        cut, self._exchange = self._exchange, None
        self._lost(self, cut, exc or self._error)


def content_length(head: bytes) -> int:
    """Of an answer's head in lower case. Raises ValueError where it tells none."""
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if not found:
        raise ValueError("an answer without Content-Length")
    return int(rest.partition(b"\r\n")[0])
