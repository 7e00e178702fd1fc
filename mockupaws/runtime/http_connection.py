"""One client's connection: requests one after the other, each handed to an ASGI application, on the event loop itself.

Bounded here: a head in bytes and time, what is read ahead of the application, and how long an answer may stay unread.
How long a body may take is the application's to bound. A request that is malformed ends the connection; so does an
answer that is given before the whole body has come.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from mockupaws.runtime.errors import PipelineError
from mockupaws.runtime.http_edge import Headers, Message, Scope
from mockupaws.runtime.http_wire import MAX_HEAD_BYTES, ChunkedBody, Head, LengthBody, MalformedError, parse_head

if TYPE_CHECKING:
    from mockupaws.runtime.http_listener import HttpListener

READ_AHEAD_BYTES = 64 * 1024
"""Of a client, beyond what the application asked for; what one read of the socket brings, as much again, comes on top.
More would be most of the memory over many slow uploads."""
LINGER_SECONDS = 2.0
"""How long what a client still sends is read after the last answer: a reset would overtake that."""

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class AnswerError(PipelineError):
    """The application answers in a way this server has no use for."""


class Exchange:
    """A request and its answer: what the application gets as `receive` and `send`."""

    __slots__ = ("_body", "_connection", "_ended", "_headers", "_pieces", "_status", "_waiter", "answered", "cut",
                 "head", "held")  # fmt: skip

    def __init__(self, connection: HttpConnection, head: Head) -> None:
        self.head = head
        self._connection = connection
        self._body = ChunkedBody() if head.length is None else LengthBody(head.length)
        self._pieces: list[bytes] = []
        self.held = 0
        """Bytes of the body that came and weren't asked for yet."""
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self.cut = False
        """Nothing more of it will come."""
        self._status = 0
        self._headers: Headers = []
        self.answered = False

    @property
    def has_whole_body(self) -> bool:
        return self._body.done

    def take(self, data: bytes) -> bytes:
        """What follows the body."""
        try:
            piece, rest = self._body.take(data)
        except MalformedError:
            self.end()
            return b""
        if piece:
            self._pieces.append(piece)
            self.held += len(piece)
        if self._body.done or self.held >= READ_AHEAD_BYTES:
            self._wake()
        return rest

    def end(self) -> None:
        """The client has gone, or what it sends is no body."""
        self.cut = True
        self._wake()

    async def receive(self) -> Message:
        """A piece of the body; after the whole of it, or where it is cut short, that the client has gone."""
        while not self._ended and not (self._body.done or self.cut or self.held >= READ_AHEAD_BYTES):
            if self.head.asks_first and not self.held:
                self._connection.go_ahead()
            await self._wait()
        if self._pieces or (self._body.done and not self._ended):
            body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            self.held = 0
            self._ended = self._body.done
            return {"type": "http.request", "body": body, "more_body": not self._ended}
        while not self.cut:
            await self._wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """The head of the answer, then all of its body. Raises AnswerError for a body in pieces."""
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], message.get("headers", [])
        elif self.answered or not self._status or message.get("more_body"):
            raise AnswerError("an answer is sent once, and whole")
        else:
            self.answered = True
            self._connection.answer(self, self._status, self._headers, message.get("body", b""))

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        self._connection.read_on()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class HttpConnection(asyncio.BufferedProtocol):
    """`listener` lets it in, bounds the time it waits for a head in, and runs the application."""

    __slots__ = (
        "_buffer", "_ends", "_exchange", "_half_closed", "_lingers", "_listener", "_reads", "_scope", "_transport",
        "_writes",
    )  # fmt: skip

    def __init__(self, listener: HttpListener) -> None:
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._scope: dict[str, Any] = {}
        self._buffer = b""
        """What came and is no part of the request being answered."""
        self._exchange: Exchange | None = None
        self._reads = self._writes = True
        """Whether the transport reads, and takes more to write."""
        self._ends = False
        """No further request is taken."""
        self._half_closed = False
        """The client sends nothing more."""
        self._lingers: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's are no subclasses of it
        client = transport.get_extra_info("peername")
        self._scope = {
            **self._listener.scope,
            "client": tuple(client[:2]) if client else None,
            "server": tuple(transport.get_extra_info("sockname")[:2]),
        }
        if self._ends:
            transport.close()
        else:
            self._listener.awaits_head(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._lingers is not None:
            self._lingers.cancel()
        if self._exchange is not None:
            self._exchange.end()
        self._listener.has_gone(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._listener.read_into

    def buffer_updated(self, nbytes: int) -> None:
        if self._lingers is not None:
            return
        data = bytes(self._listener.read_into[:nbytes])
        exchange = self._exchange
        if exchange is not None and not exchange.has_whole_body:
            data = b"" if exchange.cut else exchange.take(data)
        if data:
            self._buffer = self._buffer + data if self._buffer else data
        if self._exchange is None:
            self._begin()
        elif self._reads and self._transport is not None and self._held() >= READ_AHEAD_BYTES:
            self._reads = False
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Whether the connection stays open for an answer."""
        if self._exchange is None or self._lingers is not None:
            return False
        self._half_closed = True
        if not self._exchange.has_whole_body:
            self._exchange.end()
        return True

    def pause_writing(self) -> None:
        self._writes = False

    def resume_writing(self) -> None:
        self._writes = True
        if self._exchange is None:
            self._begin()

    def go_ahead(self) -> None:
        """Tells a client that asked first to send its body."""
        if self._transport is not None and self._exchange is not None and self._exchange.head.asks_first:
            self._exchange.head = self._exchange.head._replace(asks_first=False)
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def read_on(self) -> None:
        if not self._reads and self._transport is not None:
            self._reads = True
            self._transport.resume_reading()

    def answer(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        """Sends it, and takes the next request."""
        if self._transport is None or exchange is not self._exchange:
            return
        self._ends = self._ends or not exchange.head.keeps_alive or not exchange.has_whole_body
        lines = [b"HTTP/1.1 %d %s" % (status, _REASONS.get(status, b"")), b"date: " + self._listener.date()]
        for name, value in headers:
            if name == b"connection":
                self._ends = self._ends or value == b"close"
            elif name != b"content-length":
                lines.append(b"%s: %s" % (name, value))
        if status != HTTPStatus.NO_CONTENT:
            lines.append(b"content-length: %d" % len(body))
        if self._ends:
            lines.append(b"connection: close")
        silent = exchange.head.method == "HEAD" or status == HTTPStatus.NO_CONTENT
        lines += (b"", b"" if silent else body)
        self._transport.write(b"\r\n".join(lines))
        self._exchange = None
        if self._ends:
            self._close((exchange.has_whole_body and not self._buffer) or self._half_closed)
            return
        self._listener.awaits_head(self)
        self._begin()

    def finish(self, exchange: Exchange) -> None:
        """The application has ended, be it without an answer."""
        if not exchange.answered:
            exchange.answered = self._ends = True
            self.answer(exchange, 500, [], b"")

    def stop(self) -> None:
        """The process stops: the request being answered is the last one."""
        self._ends = True
        if self._exchange is None and self._lingers is None and self._transport is not None:
            self._transport.close()

    def let_go(self) -> None:
        """At once, whatever is unsent."""
        if self._transport is not None:
            self._transport.abort()

    def _held(self) -> int:
        exchange = self._exchange
        return len(self._buffer) + (exchange.held if exchange is not None and not exchange.has_whole_body else 0)

    def _begin(self) -> None:
        """The next request, if its head has come."""
        if self._ends or not self._writes or self._transport is None:
            return
        self.read_on()
        data = self._buffer.removeprefix(b"\r\n") if self._buffer[:2] == b"\r\n" else self._buffer
        end = data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        try:
            if end < 0:
                self._buffer = data
                if len(data) >= MAX_HEAD_BYTES:
                    raise MalformedError(b"431 Request Header Fields Too Large")
                if data.count(b"\n") != data.count(b"\r\n"):  # its end would be waited for in vain
                    raise MalformedError
                if self._half_closed:
                    self._close(True)
                return
            head = parse_head(data[:end])
        except MalformedError as error:
            self._transport.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % error.status)
            self._ends = True
            self._close(False)
            return
        exchange = self._exchange = Exchange(self, head)
        rest = data[end + 4 :]
        self._buffer = exchange.take(rest) if rest and not exchange.has_whole_body else rest
        self._listener.run(self, exchange, self._scope_of(head))

    def _scope_of(self, head: Head) -> Scope:
        raw_path, _, query = head.target.partition(b"?")
        path = raw_path.decode("latin-1")
        return {
            **self._scope,
            "method": head.method,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": head.headers,
        }

    def _close(self, has_read_all: bool) -> None:
        """Once all is sent."""
        self._listener.begins(self)
        self._buffer = b""
        assert self._transport is not None
        if has_read_all:
            self._transport.close()
            return
        self._lingers = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.let_go)
        self.read_on()
        if self._transport.can_write_eof():
            self._transport.write_eof()
