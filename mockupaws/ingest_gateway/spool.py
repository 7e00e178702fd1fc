"""What the gateway promises while Kafka doesn't acknowledge: requests on this machine's disk, sent once it does.

Each process appends to a spool of its own and drains it; spools whose process is gone are adopted, drained and
removed. docs/adr/0050-spool.md says why it is SQLite and what a 202 from it means.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from mockupaws.ingest_gateway.drain_spool import LEFT_SECONDS, SpoolDrain
from mockupaws.ingest_gateway.publish import Publisher
from mockupaws.ingest_gateway.spool_file import NewRequest
from mockupaws.ingest_gateway.spool_slots import SpoolSlot, claim_abandoned, claim_own
from mockupaws.ingest_gateway.spool_thread import SpoolFailedError, SpoolThread
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.telemetry import (
    SPOOL_BYTES,
    SPOOL_OLDEST_SECONDS,
    SPOOL_REFUSALS,
    SPOOL_REQUESTS,
    get_logger,
)

FOLDER = "spool"
WATCH_SECONDS = 1.0
ADOPT_SECONDS = 5.0
"""Between looks for spools whose process is gone."""

_log = get_logger(__name__)


class _ClaimedSpool:
    """A slot, its thread, and whether it is being drained."""

    def __init__(self, slot: SpoolSlot, thread: SpoolThread) -> None:
        self.slot = slot
        self.thread = thread
        self.drained = False

    async def close(self) -> None:
        await self.thread.close()
        self.slot.release()


class Spool:
    """One per process. `run` opens, drains and adopts; `append` may be called from any request."""

    def __init__(self, home: Path, max_bytes: int, clock: Clock, publisher: Publisher) -> None:
        self._folder = home / FOLDER
        self._max_bytes = max_bytes
        self._clock = clock
        self._publisher = publisher
        self._own: _ClaimedSpool | None = None
        self._adopted: dict[Path, _ClaimedSpool] = {}

    @property
    def takes(self) -> bool:
        """Whether a request would be spooled now."""
        return self._own is not None and self._own.thread.takes

    @property
    def waiting(self) -> int:
        """Requests in this process's spools."""
        return sum(each.thread.totals.requests for each in self._claimed())

    async def append(self, request: NewRequest) -> None:
        """Returns once the request is on disk. Raises SpoolFailedError."""
        try:
            if self._own is None:
                raise SpoolFailedError("failed" if self._max_bytes else "off", "there is no spool")
            await self._own.thread.append(request)
        except SpoolFailedError as error:
            SPOOL_REFUSALS.labels(error.reason).inc()
            raise

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as drains:
            adopt_at = loop.time()
            while True:
                await self._claim_own(drains)
                if loop.time() >= adopt_at:
                    self._adopt(drains)
                    adopt_at = loop.time() + ADOPT_SECONDS
                for claimed in self._claimed():
                    await claimed.thread.check()
                await self._let_go_of_drained()
                self._show()
                await asyncio.sleep(WATCH_SECONDS)

    async def close(self) -> None:
        """After `run` has ended. What is left is drained by the next process."""
        for claimed in self._claimed():
            await claimed.close()
        self._own = None
        self._adopted.clear()

    def _claimed(self) -> list[_ClaimedSpool]:
        return [*([self._own] if self._own is not None else []), *self._adopted.values()]

    async def _claim_own(self, drains: asyncio.TaskGroup) -> None:
        if self._own is not None or not self._max_bytes:
            return
        try:
            slot = claim_own(self._folder)
        except OSError as error:
            _log.warning("spool_unusable", folder=str(self._folder), error=str(error))
            return
        self._own = _ClaimedSpool(slot, SpoolThread(slot.folder, self._max_bytes, self._clock))
        drains.create_task(self._drain_own(self._own))

    async def _drain_own(self, own: _ClaimedSpool) -> None:
        drain = SpoolDrain(own.thread, self._publisher)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LEFT_SECONDS):
                    await own.thread.appended.wait()
            own.thread.appended.clear()
            await drain.until_empty()

    def _adopt(self, drains: asyncio.TaskGroup) -> None:
        try:
            abandoned = claim_abandoned(self._folder)
        except OSError as error:
            _log.warning("spools_not_looked_at", folder=str(self._folder), error=str(error))
            return
        for slot in abandoned:
            _log.info("spool_adopted", folder=str(slot.folder))
            adopted = _ClaimedSpool(slot, SpoolThread(slot.folder, self._max_bytes, self._clock))
            self._adopted[slot.folder] = adopted
            drains.create_task(self._drain_adopted(adopted))

    async def _drain_adopted(self, adopted: _ClaimedSpool) -> None:
        drain = SpoolDrain(adopted.thread, self._publisher)
        await drain.until_empty()
        while adopted.thread.totals.requests:  # too large for the brokers, until somebody raises their limit
            await asyncio.sleep(LEFT_SECONDS)
            await drain.until_empty()
        adopted.drained = True

    async def _let_go_of_drained(self) -> None:
        for adopted in [each for each in self._adopted.values() if each.drained and not each.thread.totals.requests]:
            del self._adopted[adopted.slot.folder]
            await adopted.thread.close()
            with contextlib.suppress(OSError):  # still claimable, and empty
                adopted.slot.remove()
            adopted.slot.release()

    def _show(self) -> None:
        totals = [each.thread.totals for each in self._claimed()]
        SPOOL_REQUESTS.set(sum(each.requests for each in totals))
        SPOOL_BYTES.set(sum(each.bytes for each in totals))
        oldest = min((each.oldest_at_us for each in totals if each.oldest_at_us is not None), default=None)
        SPOOL_OLDEST_SECONDS.set(0 if oldest is None else max(0, self._clock.now_us() - oldest) / 1e6)
