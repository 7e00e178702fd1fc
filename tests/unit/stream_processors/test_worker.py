"""What the health server's thread may ask of a processor that starts."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest
from faust.transport.consumer import ThreadDelegateConsumer

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.settings import Settings
from mockupaws.stream_processors import worker
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.worker import OrderedAckConsumer, Processor


def test_a_probe_before_the_start_makes_no_consumer() -> None:
    """One made by the health server's thread belongs to no loop of the processor, and the start fails."""
    processor = Processor(Settings(), Analyser(), SystemClock())
    reports: list[bool] = []
    probe = threading.Thread(target=lambda: reports.append(processor.report().ready))
    probe.start()
    probe.join()
    assert reports == [False]
    assert cast(Any, processor.app)._consumer is None


@pytest.mark.parametrize(
    ("brought", "pauses", "pieces"),
    [
        ([1, 2, 3, 4, 0, 0, 0, 5], [False, True, True, True, False], [[1], [2, 3], [4, 0], [0, 0], [5]]),
        ([40, 40], [False, False], [[40], [40]]),
    ],
    ids=["a few a time", "much"],
)
async def test_a_busy_topic_is_read_in_pieces_with_a_pause_unless_they_fill_the_buffer(
    monkeypatch: pytest.MonkeyPatch, brought: list[int], pauses: list[bool], pieces: list[list[int]]
) -> None:
    coming = iter(enumerate(brought))
    slept: list[float] = []

    async def fetch(*_: Any) -> dict[str, list[int]]:
        number, count = next(coming)
        return {"partition": [number] * count} if count else {}

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(ThreadDelegateConsumer, "_getmany", fetch)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(worker, "FETCH_PAUSE_SECONDS", 60.0)
    consumer = OrderedAckConsumer.__new__(OrderedAckConsumer)
    for paused, piece in zip(pauses, pieces, strict=True):
        slept.clear()
        records = (await consumer._getmany(set(), 1.0)).get("partition", [])
        assert bool(slept) == paused
        assert len(records) == sum(piece)
        assert records == sorted(records)
