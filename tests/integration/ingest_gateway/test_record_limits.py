"""The brokers take smaller records than the gateway makes: what is too large by itself is refused, all else goes on."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import string
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from mockupaws.runtime.kafka import topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.topics import REQUESTS
from tests.adversity.fault_proxy import FaultProxy
from tests.integration.ingest_gateway.test_gateway import INGEST, body_of, gateway, until_ready
from tests.integration.ingest_gateway.test_spool import (
    headers_of,
    messages_in,
    take_away,
    until_drained,
    wait_for_messages,
)

LIMIT = 8_000


async def limit_records(settings: Settings, size: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        configs = {"max.message.bytes": str(size)}
        topic = topic_name(settings, REQUESTS)
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)])
    finally:
        await admin.close()


def incompressible(size: int) -> str:
    return "".join(random.Random(size).choices(string.ascii_letters + string.digits, k=size))


async def test_one_request_too_large_is_refused_and_its_neighbours_are_stored(settings: Settings, demo: Any) -> None:
    await limit_records(settings, LIMIT)
    patient = dataclasses.replace(settings, publish_deadline_seconds=60.0)  # none is spooled since the machine is slow
    async with gateway(patient) as client:
        client.headers.update(headers_of(demo))
        await until_ready(client)
        async with asyncio.timeout(60):  # brokers act on a changed limit some time after they acknowledge it
            while (await client.post(INGEST, json=body_of(demo, incompressible(20_000)))).status_code == 202:
                await asyncio.sleep(0.05)
        await until_drained(client)
        small = [client.post(INGEST, json=body_of(demo, f"{n} {incompressible(500)}")) for n in range(60)]
        large = client.post(INGEST, json=body_of(demo, incompressible(20_000)))
        *answers, refused = await asyncio.gather(*small, large)
        assert {answer.status_code for answer in answers} == {202}
        assert (refused.status_code, refused.json()["error"]["code"]) == (413, "body_too_large")
        await until_drained(client)
        heads = [message.split()[0] for message in await messages_in(settings)]
        assert {head for head in heads if head.isdigit()} == {str(n) for n in range(60)}
        assert (await client.post(INGEST, json=body_of(demo, "after"))).status_code == 202


async def test_a_spooled_request_too_large_holds_nothing_up_and_goes_once_the_limit_is_raised(
    behind_proxy: Settings, demo: Any, proxied_kafka: FaultProxy
) -> None:
    await limit_records(behind_proxy, LIMIT)
    take_away(proxied_kafka)
    async with gateway(behind_proxy) as client:
        client.headers.update(headers_of(demo))
        await until_ready(client)
        texts = [f"{n} {incompressible(20_000 if n == 10 else 500)}" for n in range(40)]
        for text in texts:
            assert (await client.post(INGEST, json=body_of(demo, text))).status_code == 202
        proxied_kafka.heal()
        await wait_for_messages(behind_proxy, 39)
        assert {message.split()[0] for message in await messages_in(behind_proxy)} == {str(n) for n in range(40)} - {
            "10"
        }
        await limit_records(behind_proxy, REQUESTS.max_message_bytes)
        await until_drained(client)
    assert set(await messages_in(behind_proxy)) == set(texts)
