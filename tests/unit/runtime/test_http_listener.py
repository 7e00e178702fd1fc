"""The gateway's server over real sockets: one request after the other, and what a client may take of it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.http_connection import READ_AHEAD_BYTES
from mockupaws.runtime.http_edge import Application, Message, Receive, Scope, Send
from mockupaws.runtime.http_listener import HttpListener, lifespan_of

PATIENCE_SECONDS = 60.0
GET = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n%s\r\n"


async def answer(send: Send, body: bytes, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def read_all(receive: Receive) -> bytes | None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message["body"]
        more = message["more_body"]
    return body


async def tells_path(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, scope["path"].encode())


async def tells_length(scope: Scope, receive: Receive, send: Send) -> None:
    body = await read_all(receive)
    await answer(send, b"cut" if body is None else b"%d" % len(body))


@contextlib.asynccontextmanager
async def listener_of(
    app: Application, *, max_connections: int = 100, head_seconds: float = PATIENCE_SECONDS
) -> AsyncIterator[tuple[HttpListener, Callable[[], Any]]]:
    """The listener, and what opens a connection to it."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    port = listening.getsockname()[1]
    listener = HttpListener(app, listening, SystemClock(), max_connections=max_connections, head_seconds=head_seconds)
    listener.start()
    writers: list[asyncio.StreamWriter] = []

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(writer)
        return reader, writer

    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            yield listener, connect
    finally:
        for writer in writers:
            writer.close()
        await listener.stop(PATIENCE_SECONDS)


async def until_end(reader: asyncio.StreamReader) -> bytes:
    read = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := await reader.read(65536):
            read += piece
    return read


async def test_requests_sent_together_are_answered_one_after_the_other() -> None:
    async with listener_of(tells_path) as (_, connect):
        reader, writer = await connect()
        writer.write(b"".join(GET % number for number in range(50)))
        writer.write(b"HEAD /head HTTP/1.1\r\nHost: h\r\n\r\n" + b"GET /%C3%A9 HTTP/1.0\r\n\r\n" + GET % 51)
        answers = (await until_end(reader)).split(b"HTTP/1.1 200 OK\r\n")[1:]
        assert [one.partition(b"\r\n\r\n")[2] for one in answers] == [
            *(b"/%d" % number for number in range(50)), b"", "/é".encode()
        ]  # fmt: skip
        assert all(b"\r\ncontent-length: " in one and one.startswith(b"date: ") for one in answers)
        assert b"\r\ncontent-length: 5\r\n" in answers[50]
        assert [b"connection: close" in one for one in answers] == [False] * 51 + [True]


async def test_a_client_that_asks_first_is_told_to_send_once_its_body_is_read() -> None:
    async with listener_of(tells_length) as (_, connect):
        reader, writer = await connect()
        writer.write(POST % (5, b"Expect: 100-continue\r\n"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert (await reader.readuntil(b"\r\n\r\n5")).startswith(b"HTTP/1.1 200 OK\r\n")
    async with listener_of(tells_path) as (_, connect):
        reader, writer = await connect()
        writer.write(POST % (5, b"Expect: 100-continue\r\n"))
        refused = await until_end(reader)
        assert refused.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nconnection: close\r\n" in refused


async def test_an_answer_reaches_a_client_that_still_sends_its_body() -> None:
    async with listener_of(tells_path) as (_, connect):
        reader, writer = await connect()
        writer.write(POST % (1 << 24, b"") + b"x" * (1 << 20))
        assert (await until_end(reader)).endswith(b"\r\n\r\n/")


async def test_a_body_waits_with_its_client_until_it_is_asked_for() -> None:
    asks = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asks.wait()
        await tells_length(scope, receive, send)

    async with listener_of(app) as (_, connect):
        reader, writer = await connect()
        size = 1 << 25
        writer.write(POST % (size, b"") + b"x" * size)
        await asyncio.sleep(0)
        asks.set()
        assert (await reader.readuntil(b"\r\n\r\n%d" % size)).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (POST % (5, b"") + b"hell", b"cut"),
        (POST % (5, b"") + b"hello", b"5"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"cut"),
    ],
)
async def test_who_sends_nothing_more_gets_its_answer(sent: bytes, told: bytes) -> None:
    async with listener_of(tells_length) as (_, connect):
        reader, writer = await connect()
        writer.write(sent)
        writer.write_eof()
        assert (await until_end(reader)).endswith(b"\r\n\r\n" + told)


async def test_a_defect_is_answered_and_ends_the_connection() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/1":
            raise ValueError
        if scope["path"] == "/2":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"a part", "more_body": True})

    async with listener_of(app) as (_, connect):
        for number in range(3):
            reader, writer = await connect()
            writer.write(GET % number + GET % 9)
            answered = await until_end(reader)
            assert answered.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
            assert answered.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost", GET % 1])
async def test_who_sends_no_head_in_time_is_let_go(sent: bytes) -> None:
    async with listener_of(tells_path, head_seconds=0.01) as (_, connect):
        reader, writer = await connect()
        writer.write(sent)
        await until_end(reader)


async def test_a_head_without_an_end_is_refused() -> None:
    async with listener_of(tells_path) as (_, connect):
        reader, writer = await connect()
        writer.write(b"GET / HTTP/1.1\r\nX: " + b"x" * READ_AHEAD_BYTES)
        assert (await until_end(reader)).startswith(b"HTTP/1.1 431 ")


async def test_clients_beyond_the_limit_wait_until_another_has_gone() -> None:
    async with listener_of(tells_path, max_connections=2) as (_, connect):
        first, second, third = [await connect() for _ in range(3)]
        for reader, writer in (first, second):
            writer.write(GET % 1)
            await reader.readuntil(b"/1")
        third[1].write(GET % 3)
        first[1].close()
        await third[0].readuntil(b"/3")


async def test_who_stops_answers_what_was_begun_and_lets_nobody_in() -> None:
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        await goes_on.wait()
        await answer(send, b"done", 204)

    async with listener_of(app) as (listener, connect):
        (idle, _), (half, half_writer), (reader, writer) = [await connect() for _ in range(3)]
        half_writer.write(b"GET /")
        writer.write(GET % 1 + GET % 2)
        await begun.wait()
        stopping = asyncio.create_task(listener.stop(PATIENCE_SECONDS))
        assert await until_end(idle) == await until_end(half) == b""
        with pytest.raises(ConnectionRefusedError):
            await connect()
        goes_on.set()
        answered = await until_end(reader)
        assert answered.count(b"HTTP/1.1 204 No Content\r\n") == 1
        assert b"connection: close" in answered
        assert not answered.endswith(b"done")  # such an answer has no body
        await stopping


async def test_an_application_runs_within_its_lifespan_and_its_failed_start_is_told() -> None:
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for what in ("startup", "shutdown"):
            message: Message = await receive()
            told.append(message["type"])
            await send({"type": f"lifespan.{what}.complete"})

    async with lifespan_of(app):
        assert told == ["lifespan.startup"]
    assert told == ["lifespan.startup", "lifespan.shutdown"]

    async def fails(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        async with lifespan_of(fails):
            pass
