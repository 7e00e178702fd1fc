"""A schema that refuses every row must not empty the topic into the dead letters: the Postgres sink holds."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import signal
import socket
import urllib.error
import urllib.request
from typing import Any

import msgspec

from mockupaws.runtime.settings import Settings
from tests.integration.sinks.sink_process import (
    DEADLINE_SECONDS,
    analysed_request,
    owner_connection,
    publish_requests,
    running_sink,
    until_equal,
)

STORED = "SELECT coalesce(sum(stored), 0) FROM ingest_receipts"
LETTERS = "SELECT count(*) FROM dead_letters"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def health(settings: Settings) -> dict[str, Any]:
    url = f"http://127.0.0.1:{settings.health_port}/health/ready"
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            report: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as error:
        report = json.load(error)
    except OSError:
        return {"detail": {}}
    return report


async def test_a_broken_migration_holds_the_sink_and_nothing_is_lost(settings: Settings) -> None:
    limited = dataclasses.replace(settings, dead_letter_max_consecutive=20, health_port=free_port())
    async with owner_connection(settings) as connection:
        await connection.execute("ALTER TABLE scenario_logs ADD CONSTRAINT broken CHECK (false) NOT VALID")
    with running_sink(limited, "postgres") as sink:
        await publish_requests(settings, *(analysed_request(["a", "b"]) for _ in range(60)))
        async with asyncio.timeout(DEADLINE_SECONDS):
            while "held" not in (report := await asyncio.to_thread(health, limited))["detail"]:
                await asyncio.sleep(0.1)
        assert not report["ready"]
        assert "(row_refused)" in report["detail"]["held"]
        sink.send(signal.SIGTERM)
        assert await asyncio.to_thread(sink.wait, 15) == 0
    async with owner_connection(settings) as connection:
        await connection.execute("ALTER TABLE scenario_logs DROP CONSTRAINT broken")
    with running_sink(limited, "postgres"):  # which also stores the letters that were published just before it held
        await until_equal(settings, f"SELECT ({STORED}) + 2 * ({LETTERS})", 120)
    async with owner_connection(settings) as connection:
        assert await connection.fetchval(LETTERS) < 20


async def test_keys_that_are_used_again_never_hold_it(settings: Settings) -> None:
    limited = dataclasses.replace(settings, dead_letter_max_consecutive=3)
    first = analysed_request(["first"])
    others = [msgspec.structs.replace(first, body_hash=bytes([number]) * 16) for number in range(10)]
    with running_sink(limited, "postgres"):
        await publish_requests(settings, first, *others)
        await until_equal(settings, LETTERS, 1)
        await publish_requests(settings, analysed_request(["last"]))
        await until_equal(settings, STORED, 2)
