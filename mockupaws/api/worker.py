"""What a worker process of the API's server serves.

Kept apart from `__main__`, whose process only watches the workers and would hold all of this for nothing.
"""

from __future__ import annotations

import os

from starlette.types import ASGIApp, Receive, Scope, Send

from mockupaws.api.app import build_app
from mockupaws.runtime.http_server import on_sigterm
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.settled_heap import settle_heap
from mockupaws.runtime.telemetry import configure_logging

_OBJECTS_BEFORE_COLLECTION = 20_000
"""A page of lines is some thousand objects, freed by their counts; at 700 the collector took a tenth of the CPU."""


class Application:
    """Built when its lifespan begins, in the loop that serves it: its pools belong to that loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            app = await build_app(self._settings)
            on_sigterm(app.state.services.stopping.set)
            self._app = app
            settle_heap(_OBJECTS_BEFORE_COLLECTION)
        await self._app(scope, receive, send)


def make_app() -> object:
    """Called in the worker process."""
    settings = Settings.from_environ(os.environ)
    configure_logging("api", settings.log_level)
    return Application(settings)
