"""Clients that send in their own way: one byte short, byte by byte, or gone before the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

ANSWER_SECONDS = 30.0

Send = Callable[[bytes, bytes], Awaitable[tuple[int, bytes]]]
"""(head, body) → (status, body of the answer). Raises OSError, EOFError, TimeoutError or ValueError."""


def hold_one_byte(port: int, finish: asyncio.Event) -> Send:
    """All but the last byte; that one when `finish` is set."""

    async def send(head: bytes, body: bytes) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(head + body[:-1])
            await writer.drain()
            await finish.wait()
            writer.write(body[-1:])
            await writer.drain()
            return await _read_answer(reader)
        finally:
            writer.close()

    return send


def trickle(port: int, bytes_per_second: float, stop: asyncio.Event) -> Send:
    """Byte by byte, until it is done, refused, or `stop` is set."""

    async def send(head: bytes, body: bytes) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for byte in head + body:
                if stop.is_set():
                    raise EOFError
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(1 / bytes_per_second)
            return await _read_answer(reader)
        finally:
            writer.close()

    return send


def send_slowly(port: int, seconds: float, *, finish: bool) -> Send:
    """In twenty parts, over this time; without `finish` it goes away before the last byte, if it isn't answered."""

    async def send(head: bytes, body: bytes) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(head)
            size = len(body) // 20 + 1
            sent = body if finish else body[:-1]
            for start in range(0, len(sent), size):
                writer.write(sent[start : start + size])
                await writer.drain()
                await asyncio.sleep(seconds / 20)
            if not finish:
                async with asyncio.timeout(seconds):  # the answer of one that was shed
                    return await _read_answer(reader)
            return await _read_answer(reader)
        finally:
            writer.close()

    return send


def leave_after_body(port: int) -> Send:
    """The whole request, and the connection is gone before the answer."""

    async def send(head: bytes, body: bytes) -> tuple[int, bytes]:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + body)
        await writer.drain()
        writer.transport.abort()
        raise EOFError

    return send


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    async with asyncio.timeout(ANSWER_SECONDS):
        answer = await reader.read()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head[9:12]), body
