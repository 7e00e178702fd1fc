"""`python -m mockupaws.api`: serves on settings.api_host:api_port until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import os
import sys

import uvicorn
import uvloop

from mockupaws.api.app import build_app
from mockupaws.runtime.errors import SettingsError
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import configure_logging

STOP_SECONDS = 5


async def serve(settings: Settings) -> None:
    config = uvicorn.Config(
        await build_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=32 * 1024,
    )
    await uvicorn.Server(config).serve()


def main() -> int:
    settings = Settings.from_environ(os.environ)
    configure_logging("api", settings.log_level)
    for name in ("postgres_api_url", "jwt_secret", "api_key_pepper", "audit_key"):
        if not getattr(settings, name):
            raise SettingsError(f"the API needs MOCKUPAWS_{name.upper()}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
