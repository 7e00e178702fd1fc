"""`python -m mockupaws.ingest_gateway`: serves the gateway until SIGTERM, then drains."""

from __future__ import annotations

import os

from mockupaws.runtime.http_server import serve
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import configure_logging


def main() -> None:
    settings = Settings.from_environ(os.environ)
    configure_logging("gateway", settings.log_level)
    serve(
        "mockupaws.ingest_gateway.worker:make_app",
        host=settings.gateway_host,
        port=settings.gateway_port,
        workers=settings.gateway_workers,
        max_connections=settings.gateway_max_connections,
        head_seconds=settings.http_head_seconds,
    )


if __name__ == "__main__":
    main()
