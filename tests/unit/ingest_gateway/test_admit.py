"""Bodies that are too large, or too late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from mockupaws.ingest_gateway.admit import BodyIntake
from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.ingest_gateway.http_exchange import HttpRequest
from mockupaws.ingest_gateway.shed_load import MemoryGuard

LIMIT = 100
PIECES = 8


def request_of(body: AsyncIterator[bytes], headers: Mapping[str, str] | None = None) -> HttpRequest:
    async def receive() -> dict[str, Any]:
        piece = await anext(body, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return HttpRequest({"state": {"request_id": "id"}, "headers": raw, "query_string": b""}, receive)


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
        await intake.read(request_of(body(), headers), LIMIT, share)
    assert caught.value.kind.status == 413
    assert taken == read


async def test_a_body_that_does_not_arrive_in_time_is_refused_and_the_others_go_on() -> None:
    arrives = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        await arrives.wait()
        yield b"x"

    async def read(intake: BodyIntake) -> bytes:
        with intake.share() as share:
            return await intake.read(request_of(body()), LIMIT, share)

    intake = BodyIntake(1_000_000, 0.01, MemoryGuard(1 << 40))
    late = await asyncio.gather(read(intake), read(intake), return_exceptions=True)
    assert [error.kind.code for error in late if isinstance(error, RefusedError)] == ["body_timeout"] * 2
    arrives.set()
    assert await read(intake) == b"x"  # nothing of the late ones is left


async def test_bodies_that_still_arrive_when_the_process_stops_are_refused() -> None:
    async def body() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    intake = BodyIntake(1_000_000, 3600, MemoryGuard(1 << 40))
    with intake.share() as share:
        reading = asyncio.ensure_future(intake.read(request_of(body()), LIMIT, share))
        await asyncio.sleep(0)
        intake.stop_within(0)
        with pytest.raises(RefusedError) as caught:
            await reading
    assert caught.value.kind.code == "draining"


async def test_a_reader_that_is_cancelled_stays_cancelled() -> None:
    async def body() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    intake = BodyIntake(1_000_000, 3600, MemoryGuard(1 << 40))
    with intake.share() as share:
        reading = asyncio.ensure_future(intake.read(request_of(body()), LIMIT, share))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
