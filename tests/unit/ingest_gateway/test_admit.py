"""Bodies that are too large."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest

from mockupaws.ingest_gateway.admit import BodyIntake
from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.ingest_gateway.shed_load import MemoryGuard

LIMIT = 100
PIECES = 8


@pytest.mark.parametrize(
    ("headers", "read"),
    [
        ({}, PIECES),
        ({"content-length": "400"}, PIECES),
        ({"content-length": "400", "expect": "100-continue"}, 0),
    ],
    ids=["unannounced", "announced", "asked first"],
)
async def test_a_body_that_is_too_large_is_read_on_so_that_its_sender_sees_the_answer(
    headers: Mapping[str, str], read: int
) -> None:
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(PIECES):
            taken += 1
            yield b"x" * 50

    intake = BodyIntake(1_000_000, 30, MemoryGuard(1 << 40))
    with intake.share() as share, pytest.raises(RefusedError) as caught:
        await intake.read(body(), headers, LIMIT, share)
    assert caught.value.kind.status == 413
    assert taken == read
