"""What may come in: one budget of bytes for all requests of a process, and bodies read no further than their limit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable
from types import TracebackType
from typing import Any, Self

from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.ingest_gateway.http_exchange import HttpRequest
from mockupaws.ingest_gateway.shed_load import MemoryGuard
from mockupaws.runtime.telemetry import INGEST_HELD_BYTES

BYTES_PER_BODY_BYTE = 2
"""Of memory until the process is looked at again: a body stands beside the messages read from it, or its record."""
_DISCARD_SECONDS = 5.0
_DISCARD_BYTES = 64 * 1024 * 1024
"""How far a body that is too large is read on and thrown away before it is refused."""


class ByteBudget:
    """Bytes held in memory at once, over all requests."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken = 0

    def fits(self, size: int) -> bool:
        return self.taken + size <= self._limit

    def take(self, size: int) -> None:
        """Raises RefusedError where the budget is used up."""
        if not self.fits(size):
            raise RefusedError("overloaded", "too many bytes wait for the brokers; send again later")
        self.taken += size

    def give_back(self, size: int) -> None:
        self.taken -= size


class ByteShare:
    """What one request holds of the budget, given back when its `with` ends."""

    def __init__(self, budget: ByteBudget, memory: MemoryGuard) -> None:
        self._budget = budget
        self._memory = memory
        self._size = 0

    def take(self, size: int) -> None:
        """Raises RefusedError (503) where the budget or the process's memory is used up."""
        self._memory.take(size * BYTES_PER_BODY_BYTE)
        self._budget.take(size)
        self._size += size

    def shrink_to(self, size: int) -> None:
        """The rest of what was taken is held no longer."""
        self._budget.give_back(max(0, self._size - size))
        self._size = min(self._size, size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.give_back(self._size)


class BodyIntake:
    """Reads the bodies of all requests of a process."""

    def __init__(self, max_held_bytes: int, body_seconds: float, memory: MemoryGuard) -> None:
        """`body_seconds`: how long a body may take to arrive; slower senders hold memory others need."""
        self._budget = ByteBudget(max_held_bytes)
        self._body_seconds = body_seconds
        self._memory = memory
        self._reading: dict[asyncio.Task[Any], float] = {}
        """Until when each may read on; the one that began first ends first."""
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None
        """One for all of them: a body nearly always arrives in time, and a timer for each costs a small request more
        than reading it."""
        self._stops = False
        INGEST_HELD_BYTES.set_function(lambda: self._budget.taken)

    def share(self) -> ByteShare:
        """Raises RefusedError (503) where nothing more is let in."""
        self._memory.check()
        return ByteShare(self._budget, self._memory)

    async def read(self, request: HttpRequest, limit: int, share: ByteShare) -> bytes:
        """The body as sent; holds nothing beyond the limit. Raises RefusedError (408, 413, 503), ClientGoneError."""
        if request.announced is not None and request.announced > limit:
            await self.discard(request)
            raise _too_large(limit)
        stream = request.stream()
        pieces: list[bytes] = []
        size = 0
        task = self._begin()
        try:
            async for piece in stream:
                size += len(piece)
                if size > limit:
                    await _discard(stream)
                    raise _too_large(limit)
                share.take(len(piece))
                pieces.append(piece)
        except asyncio.CancelledError as error:
            if task not in self._late or task.uncancel():
                raise
            if self._stops:
                raise RefusedError("draining", "this process is stopping; send again") from error
            raise RefusedError("body_timeout", f"the body did not arrive within {self._body_seconds:g} s") from error
        finally:
            del self._reading[task]
            self._late.discard(task)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def discard(self, request: HttpRequest) -> None:
        """Of a request that is refused before its body is read; who asks first (Expect) is answered before it sends."""
        if request.headers.get("expect", "").lower() != "100-continue":
            await _discard(request.stream())

    def stop_within(self, seconds: float) -> None:
        """The process stops: what has not arrived by then is refused, as long as its sender can still be answered."""
        self._stops = True
        self._body_seconds = min(self._body_seconds, seconds)
        at = asyncio.get_running_loop().time() + seconds
        self._reading = {task: min(until, at) for task, until in self._reading.items()}
        if self._timer is not None:
            self._timer.cancel()
        self._end_late()

    def _begin(self) -> asyncio.Task[Any]:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        until = self._reading[task] = loop.time() + self._body_seconds
        if self._timer is None:
            self._timer = loop.call_at(until, self._end_late)
        return task

    def _end_late(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        for task, until in self._reading.items():
            if until > loop.time():
                self._timer = loop.call_at(until, self._end_late)
                return
            if task not in self._late:
                self._late.add(task)
                task.cancel()


async def _discard(stream: AsyncIterable[bytes]) -> None:
    """Reads on for a while: to a client that still sends, the connection's reset would overtake the answer."""
    read = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DISCARD_SECONDS):
            async for piece in stream:
                read += len(piece)
                if read > _DISCARD_BYTES:
                    return


def _too_large(limit: int) -> RefusedError:
    return RefusedError("body_too_large", f"the body exceeds {limit} bytes; split it")
