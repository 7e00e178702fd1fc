"""What a worker process of the gateway's server serves.

Kept apart from `__main__`, whose process only watches the workers and would hold all of this for nothing.
"""

from __future__ import annotations

import os

from mockupaws.ingest_gateway.app import create_app
from mockupaws.ingest_gateway.handlers import Gateway
from mockupaws.runtime.failpoints import enable_failpoints
from mockupaws.runtime.http_server import on_sigterm
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.settled_heap import settle_heap
from mockupaws.runtime.telemetry import configure_logging

COLLECT_AFTER = 200_000
"""New objects that may hold others, beyond those that went, after which the collector looks at them; CPython: 700. A
thousand requests in flight hold 40,000 of these, none of them garbage."""


def make_app() -> object:
    """Called in each worker process."""
    settings = Settings.from_environ(os.environ)
    configure_logging("gateway", settings.log_level)
    enable_failpoints(settings.failpoints)
    return create_app(settings, on_start=_on_start)


def _on_start(gateway: Gateway) -> None:
    on_sigterm(gateway.drain)
    settle_heap(COLLECT_AFTER)  # a request leaves no cycles behind: no need to look for some in each body
