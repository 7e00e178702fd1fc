"""Keeps the process below its memory limit: what would take it further is refused, and the sender told to come again.

While requests come, the resident memory is looked at a few times a second; in between, what they bring is counted
against the room that was left at the last look, so that a burst can't outrun the sampling.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from pathlib import Path

import psutil

from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.runtime.telemetry import MEMORY_BYTES, get_logger

LOOK_SECONDS = 0.2
WORKING_SHARE = 0.2
"""Of the limit, kept for decoding and sending what was let in."""
NEWCOMER_SHARE = 0.1
"""Of the limit, kept for finishing bodies that are half read: new requests are refused first."""
CGROUP_SHARE = 0.75
"""Of a container's memory, for all gateway processes together."""
MACHINE_SHARE = 0.25
"""Of a machine that the gateway shares with everything else."""
_CGROUP_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

_log = get_logger(__name__)
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def memory_limit(configured: int, workers: int) -> int:
    """Bytes of resident memory one of `workers` processes may have: `configured`, or where that is 0 its share."""
    if configured:
        return configured
    machine = psutil.virtual_memory().total
    cgroup = min((limit for path in _CGROUP_FILES if (limit := _cgroup_limit(path)) is not None), default=machine)
    return int(cgroup * CGROUP_SHARE if cgroup < machine else machine * MACHINE_SHARE) // workers


def _cgroup_limit(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


class MemoryGuard:
    """One per process; `run` looks, `take` and `check` may be called from any request."""

    def __init__(self, limit: int) -> None:
        self._process = psutil.Process()
        self._threshold = int(limit * (1 - WORKING_SHARE))
        self._newcomers = int(limit * NEWCOMER_SHARE)
        self._room = 0
        self._sheds = False
        self._in_use = asyncio.Event()
        """Something was taken since the last look."""
        self._look()

    @property
    def sheds(self) -> bool:
        """Whether new requests are refused now."""
        return self._room < self._newcomers

    def check(self) -> None:
        """Raises RefusedError (503) where no new request is let in."""
        if self.sheds:
            raise _overloaded()

    def take(self, size: int) -> None:
        """Counts bytes about to be held. Raises RefusedError (503) where there is no room for them."""
        self._in_use.set()
        self._room -= size
        if self._room < 0:
            raise _overloaded()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if not self.sheds:
                await self._in_use.wait()
            self._in_use.clear()
            self._look()
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        resident = self._process.memory_info().rss
        if self._threshold - resident < self._newcomers:
            resident = self._give_back_freed()
        MEMORY_BYTES.set(resident)
        self._room = self._threshold - resident
        if self.sheds != self._sheds:
            self._sheds = self.sheds
            _log.warning("shedding_load" if self._sheds else "load_taken_again", resident_bytes=resident)

    def _give_back_freed(self) -> int:
        # The C library keeps what was freed; without this a process that once grew would shed for ever.
        gc.collect()
        if _libc is not None and hasattr(_libc, "malloc_trim"):
            _libc.malloc_trim(0)
        return int(self._process.memory_info().rss)


def _overloaded() -> RefusedError:
    return RefusedError("overloaded", "this process has no memory left for the request; send again later")
