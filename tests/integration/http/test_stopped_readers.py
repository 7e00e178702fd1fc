"""Clients that stop reading an export, or leave while it reads: over real sockets, at a process as it is run."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx

from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.settings import Settings
from tests.conftest import Demo
from tests.integration.api.test_reads import FIRST, MAKE_LINES
from tests.integration.ingest_gateway.gateway_process import gateway_process

LINES = 120_000
"""Half of them are the scenario's: more bytes than the sockets of both sides hold."""
SEND_SECONDS = 1.0
PATIENCE_SECONDS = 40.0
STATEMENT_SECONDS = 60.0
"""Longer than this test is patient: what ends earlier was cancelled."""
BACKENDS = """
    SELECT count(*) FILTER (WHERE state <> 'idle') AS busy, count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting
    FROM pg_stat_activity WHERE datname = $1 AND usename = 'mockupaws_api'
"""


async def until(server: asyncpg.Connection[asyncpg.Record], database: str, column: str, wanted: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            row = await server.fetchrow(BACKENDS, database)
            assert row is not None
            if row[column] == wanted:
                return
            await asyncio.sleep(0.05)


def ask_for_export(address: tuple[str, int], demo: Demo, query: str = "") -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(PATIENCE_SECONDS)
    client.connect(address)
    client.sendall(
        f"GET /api/v1/scenarios/{demo.scenario_id}/logs/export{query} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {demo.api_key}\r\n\r\n".encode()
    )
    return client


async def test_who_stops_reading_an_export_is_cut_off_and_holds_nothing(
    services: Installation, settings: Settings, demo: Demo, tmp_path: Path
) -> None:
    patient = dataclasses.replace(settings, http_send_seconds=SEND_SECONDS, postgres_timeout_seconds=STATEMENT_SECONDS)
    database = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    server = await asyncpg.connect(services.superuser_url, timeout=10)  # others may not see what a role waits for
    name = urlsplit(settings.postgres_owner_url).path.removeprefix("/")
    await database.execute(MAKE_LINES, demo.tenant_id, demo.scenario_id, FIRST, LINES)
    with gateway_process(patient, tmp_path / "api.log", "mockupaws.api") as api:
        # It stops reading: cut off within the bound, no connection held meanwhile, and the answer has no end.
        readers = [ask_for_export(api.address, demo) for _ in range(12)]  # more than a pool has connections
        for reader in readers:
            assert await asyncio.to_thread(reader.recv, 15) == b"HTTP/1.1 200 OK"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await asyncio.to_thread(api.metric, "mockupaws_http_refusals_total", reason="slow_client") < 12:
                await asyncio.sleep(0.05)
        await until(server, name, "busy", 0)
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
            credential = {"Authorization": f"Bearer {demo.api_key}"}
            page = await client.get(f"{api.url}/api/v1/scenarios/{demo.scenario_id}/logs", headers=credential)
        assert page.status_code == 200
        for reader in readers:
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := await asyncio.to_thread(reader.recv, 1 << 20):
                    received = (received + piece)[-100:]
            assert not received.endswith(b"0\r\n\r\n"), "a part of an export was ended as if it were the whole"
            reader.close()

        # It leaves while Postgres works for a page of it: the query is cancelled, not waited for.
        async with database.transaction():
            await database.execute("LOCK TABLE scenario_text_blocks IN ACCESS EXCLUSIVE MODE")  # only pages look there
            leaving = ask_for_export(api.address, demo, "?q=Rare")
            await until(server, name, "waiting", 1)
            leaving.close()
            await until(server, name, "waiting", 0)
    assert "request_failed" not in (tmp_path / "api.log").read_text()
    await database.close()
    await server.close()
