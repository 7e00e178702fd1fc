"""What the health server's thread may ask of a processor that starts."""

from __future__ import annotations

import threading
from typing import Any, cast

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.settings import Settings
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.worker import Processor


def test_a_probe_before_the_start_makes_no_consumer() -> None:
    """One made by the health server's thread belongs to no loop of the processor, and the start fails."""
    processor = Processor(Settings(), Analyser(), SystemClock())
    reports: list[bool] = []
    probe = threading.Thread(target=lambda: reports.append(processor.report().ready))
    probe.start()
    probe.join()
    assert reports == [False]
    assert cast(Any, processor.app)._consumer is None
