"""What may come in: one budget of bytes for all requests of a process, and bodies read no further than their limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from types import TracebackType
from typing import Self

from mockupaws.ingest_gateway.errors import RefusedError

BODY_SECONDS = 30.0
"""How long a body may take to arrive; slower senders hold memory others need."""


class ByteBudget:
    """Bytes held in memory at once, over all requests."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken = 0

    def share(self) -> ByteShare:
        return ByteShare(self)

    def fits(self, size: int) -> bool:
        return self.taken + size <= self._limit

    def take(self, size: int) -> None:
        """Raises RefusedError where the budget is used up."""
        if not self.fits(size):
            raise RefusedError("overloaded", "too many bytes wait for the brokers; send again later")
        self.taken += size

    def give_back(self, size: int) -> None:
        self.taken -= size


class ByteShare:
    """What one request holds of the budget, given back when its `with` ends."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget = budget
        self._size = 0

    def take(self, size: int) -> None:
        self._budget.take(size)
        self._size += size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.give_back(self._size)


async def read_body(stream: AsyncIterable[bytes], content_length: str | None, limit: int, share: ByteShare) -> bytes:
    """The body as sent; stops at the first byte over the limit. Raises RefusedError (408, 413, 503)."""
    if content_length is not None and content_length.isdecimal() and int(content_length) > limit:
        raise _too_large(limit)
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in stream:
                size += len(piece)
                if size > limit:
                    raise _too_large(limit)
                share.take(len(piece))
                pieces.append(piece)
    except TimeoutError as error:
        raise RefusedError("body_timeout", f"the body did not arrive within {BODY_SECONDS:.0f} s") from error
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(limit: int) -> RefusedError:
    return RefusedError("body_too_large", f"the body exceeds {limit} bytes; split it")
