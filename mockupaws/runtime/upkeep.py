"""Work that is repeated beside the stream until its process stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from mockupaws.runtime.clock import Clock


async def repeat(
    stop: asyncio.Event,
    seconds: float,
    clock: Clock,
    once: Callable[[datetime], Awaitable[object]],
    on_failure: Callable[[Exception], object],
) -> None:
    """Calls `once` with the time, again `seconds` after it ended, until `stop`; what it raises goes to `on_failure`.

    Never raises but CancelledError: nothing done here may end the process it runs in.
    """
    while not stop.is_set():
        try:
            await once(datetime.fromtimestamp(clock.now_us() / 1e6, UTC))
        except Exception as error:
            on_failure(error)
        await rest(stop, seconds)


async def rest(stop: asyncio.Event, seconds: float) -> None:
    """Waits so long, or until `stop`."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
