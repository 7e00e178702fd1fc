"""Several workers share the API's port, and whichever is asked tells of all of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import httpx

from mockupaws.runtime.settings import Settings
from tests.integration.ingest_gateway.gateway_process import gateway_process

REQUESTS = 40


def test_metrics_are_those_of_all_workers(settings: Settings, tmp_path: Path) -> None:
    two = dataclasses.replace(settings, api_workers=2, gateway_workers=2)
    with (
        gateway_process(two, tmp_path / "api.log", "mockupaws.api") as api,
        gateway_process(two, tmp_path / "gateway.log") as gateway,
    ):
        for _ in range(REQUESTS):
            httpx.get(f"{api.url}/style.css", timeout=30)  # a connection of its own, which either may take
        for _ in range(10):
            assert api.metric("mockupaws_api_requests_total", route="/style.css", status="200") == REQUESTS
        for process in (api, gateway):
            text = httpx.get(f"{process.url}/metrics", timeout=30).text
            assert 'worker="1"' in text
            assert 'worker="2"' in text
