"""What every sink process does around its loop: signals, health, connections, exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

import uvloop

from mockupaws.runtime.errors import PipelineError
from mockupaws.runtime.failpoints import enable_failpoints
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.settled_heap import AFTER_BATCHES, give_back_memory, settle_heap
from mockupaws.runtime.telemetry import configure_logging, get_logger

GIVE_BACK_SECONDS = 120.0
"""Between two times that memory is given back: 20 to 40 ms each."""

log = get_logger(__name__)


def serve_sink(process: str, run: Callable[[Settings, asyncio.Event], Awaitable[None]]) -> None:
    """Runs `run` until SIGTERM or SIGINT; exits non-zero on failure, so that the supervisor starts it again."""
    try:
        settings = Settings.from_environ(os.environ)
        configure_logging(process, settings.log_level)
        enable_failpoints(settings.failpoints)
        settle_heap(*AFTER_BATCHES)
        uvloop.run(_run_until_signal(settings, run))
    except PipelineError as error:
        log.error("stopped", error=type(error).__name__, message=str(error))
        sys.exit(1)


async def _run_until_signal(settings: Settings, run: Callable[[Settings, asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    giving_back = asyncio.create_task(_give_back_memory())
    try:
        await run(settings, stop)
    finally:
        giving_back.cancel()


async def _give_back_memory() -> None:
    while True:
        await asyncio.sleep(GIVE_BACK_SECONDS)
        give_back_memory()
