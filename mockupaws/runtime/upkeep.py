"""Work that is repeated beside the stream until its process stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

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


class DaysToLookAt:
    """Which days work on whole days has to look at: today and yesterday mostly, and all once an hour. What comes to
    older days is rare, and to look at all of them costs the more the longer lines are kept."""

    def __init__(self) -> None:
        self._looked_at_all: datetime | None = None

    def since(self, now: datetime) -> datetime | None:
        """The first of them; None: all."""
        if self._looked_at_all is None or now - self._looked_at_all >= timedelta(hours=1):
            return None
        return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)

    def looked(self, now: datetime) -> None:
        """What was to be looked at `now` has been."""
        if self.since(now) is None:
            self._looked_at_all = now
