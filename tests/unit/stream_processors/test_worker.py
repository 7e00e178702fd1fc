"""What the health server's thread may ask of a processor that starts."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, cast

import pytest
from faust.transport.consumer import ThreadDelegateConsumer

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.settings import Settings
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.worker import FETCH_PAUSE_SECONDS, OrderedAckConsumer, Processor


def test_a_probe_before_the_start_makes_no_consumer() -> None:
    """One made by the health server's thread belongs to no loop of the processor, and the start fails."""
    processor = Processor(Settings(), Analyser(), SystemClock())
    reports: list[bool] = []
    probe = threading.Thread(target=lambda: reports.append(processor.report().ready))
    probe.start()
    probe.join()
    assert reports == [False]
    assert cast(Any, processor.app)._consumer is None


@pytest.mark.parametrize(("brought", "pauses"), [(1, [False, False, True, False, True]), (40, [False] * 5)])
async def test_a_topic_is_read_in_pieces_with_a_pause_unless_they_fill_the_buffer(
    monkeypatch: pytest.MonkeyPatch, brought: int, pauses: list[bool]
) -> None:
    slept: list[float] = []

    async def fetch(*_: Any) -> dict[str, list[int]]:
        return {"partition": [0] * brought}

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(ThreadDelegateConsumer, "_getmany", fetch)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    consumer = OrderedAckConsumer.__new__(OrderedAckConsumer)
    paused: list[bool] = []
    for _ in pauses:
        slept.clear()
        await consumer._getmany(set(), 1.0)
        paused.append(any(seconds > FETCH_PAUSE_SECONDS / 2 for seconds in slept))
    assert paused == pauses
