"""`python -m mockupaws.ingest_gateway`: serves the gateway until SIGTERM, then drains."""

from __future__ import annotations

import os

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.http import HTTP1Settings

from mockupaws.ingest_gateway.app import create_app
from mockupaws.runtime.failpoints import enable_failpoints
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import configure_logging

HEADER_MS = 10_000
"""How long a client may take to send the head of a request."""
STOP_SECONDS = 10
"""When a worker that doesn't drain is killed."""


def make_app() -> object:
    """Called in each worker process."""
    settings = Settings.from_environ(os.environ)
    configure_logging("gateway", settings.log_level)
    enable_failpoints(settings.failpoints)
    return create_app(settings)


def main() -> None:
    settings = Settings.from_environ(os.environ)
    configure_logging("gateway", settings.log_level)
    Granian(
        "mockupaws.ingest_gateway.__main__:make_app",
        factory=True,
        address=settings.gateway_host,
        port=settings.gateway_port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        workers=settings.gateway_workers,
        websockets=False,
        log_dictconfig={"loggers": {"_granian": {"handlers": [], "propagate": True}}, "handlers": {}},
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_MS),
        workers_kill_timeout=STOP_SECONDS,
        respawn_failed_workers=False,
    ).serve()


if __name__ == "__main__":
    main()
