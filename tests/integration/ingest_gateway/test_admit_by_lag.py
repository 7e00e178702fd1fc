"""Admission by lag: the real gateway, Kafka and Valkey; the test says in Postgres what is stored, as the sink does."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections import Counter
from typing import Any

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis

from mockupaws.api.app import build_app
from mockupaws.runtime.backlog_notes import BacklogNotes
from mockupaws.runtime.kafka import topic_ids, topic_name
from mockupaws.runtime.redis_client import redis_circuit
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.topics import REQUESTS
from tests.conftest import make_tenant
from tests.integration.ingest_gateway.test_gateway import INGEST, body_of, gateway, until_ready

LONG_SECONDS = 60.0


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(settings, admission_lag_seconds=2.0, redis_timeout_seconds=2.0)


class StoredUpTo:
    """What Postgres says is stored of `ingest.requests`: some records a second of each partition."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.records_per_step = 1

    async def run(self) -> None:
        topic_id = (await topic_ids(self._settings))[topic_name(self._settings, REQUESTS)]
        connection = await asyncpg.connect(self._settings.postgres_owner_url)
        try:
            for step in itertools.count(1):
                await connection.execute(
                    "INSERT INTO source_offsets (topic_id, partition, first_offset, arrived) "
                    "SELECT $1, number, 0, int8multirange(int8range(0, $3)) FROM generate_series(0, $2 - 1) AS number "
                    "ON CONFLICT (topic_id, partition) DO UPDATE SET arrived = EXCLUDED.arrived",
                    topic_id, self._settings.kafka_partitions, step * self.records_per_step,
                )  # fmt: skip
                await asyncio.sleep(0.5)
        finally:
            await connection.close()


async def test_above_its_share_a_tenant_is_told_to_wait_and_nobody_else_is(settings: Settings, demo: Any) -> None:
    small = await make_tenant(settings, "small@example.com")
    stored = StoredUpTo(settings)
    flood = {"Authorization": f"Bearer {demo.api_key}"}
    calm = {"Authorization": f"Bearer {small.api_key}"}
    large = body_of(demo, *["x" * 1000] * 40)
    statuses: Counter[int] = Counter()
    refusals: list[httpx.Response] = []
    stop = asyncio.Event()

    async with gateway(settings) as client:
        await until_ready(client)
        keyed = {**flood, "Idempotency-Key": "accepted before"}
        assert (await client.post(INGEST, json=large, headers=keyed)).json()["duplicate"] is False

        async def overload() -> None:
            while not stop.is_set():
                answer = await client.post(INGEST, json=large, headers=flood)
                assert answer.status_code in (202, 429)
                if answer.status_code == 429:
                    refusals.append(answer)
                await asyncio.sleep(0.01)

        async def send_little() -> None:
            while not stop.is_set():
                statuses[(await client.post(INGEST, json=body_of(small, "y"), headers=calm)).status_code] += 1
                await asyncio.sleep(0.2)

        async with asyncio.TaskGroup() as group:
            storing = group.create_task(stored.run())
            for _ in range(3):
                group.create_task(overload())
            group.create_task(send_little())
            async with asyncio.timeout(LONG_SECONDS):
                while len(refusals) < 20:
                    await asyncio.sleep(0.05)

            repeat = await client.post(INGEST, json=large, headers=keyed)
            assert (repeat.status_code, repeat.json()["duplicate"]) == (202, True)
            other = await client.post(INGEST, json=body_of(demo, "another body"), headers=keyed)
            assert other.status_code == 422
            async with asyncio.timeout(LONG_SECONDS):
                while (new := await client.post(INGEST, json=large, headers=flood)).status_code == 202:
                    await asyncio.sleep(0.05)
            dry = await client.post(f"{INGEST}?dry_run=1", json=body_of(demo, "y"), headers=flood)
            assert dry.status_code == 200
            async with asyncio.timeout(LONG_SECONDS):
                while "admission" not in (ready := await client.get("/health/ready")).json()["detail"]:
                    await asyncio.sleep(0.05)
            assert ready.json()["detail"]["admission"].startswith("limiting: ")
            assert ready.status_code == 200, "what is limited is ready all the same"
            assert "mockupaws_admission_refusals_total" in (await client.get("/metrics")).text
            error = new.json()["error"]
            assert (new.status_code, error["code"], error["retryable"]) == (429, "backlogged", True)
            assert "above its share" in error["message"]
            assert 1 <= int(new.headers["retry-after"]) <= 30

            app = await build_app(settings)
            async with app.router.lifespan_context(app), asyncio.timeout(LONG_SECONDS):
                api = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api")
                while (shown := await api.get("/api/v1/limits", headers=flood)).json().get("backlog") is None:
                    await asyncio.sleep(0.1)
                assert shown.json()["backlog"]["requests"] >= 1
                assert shown.json()["backlog"]["share_bytes_per_second"] > 0
                assert (await api.get("/api/v1/limits", headers=calm)).json()["backlog"] is None
                await api.aclose()

            stored.records_per_step = 10_000  # all of it, and all that comes
            async with asyncio.timeout(LONG_SECONDS):
                while "admission" in (await client.get("/health/ready")).json()["detail"]:
                    await asyncio.sleep(0.1)
            count = len(refusals)
            for _ in range(5):
                assert (await client.post(INGEST, json=large, headers=flood)).status_code == 202
            assert len(refusals) == count
            stop.set()
            storing.cancel()
    assert statuses.keys() == {202}, "the small tenant never waits"


async def test_without_a_word_of_what_is_stored_nothing_is_limited(settings: Settings, demo: Any) -> None:
    async with gateway(dataclasses.replace(settings, admission_lag_seconds=0.001)) as client:
        await until_ready(client)
        client.headers["Authorization"] = f"Bearer {demo.api_key}"
        answers = [await client.post(INGEST, json=body_of(demo, "x" * 1000)) for _ in range(50)]
        await asyncio.sleep(2.5)  # a few looks
        answers += [await client.post(INGEST, json=body_of(demo, "x" * 1000)) for _ in range(50)]
        assert {answer.status_code for answer in answers} == {202}


async def test_records_about_to_expire_close_the_gateway(settings: Settings, demo: Any) -> None:
    redis = Redis.from_url(settings.redis_url)
    notes = BacklogNotes(settings, redis, redis_circuit())
    async with redis:
        await notes.tell_retention("parquet", 0.2)
        await notes.tell_retention("processor", 0.99)
        async with gateway(settings) as client:
            await until_ready(client)
            client.headers["Authorization"] = f"Bearer {demo.api_key}"
            async with asyncio.timeout(LONG_SECONDS):
                while (answer := await client.post(INGEST, json=body_of(demo, "x"))).status_code == 202:
                    await asyncio.sleep(0.05)
            assert (answer.status_code, answer.json()["error"]["code"]) == (429, "backlogged")
            assert "about to expire" in answer.json()["error"]["message"]
            assert answer.headers["retry-after"] == "30"
