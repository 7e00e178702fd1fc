"""How the time of a scan grows with the text: a ratio, since a limit in seconds is missed where a machine is busy."""

from __future__ import annotations

from time import thread_time

from mockupaws.stream_processors.detect_pii.scan import Scanner

QUADRATIC = 256
"""What `growth` answers where the time is quadratic and the larger text 16 times the smaller; linear is 16."""
_LEAST_SECONDS = 0.002
"""Below it a clock's grain, and what a first call loads, would tell the ratio."""


def growth(scanner: Scanner, piece: str, small: int, large: int) -> float:
    """How many times the CPU of the smaller text, in bytes, the larger one takes; both are the piece repeated."""
    return _seconds(scanner, piece, large) / max(_LEAST_SECONDS, _seconds(scanner, piece, small))


def _seconds(scanner: Scanner, piece: str, size: int) -> float:
    data = (piece * (size // len(piece.encode()) + 1)).encode()
    started = thread_time()
    scanner.scan(data)
    return thread_time() - started
