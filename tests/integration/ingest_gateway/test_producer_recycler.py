"""A wedged producer is replaced, readiness tells meanwhile, and no waiting request hangs or is acknowledged falsely."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

from aiokafka import TopicPartition

from mockupaws.ingest_gateway.app import create_app
from mockupaws.ingest_gateway.handlers import Gateway
from mockupaws.runtime.kafka import topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.topics import REQUESTS
from tests.adversity.fault_proxy import FaultProxy
from tests.adversity.faulty_flow import Faults
from tests.integration.ingest_gateway.test_gateway import INGEST, body_of, client_of, stored, until_ready

RECYCLED_SECONDS = 60.0


async def test_a_producer_out_of_sequence_is_replaced(settings: Settings, demo: Any) -> None:
    """The broker really answers error 45 (aiokafka #1017): the producer skips sequence numbers it never sent."""
    app = create_app(dataclasses.replace(settings, kafka_partitions=4))
    async with app.router.lifespan_context(app), client_of(app) as client:
        client.headers["Authorization"] = f"Bearer {demo.api_key}"
        await until_ready(client)
        for _ in range(settings.kafka_partitions):  # records take turns: each partition then has a sequence to break
            assert (await client.post(INGEST, json=body_of(demo, "before"))).status_code == 202
        gateway: Gateway = app.state.gateway
        wedged = gateway.publisher._producer
        assert wedged is not None
        for partition in range(settings.kafka_partitions):
            place = TopicPartition(topic_name(settings, REQUESTS), partition)
            wedged._txn_manager.increment_sequence_number(place, 100)
        began = time.monotonic()
        answers = await asyncio.gather(*(client.post(INGEST, json=body_of(demo, f"line {n}")) for n in range(20)))
        assert {answer.status_code for answer in answers} == {202}
        async with asyncio.timeout(RECYCLED_SECONDS):
            while gateway.publisher._producer is wedged or not gateway.publisher.ready or gateway.spool.waiting:
                await asyncio.sleep(0.02)
        assert time.monotonic() - began < RECYCLED_SECONDS
    messages = {entry.message for request in await stored(settings) for entry in request.entries}
    assert messages == {"before", *(f"line {n}" for n in range(20))}


async def test_a_producer_whose_acks_never_come_is_replaced(
    behind_proxy: Settings, demo: Any, proxied_kafka: FaultProxy
) -> None:
    """Its connections are silent while the broker answers everybody else. Without a spool the requests get 503."""
    app = create_app(dataclasses.replace(behind_proxy, spool_max_bytes=0, publish_deadline_seconds=1.0))
    async with app.router.lifespan_context(app), client_of(app) as client:
        client.headers["Authorization"] = f"Bearer {demo.api_key}"
        await until_ready(client)
        assert (await client.post(INGEST, json=body_of(demo, "before"))).status_code == 202
        for connection in proxied_kafka.connections:
            connection.use(to_client=Faults(blackhole=True), to_server=Faults(blackhole=True))
        began = time.monotonic()
        answers = await asyncio.gather(*(client.post(INGEST, json=body_of(demo, f"line {n}")) for n in range(20)))
        assert {answer.status_code for answer in answers} == {503}
        assert (await client.get("/health/ready")).status_code == 503
        async with asyncio.timeout(RECYCLED_SECONDS):
            while (await client.get("/health/ready")).status_code != 200:
                await asyncio.sleep(0.02)
        assert time.monotonic() - began < RECYCLED_SECONDS
        assert (await client.post(INGEST, json=body_of(demo, "after"))).status_code == 202
        publisher = app.state.gateway.publisher
        async with asyncio.timeout(RECYCLED_SECONDS):  # what the old producer held is given back
            while publisher._budget.taken or publisher._tasks:
                await asyncio.sleep(0.02)
    messages = {entry.message for request in await stored(behind_proxy) for entry in request.entries}
    assert messages == {"before", "after"}
