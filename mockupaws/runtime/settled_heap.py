"""The garbage collector of a process that has loaded what it needs, and what it holds after its largest batch."""

from __future__ import annotations

import ctypes
import gc

AFTER_BATCHES = (50_000, 20, 50)
"""Where batches of records are worked on. What one holds makes no cycles: looking through it again and again took a
twentieth of a sink's time and a thirtieth of the processor's."""


def settle_heap(*thresholds: int) -> None:
    """What stands now stands for good: no collection walks it any more. `thresholds`: of gc.set_threshold, as it was
    where none is given; CPython looks after 700 new containers, less than what one body, page or record makes."""
    gc.collect()
    gc.freeze()
    if thresholds:
        gc.set_threshold(*thresholds)


def give_back_memory() -> None:
    """Collects cycles, and returns free pages to the system. By itself malloc gives back only what lies at its end, so
    that a process would hold for good what its largest batch took."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:  # another C library than glibc
        return
