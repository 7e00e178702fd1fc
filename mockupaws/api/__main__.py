"""`python -m mockupaws.api`: serves on settings.api_host:api_port until SIGTERM, then ends the live tails."""

from __future__ import annotations

import os

from mockupaws.runtime.errors import SettingsError
from mockupaws.runtime.http_server import serve
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import configure_logging


def main() -> None:
    settings = Settings.from_environ(os.environ)
    configure_logging("api", settings.log_level)
    for name in ("postgres_api_url", "jwt_secret", "api_key_pepper", "audit_key"):
        if not getattr(settings, name):
            raise SettingsError(f"the API needs MOCKUPAWS_{name.upper()}")
    serve(
        "mockupaws.api.worker:make_app",
        host=settings.api_host,
        port=settings.api_port,
        workers=settings.api_workers,
        max_connections=settings.api_max_connections,
        head_seconds=settings.http_head_seconds,
    )


if __name__ == "__main__":
    main()
