"""`python -m mockupaws.stream_processors`: one processor, until it is told to stop."""

from __future__ import annotations

import asyncio
import io
import os

import uvloop

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.errors import SettingsError
from mockupaws.runtime.failpoints import enable_failpoints
from mockupaws.runtime.health import HealthServer
from mockupaws.runtime.huge_pages import use_huge_pages
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.settled_heap import AFTER_BATCHES, settle_heap
from mockupaws.runtime.telemetry import configure_logging
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.worker import Processor, Worker


def main() -> None:
    settings = Settings.from_environ(os.environ)
    configure_logging("processor", settings.log_level)
    if not settings.postgres_api_url:
        raise SettingsError("the processor needs MOCKUPAWS_POSTGRES_API_URL: it redacts by the policies kept there")
    enable_failpoints(settings.failpoints)
    settings.home.mkdir(parents=True, exist_ok=True)  # Faust makes its own folder in it, but not the way there
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    processor = Processor(settings, Analyser(), SystemClock())
    use_huge_pages()  # for the scan's database and the vocabulary, which each line looks up at random
    settle_heap(*AFTER_BATCHES)
    with HealthServer(settings.health_port, processor.report):
        # an in-memory stdout: Faust writes terminal codes to whatever it is given
        worker = Worker(processor.app, loop=loop, quiet=True, override_logging=False, stdout=io.StringIO())
        worker.execute_from_commandline()


if __name__ == "__main__":
    main()
