"""CPU time and memory of each process of a stack, its children included."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import psutil

_SAMPLE_SECONDS = 5.0
"""Adding up the pages of all processes takes a tenth of a second."""
_MIB = 1024 * 1024


class ProcessUse(NamedTuple):
    cpu_seconds: float
    peak_mib: float
    """Proportional set size: shared pages are split among those who map them."""


class ProcessObserver:
    """Samples memory from `start` on; CPU counts from there as well."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._roots = {name: psutil.Process(pid) for name, pid in pids.items()}
        self._cpu_before: dict[str, float] = {}
        self._peak: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._cpu_before = self.cpu_seconds()
        self._peak = dict.fromkeys(self._roots, 0.0)
        self._task = asyncio.create_task(self._sample())

    def stop(self) -> dict[str, ProcessUse]:
        if self._task is not None:
            self._task.cancel()
        after = self.cpu_seconds()
        return {name: ProcessUse(after[name] - self._cpu_before[name], self._peak[name]) for name in self._roots}

    async def _sample(self) -> None:
        while True:
            for name in self._roots:
                self._peak[name] = max(self._peak[name], self._memory(name))
            await asyncio.sleep(_SAMPLE_SECONDS)

    def cpu_seconds(self) -> dict[str, float]:
        """Of each process since it began, its children included, also those that have ended."""
        totals = dict.fromkeys(self._roots, 0.0)
        for name in self._roots:
            for process in self._tree(name):
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    totals[name] += times.user + times.system + times.children_user + times.children_system
        return totals

    def _memory(self, name: str) -> float:
        total = 0
        for process in self._tree(name):
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += process.memory_full_info().pss
        return total / _MIB

    def _tree(self, name: str) -> Iterator[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            yield self._roots[name]
            yield from self._roots[name].children(recursive=True)
