"""Nothing that schemathesis makes of the OpenAPI documents ends in a server error or a status they don't name."""

from __future__ import annotations

import dataclasses
import os
import uuid
from pathlib import Path

import asyncpg
import bcrypt
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from mockupaws.runtime.settings import Settings
from mockupaws.schemas.accounts import SCOPES_OF_ROLE
from tests.conftest import Demo
from tests.integration.api.conftest import PASSWORD, log_in
from tests.integration.http.fuzz import fuzz
from tests.integration.ingest_gateway.gateway_process import GatewayProcess, gateway_process

FACTOR = int(os.environ.get("FUZZ_FACTOR", "1"))
"""`make fuzz-api` takes longer by it."""
API_SECONDS, GATEWAY_SECONDS = 30, 10


async def tokens_of_each_role(settings: Settings, demo: Demo, api: GatewayProcess) -> dict[str, str]:
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    connection = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    try:
        for role in SCOPES_OF_ROLE:
            await connection.execute(
                "INSERT INTO users (id, tenant_id, email, password_hash, role) VALUES ($1, $2, $3, $4, $5)",
                uuid.uuid4(), demo.tenant_id, f"{role}@example.com", hashed, role,
            )  # fmt: skip
    finally:
        await connection.close()
    tokens = {}
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        for role in SCOPES_OF_ROLE:
            tokens[role] = str((await log_in(client, f"{role}@example.com"))["access_token"])
    return tokens


def succeeded(process: GatewayProcess, metric: str) -> float:
    """Requests answered 2xx: had all been refused, nothing would have been tried."""
    text = httpx.get(f"{process.url}/metrics", timeout=10).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == metric and sample.labels["status"].startswith("2")
    )


@pytest.mark.timeout(1200 + 60 * FACTOR)
async def test_no_server_error_and_no_status_that_is_not_documented(
    settings: Settings, demo: Demo, tmp_path: Path
) -> None:
    settings = dataclasses.replace(settings, access_token_seconds=24 * 3600)
    with (
        gateway_process(settings, tmp_path / "gateway.log") as gateway,
        gateway_process(settings, tmp_path / "api.log", "mockupaws.api") as api,
    ):
        tokens = await tokens_of_each_role(settings, demo, api)
        before = succeeded(api, "mockupaws_api_requests_total")
        scenario_id = str(demo.scenario_id)
        # The owner's every other time: most of what a role may not do ends early.
        in_turn = [tokens["owner"], tokens["analyst"], tokens["owner"], tokens["producer"], tokens["owner"],
                   tokens["operator"], demo.api_key, ""]  # fmt: skip
        fuzz(api.url, in_turn, scenario_id, API_SECONDS * FACTOR, tmp_path)
        fuzz(gateway.url, [demo.api_key, tokens["producer"], demo.api_key, tokens["analyst"], ""], scenario_id,
             GATEWAY_SECONDS * FACTOR, tmp_path)  # fmt: skip
        assert succeeded(api, "mockupaws_api_requests_total") - before > 0
    logs = (tmp_path / "api.log").read_text() + (tmp_path / "gateway.log").read_text()
    assert "level=error" not in logs
