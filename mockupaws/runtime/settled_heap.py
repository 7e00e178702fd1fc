"""The garbage collector of a process that has loaded what it needs."""

from __future__ import annotations

import gc


def settle_heap(*thresholds: int) -> None:
    """What stands now stands for good: no collection walks it any more. `thresholds`: of gc.set_threshold, as it was
    where none is given; CPython looks after 700 new containers, less than what one body, page or record makes."""
    gc.collect()
    gc.freeze()
    if thresholds:
        gc.set_threshold(*thresholds)
