"""Ids of requests, minted as they come."""

from __future__ import annotations

import os

from mockupaws.schemas.identifiers import new_id_bytes

_RANDOM_BYTES = 10
"""Of an id."""
_IDS_DRAWN = 400
"""Ids whose randomness is asked of the kernel at once: a call for each costs more than the id."""


class IdMint:
    """UUIDv7s as bytes; nobody can guess one from those before. Of one process: a fork would mint the same ids."""

    def __init__(self) -> None:
        self._drawn = b""
        self._used = 0

    def mint(self, now_us: int) -> bytes:
        begin = self._used
        if begin >= len(self._drawn):
            self._drawn, begin = os.urandom(_IDS_DRAWN * _RANDOM_BYTES), 0
        self._used = begin + _RANDOM_BYTES
        return new_id_bytes(now_us, self._drawn[begin : self._used])
