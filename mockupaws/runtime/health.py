"""/health, /health/ready and /metrics for processes that serve no HTTP of their own.

A thread answers from the standard library, so that a busy or hung event loop still shows: `report` is called in that
thread and should only read what the process keeps anyway.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from mockupaws.schemas.http.headers import SECURITY_HEADERS

_POLL_SECONDS = 0.5
"""How long `stop` may wait for the thread."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    ready: bool
    lag_seconds: float | None = None
    """Age of the oldest thing waiting for this process; None where it has no input or doesn't know yet."""
    detail: dict[str, str] = field(default_factory=dict)
    """Why it isn't ready, or what is degraded: part → state. No secrets: anybody on the host may read it."""

    def to_json(self) -> bytes:
        return json.dumps({"ready": self.ready, "lag_seconds": self.lag_seconds, "detail": self.detail}).encode()


class HealthServer:
    """Serves on 127.0.0.1:`port` between `start` and `stop`; port 0 serves nothing."""

    def __init__(self, port: int, report: Callable[[], HealthReport]) -> None:
        self._server: ThreadingHTTPServer | None = None
        if port:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler_of(report))
            self._server.daemon_threads = True

    def start(self) -> None:
        if self._server is not None:
            threading.Thread(
                target=self._server.serve_forever, args=(_POLL_SECONDS,), name="health", daemon=True
            ).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _handler_of(report: Callable[[], HealthReport]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0
        server_version, sys_version = "mockupaws", ""

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/health":
                    self._answer(200, b'{"alive": true}')
                case "/health/ready":
                    try:
                        state = report()
                    except Exception as error:  # a probe must always be answered
                        state = HealthReport(ready=False, detail={"report": type(error).__name__})
                    self._answer(200 if state.ready else 503, state.to_json())
                case "/metrics":
                    self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
                case _:
                    self._answer(404, b'{"error": {"code": "not_found", "message": "no such page"}}')

        def _answer(self, status: int, body: bytes, content_type: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            for name, value in SECURITY_HEADERS:
                self.send_header(name.decode(), value.decode())
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Probes every second are no news."""

    return Handler
