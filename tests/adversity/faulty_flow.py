"""One direction of a connection through the fault proxy: a pump between two sockets, and what it does to the bytes."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import random
import socket
import struct
import termios
from dataclasses import dataclass

CHUNK_BYTES = 64 * 1024
CHUNKS_IN_FLIGHT = 64
"""What one direction of a connection holds back at most before it stops reading: 4 MiB."""
RECEIVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Faults:
    """What happens to the bytes of one direction. The default forwards them as they are."""

    latency_seconds: float = 0.0
    """Each chunk arrives this much later; the order stays."""
    jitter_seconds: float = 0.0
    """And up to this much later still."""
    bytes_per_second: float | None = None
    blackhole: bool = False
    """Nothing arrives, not even the end of the connection. As in TCP, what was held arrives once this heals."""
    cut_after_bytes: int | None = None
    """This many bytes more arrive, then both sides get a reset."""
    cut_after_pattern: bytes | None = None
    """What holds this pattern still arrives whole, then both sides get a reset: was it done?"""
    cut_before_pattern: bytes | None = None
    """What holds this pattern doesn't arrive, and both sides get a reset: in `to_client`, it was done and not told."""


NONE = Faults()


class CutError(Exception):
    """The faults ask for a reset of the connection here."""


class Flow:
    """One direction of one connection."""

    def __init__(self, source: socket.socket, sink: socket.socket, faults: Faults, seed: int) -> None:
        self.forwarded_bytes = 0
        self._source, self._sink = source, sink
        self._random = random.Random(seed)
        self._chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_IN_FLIGHT)
        self._changed = asyncio.Event()
        self._tail = b""
        self._is_closed = False
        self.use(faults)

    def use(self, faults: Faults) -> None:
        self.faults = faults
        self._bytes_left = faults.cut_after_bytes
        self._tail = b""
        self._changed.set()

    def close(self) -> None:
        """The sink is told that nothing more comes, and nothing more does."""
        if not self._is_closed:
            self._is_closed = True
            with contextlib.suppress(OSError):
                self._sink.shutdown(socket.SHUT_WR)

    async def run(self) -> None:
        """Until the source ends, which the sink is then told. Raises OSError or CutError."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read())
            tasks.create_task(self._write())

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        due = 0.0
        data = b"-"
        while data:
            data = await loop.sock_recv(self._source, CHUNK_BYTES)
            delay = self.faults.latency_seconds + self._random.random() * self.faults.jitter_seconds
            due = max(due, loop.time() + delay)
            await self._chunks.put((due, data))

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await self._chunks.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if not data:
                await self._while_blackhole()
                self.close()
                return
            while data and not self._is_closed:
                await self._while_blackhole()
                data = data[await self._forward(data) :]

    async def _forward(self, data: bytes) -> int:
        """Sends as much of `data` as the faults allow at once; answers how much. Raises CutError."""
        faults = self.faults
        if faults.cut_before_pattern and self._holds(faults.cut_before_pattern, data):
            raise CutError
        if faults.bytes_per_second is not None:
            data = data[: max(1, int(faults.bytes_per_second / 20))]
        if self._bytes_left is not None:
            data = data[: self._bytes_left]
        await asyncio.get_running_loop().sock_sendall(self._sink, data)
        self.forwarded_bytes += len(data)
        if self._bytes_left is not None:
            self._bytes_left -= len(data)
        after_pattern = faults.cut_after_pattern is not None and self._holds(faults.cut_after_pattern, data)
        if after_pattern or self._bytes_left == 0:
            await self._until_received()
            raise CutError
        if faults.bytes_per_second is not None:
            await asyncio.sleep(len(data) / faults.bytes_per_second)
        return len(data)

    def _holds(self, pattern: bytes, data: bytes) -> bool:
        """Whether the pattern ends in `data`, also where it began in a chunk before."""
        seen = self._tail + data
        self._tail = seen[-(len(pattern) - 1) :] if len(pattern) > 1 else b""
        return pattern in seen

    async def _until_received(self) -> None:
        """A reset would throw away what the kernel hasn't sent yet."""
        deadline = asyncio.get_running_loop().time() + RECEIVE_SECONDS
        while _unsent_bytes(self._sink) and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.001)

    async def _while_blackhole(self) -> None:
        while self.faults.blackhole:
            self._changed.clear()
            await self._changed.wait()


def _unsent_bytes(side: socket.socket) -> int:
    return int(struct.unpack("i", fcntl.ioctl(side, termios.TIOCOUTQ, b"\0\0\0\0"))[0])
