"""`python -m mockupaws.stream_processors`: one processor, until it is told to stop."""

from __future__ import annotations

import asyncio
import os

import uvloop

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.health import HealthServer
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import configure_logging
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.worker import Processor, Worker


def main() -> None:
    settings = Settings.from_environ(os.environ)
    configure_logging("processor", settings.log_level)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    processor = Processor(settings, Analyser(), SystemClock())
    with HealthServer(settings.health_port, processor.report):
        Worker(processor.app, loop=loop, quiet=True, override_logging=False).execute_from_commandline()


if __name__ == "__main__":
    main()
