"""Many readers at once: each has a connection of its own, and requests leave on a fixed timetable.

A time counts from when the request was due, so a slow server can't hide by slowing its readers down. Plain sockets: a
client library would use more of a small machine than the server does.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.benchmarks.http_connections import content_length

ANSWER_SECONDS = 60.0


@dataclass(slots=True)
class Readings:
    times_ms: list[float] = field(default_factory=list)
    """Sorted, from due to the last byte, of those answered 200."""
    errors: Counter[str] = field(default_factory=Counter)
    late_ms: float = 0.0
    """The most a request left after it was due although its reader was free: the generator's own fault."""


class _Reader:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self._turn = asyncio.Lock()

    async def read(self, request: bytes, due: float, readings: Readings) -> None:
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    self.writer.write(request)
                    head = await self._reader.readuntil(b"\r\n\r\n")
                    await self._reader.readexactly(content_length(head))
            except (TimeoutError, ConnectionError, asyncio.IncompleteReadError) as error:
                readings.errors[type(error).__name__] += 1
                return
        if head[9:12] != b"200":
            readings.errors[head[9:12].decode()] += 1
        readings.times_ms.append((time.perf_counter() - due) * 1000)


async def read_by_many(
    host: str, port: int, readers: int, requests_a_second: int, seconds: float, next_request: Callable[[int], bytes]
) -> Readings:
    """`next_request` makes the nth request, head and all."""
    opened = [_Reader(*await asyncio.open_connection(host, port)) for _ in range(readers)]
    readings = Readings()
    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for n in range(int(seconds * requests_a_second)):
            due = started + n / requests_a_second
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            readings.late_ms = max(readings.late_ms, (time.perf_counter() - due) * 1000)
            tasks.create_task(opened[n % readers].read(next_request(n), due, readings))
    for reader in opened:
        reader.writer.close()
    readings.times_ms.sort()
    return readings
