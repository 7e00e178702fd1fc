"""How the time of a scan grows with the text: a ratio, since a limit in seconds is missed where a machine is busy."""

from __future__ import annotations

from time import thread_time

from mockupaws.stream_processors.detect_pii.scan import Scanner

_TIMES_AS_LARGE = 16
_BAR = 64
"""Between linear, which is 16, and quadratic, which is 256."""
_LOOKS = 5
_LEAST_SECONDS = 0.002
"""Below it a clock's grain, and what a first call loads, would tell the ratio."""


def grows_faster_than_the_text(scanner: Scanner, piece: str, large: int) -> bool:
    """Whether the CPU of a text of so many bytes, the piece repeated, is out of proportion to that of a smaller one.

    Only where each of some looks says so: a single one can be disturbed a hundredfold by what else a machine does.
    """
    small = large // _TIMES_AS_LARGE
    return all(
        _seconds(scanner, piece, large) > _BAR * max(_LEAST_SECONDS, _seconds(scanner, piece, small))
        for _ in range(_LOOKS)
    )


def _seconds(scanner: Scanner, piece: str, size: int) -> float:
    data = (piece * (size // len(piece.encode()) + 1)).encode()
    started = thread_time()
    scanner.scan(data)
    return thread_time() - started
