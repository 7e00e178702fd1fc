"""On a process's PYTHONPATH: its wall clock runs ahead by the seconds that stand in the file of DRILL_CLOCK_FILE.

Only Python's `time.time` and `time.time_ns` are moved, which is all `mockupaws.runtime.clock` reads; the monotonic
clock stays, as it does where a machine's clock is set.
"""

from __future__ import annotations

import os
import time

_FILE = os.environ.get("DRILL_CLOCK_FILE", "")
_time, _time_ns, _monotonic = time.time, time.time_ns, time.monotonic  # noqa: TID251 - the clock that is moved
_read_at, _shift_seconds = -1.0, 0.0


def _shift() -> float:
    global _read_at, _shift_seconds
    now = _monotonic()
    if now - _read_at > 0.1:
        _read_at = now
        try:
            with open(_FILE) as file:
                _shift_seconds = float(file.read() or 0)
        except (OSError, ValueError):
            _shift_seconds = 0.0
    return _shift_seconds


if _FILE:
    time.time = lambda: _time() + _shift()  # noqa: TID251
    time.time_ns = lambda: _time_ns() + int(_shift() * 1e9)
