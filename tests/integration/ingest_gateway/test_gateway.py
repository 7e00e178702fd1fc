"""The real application on real Kafka, Postgres and Valkey: what it answers, and what stands on the topic then."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gzip
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from starlette.applications import Starlette

from mockupaws.ingest_gateway.app import create_app
from mockupaws.runtime.access_tokens import SigningSecrets, issue_token
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.embedded.valkey_server import ValkeyServer
from mockupaws.runtime.kafka import create_topics, topic_ids, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.identifiers import partition_of
from mockupaws.schemas.requests import IngestRequest, decode_bundle
from mockupaws.schemas.topics import REQUESTS
from tests.running_stack import free_ports

INGEST = "/api/v1/ingest"


@contextlib.asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    async with app.router.lifespan_context(app), client_of(app) as client:
        yield client


def client_of(app: Starlette) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


async def until_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while (await client.get("/health/ready")).status_code != 200:
            await asyncio.sleep(0.05)


async def stored(settings: Settings) -> list[IngestRequest]:
    """Every request on the topic."""
    name = topic_name(settings, REQUESTS)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers)
    await consumer.start()
    found: list[IngestRequest] = []
    try:
        partitions = [TopicPartition(name, number) for number in range(settings.kafka_partitions)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        for partition, end in ends.items():
            consumer.seek(partition, 0)
            while await consumer.position(partition) < end:
                for record in (await consumer.getmany(partition, timeout_ms=1000)).get(partition, []):
                    assert record.headers == (("schema_version", b"1"),)
                    for request in decode_bundle(record.value):
                        assert partition_of(request.request_id, settings.kafka_partitions) == record.partition
                        found.append(request)
    finally:
        await consumer.stop()
    return found


async def records_by_partition(settings: Settings) -> dict[int, int]:
    name = topic_name(settings, REQUESTS)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers)
    await consumer.start()
    try:
        ends = await consumer.end_offsets([TopicPartition(name, n) for n in range(settings.kafka_partitions)])
        return {partition.partition: end for partition, end in ends.items()}
    finally:
        await consumer.stop()


@pytest.fixture
async def client(settings: Settings, demo: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with gateway(settings) as made:
        made.headers["Authorization"] = f"Bearer {demo.api_key}"
        await until_ready(made)
        yield made


def body_of(demo: Any, *messages: Any) -> dict[str, Any]:
    return {"scenario_id": str(demo.scenario_id), "logs": [{"message": message} for message in messages]}


async def test_202_means_the_request_is_on_the_topic(settings: Settings, demo: Any, client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post(INGEST, json=body_of(demo, f"line {n}", 1)) for n in range(50)))
    assert {answer.status_code for answer in answers} == {202}
    documents = [answer.json() for answer in answers]
    requests = {str(uuid.UUID(bytes=request.request_id)): request for request in await stored(settings)}
    assert len(requests) == 50
    for number, document in enumerate(documents):
        request = requests[document["request_id"]]
        assert [entry.message for entry in request.entries] == [f"line {number}"]
        assert (request.tenant_id, request.scenario_id) == (demo.tenant_id.bytes, demo.scenario_id.bytes)
        assert document["rejected"] == [
            {"index": 1, "code": "invalid_field", "message": "message: Expected `str`, got `int`"}
        ]
        assert document["receipt"] == f"/api/v1/ingest/receipts/{document['request_id']}"
        assert (document["accepted"], document["duplicate"]) == (1, False)


async def test_requests_of_all_connections_share_a_record_and_records_take_turns(settings: Settings, demo: Any) -> None:
    gathering = dataclasses.replace(settings, bundle_linger_seconds=0.5)
    async with gateway(gathering) as client:
        client.headers["Authorization"] = f"Bearer {demo.api_key}"
        await until_ready(client)
        for turn in (1, 2):
            await asyncio.gather(*(client.post(INGEST, json=body_of(demo, "line")) for _ in range(40)))
            records = await records_by_partition(settings)
            assert sum(records.values()) == 2 * turn, records  # the first comes while nobody else is on the way
        assert sorted(records.values()) == [1, 1, 1, 1]
    assert len(await stored(settings)) == 80


async def test_a_request_nobody_could_join_does_not_wait(settings: Settings, demo: Any) -> None:
    gathering = dataclasses.replace(settings, bundle_linger_seconds=3600)
    async with gateway(gathering) as client:
        client.headers["Authorization"] = f"Bearer {demo.api_key}"
        await until_ready(client)
        for _ in range(3):
            assert (await client.post(INGEST, json=body_of(demo, "line"))).status_code == 202
    assert sum((await records_by_partition(settings)).values()) == 3


async def test_a_request_names_the_encoding_of_its_scenarios_model(
    settings: Settings, demo: Any, client: httpx.AsyncClient
) -> None:
    assert (await client.post(INGEST, json=body_of(demo, "before"))).status_code == 202
    owner = await asyncpg.connect(settings.postgres_owner_url)
    try:
        await owner.execute(
            "UPDATE scenarios SET architecture = jsonb_set(architecture, '{model,id}', '\"openai.gpt-oss-20b-1:0\"'), "
            "updated_at = now()"
        )
    finally:
        await owner.close()

    async def encodings() -> set[str]:
        assert (await client.post(INGEST, json=body_of(demo, "after"))).status_code == 202
        return {request.token_encoding for request in await stored(settings)}

    async with asyncio.timeout(60):
        while await encodings() != {"cl100k_base", "o200k_base"}:
            await asyncio.sleep(0.1)


async def test_formats_and_encodings(settings: Settings, demo: Any, client: httpx.AsyncClient) -> None:
    ndjson = b'{"message":"a"}\n{"message":"b"}'
    headers = {"Content-Type": "application/x-ndjson", "X-Scenario-Id": str(demo.scenario_id)}
    assert (await client.post(INGEST, content=ndjson, headers=headers)).json()["accepted"] == 2
    packed = gzip.compress(json.dumps(body_of(demo, "c")).encode())
    headers = {"Content-Type": "application/json; charset=utf-8", "Content-Encoding": "gzip"}
    assert (await client.post(INGEST, content=packed, headers=headers)).json()["accepted"] == 1
    messages = sorted(entry.message for request in await stored(settings) for entry in request.entries)
    assert messages == ["a", "b", "c"]


async def test_a_repeat_is_answered_and_not_produced_again(
    settings: Settings, demo: Any, client: httpx.AsyncClient
) -> None:
    headers = {"Idempotency-Key": "one"}
    first = (await client.post(INGEST, json=body_of(demo, "a"), headers=headers)).json()
    again = (await client.post(INGEST, json=body_of(demo, "a"), headers=headers)).json()
    assert again == {**first, "duplicate": True}
    other = await client.post(INGEST, json=body_of(demo, "b"), headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert len(await stored(settings)) == 1


async def test_another_process_knows_the_repeat_through_redis(
    settings: Settings, demo: Any, client: httpx.AsyncClient
) -> None:
    headers = {"Idempotency-Key": "one", **client.headers}
    await client.post(INGEST, json=body_of(demo, "a"), headers=headers)
    async with gateway(settings) as other:
        await until_ready(other)
        async with asyncio.timeout(60):  # the hint is written after the answer
            while not (answer := (await other.post(INGEST, json=body_of(demo, "a"), headers=headers)).json())[
                "duplicate"
            ]:
                await asyncio.sleep(0.05)
        assert answer["accepted"] == 1


BAD: list[tuple[str, Callable[[Any], dict[str, Any]], int, str]] = [
    ("broken JSON", lambda demo: {"content": b'{"scenario_id"'}, 400, "malformed_body"),
    ("no scenario", lambda demo: {"json": {"logs": [{"message": "a"}]}}, 400, "invalid_request"),
    ("empty list", lambda demo: {"json": body_of(demo)}, 400, "no_entries"),
    ("all bad", lambda demo: {"json": body_of(demo, 1, 2)}, 400, "all_entries_rejected"),
    ("10,001 entries", lambda demo: {"json": body_of(demo, *["a"] * 10_001)}, 413, "too_many_entries"),
    ("20 MB", lambda demo: {"content": b" " * 20_000_000}, 413, "body_too_large"),
    ("unknown scenario", lambda demo: {"json": {**body_of(demo, "a"), "scenario_id": str(uuid.uuid4())}}, 404,
     "scenario_not_found"),
    ("invalid UTF-8", lambda demo: {"content": json.dumps(body_of(demo, "x")).encode().replace(b"x", b"\xff")}, 400,
     "malformed_body"),
    ("deep nesting", lambda demo: {"content": b'{"logs":' + b"[" * 10_000}, 400, "malformed_body"),
    ("gzip bomb", lambda demo: {"content": gzip.compress(bytes(50_000_000)), "headers": {"Content-Encoding": "gzip"}},
     413, "body_too_large"),
    ("unknown encoding", lambda demo: {"content": b"x", "headers": {"Content-Encoding": "br"}}, 415,
     "unsupported_media_type"),
    ("unknown type", lambda demo: {"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415,
     "unsupported_media_type"),
    ("no scenario beside NDJSON", lambda demo: {"content": b"{}", "headers": {"Content-Type": "application/x-ndjson"}},
     400, "invalid_request"),
    ("wrong key", lambda demo: {"headers": {"Authorization": "Bearer mk_x_y"}}, 401, "unauthenticated"),
]  # fmt: skip


async def test_bad_input_is_refused_and_the_next_request_works(
    settings: Settings, demo: Any, client: httpx.AsyncClient
) -> None:
    for name, make, status, code in BAD:
        arguments = make(demo)
        headers = {"Content-Type": "application/json", **arguments.pop("headers", {})}
        answer = await client.post(INGEST, headers=headers, **arguments)
        assert (name, answer.status_code, answer.json()["error"]["code"]) == (name, status, code)
        assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]
    for method, path, status in (("GET", INGEST, 405), ("GET", "/nothing", 404)):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["error"]["retryable"]) == (status, False)
    logs = [{"message": "nul \0"}, {"message": "1970", "timestamp": 0}, {"message": "2100", "timestamp": 4102444800}]
    odd = {"scenario_id": str(demo.scenario_id), "logs": logs}
    answer = await client.post(INGEST, json=odd)
    assert (answer.json()["accepted"], [each["index"] for each in answer.json()["rejected"]]) == (1, [1, 2])
    assert [[entry.message for entry in request.entries] for request in await stored(settings)] == [["nul \0"]]


async def test_a_body_over_the_limit_is_not_read_to_its_end(client: httpx.AsyncClient) -> None:
    pulled = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pulled
        while pulled < 1000:
            pulled += 1
            yield bytes(1024 * 1024)

    await client.post(INGEST, content=endless(), headers={"Content-Type": "application/json"})
    assert pulled <= 1000


async def test_credentials(settings: Settings, demo: Any, client: httpx.AsyncClient) -> None:
    body = body_of(demo, "a")

    secrets = SigningSecrets.of(settings.jwt_secret)

    def token(**changes: Any) -> dict[str, str]:
        values: dict[str, Any] = {
            "user_id": demo.user_id, "tenant_id": demo.tenant_id, "role": "owner", "scopes": ["ingest"],
            "token_id": uuid.uuid4(), "session_id": uuid.uuid4(), "now": int(SystemClock().now_us() / 1e6), "life": 900,
            **changes,
        }  # fmt: skip
        return {"Authorization": "Bearer " + issue_token(secrets, **values)}

    del client.headers["Authorization"]
    for headers, status in (
        ({"X-API-Key": demo.api_key}, 202),
        ({"Authorization": f"bearer {demo.api_key}"}, 202),
        ({}, 401),
        ({"X-API-Key": demo.api_key[:-1] + ("A" if demo.api_key[-1] != "A" else "B")}, 401),
        (token(), 202),
        (token(scopes=["read"]), 403),
        (token(life=-1), 401),
        (token(tenant_id=uuid.uuid4()), 404),
        ({"Authorization": "Bearer " + jwt.encode({"tenant_id": str(demo.tenant_id)}, "", "none")}, 401),
    ):
        assert (await client.post(INGEST, json=body, headers=headers)).status_code == status


@contextlib.asynccontextmanager
async def valkey_of_its_own(folder: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Its URL, and the process to stop."""
    (port,) = free_ports(1)
    server = ValkeyServer(folder / "valkey", port)
    server.prepare()
    plan = server.plan("valkey", folder / "valkey.log")
    process = await asyncio.create_subprocess_exec(*plan.command, stdout=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(60):
            while not await server.is_ready():
                await asyncio.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0", process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_without_valkey_requests_go_on_and_what_is_revoked_is_refused_within_seconds(
    settings: Settings, demo: Any, tmp_path: Path
) -> None:
    session_id = uuid.uuid4()
    token = issue_token(
        SigningSecrets.of(settings.jwt_secret), user_id=demo.user_id, tenant_id=demo.tenant_id, role="owner",
        scopes=["ingest"], token_id=uuid.uuid4(), session_id=session_id, now=SystemClock().now_us() // 10**6, life=900,
    )  # fmt: skip
    credentials = ({"X-API-Key": demo.api_key}, {"Authorization": f"Bearer {token}"})
    body = body_of(demo, "a")
    async with (
        valkey_of_its_own(tmp_path) as (url, valkey),
        gateway(dataclasses.replace(settings, redis_url=url)) as client,
    ):
        await until_ready(client)
        for headers in credentials:
            assert (await client.post(INGEST, json=body, headers=headers)).status_code == 202
        assert (await client.get("/health/ready")).json()["detail"] == {}
        valkey.kill()
        await valkey.wait()
        for n in range(10):
            keyed = {**credentials[0], "Idempotency-Key": f"k{n}"}
            assert (await client.post(INGEST, json=body, headers=keyed)).status_code == 202
            assert (await client.post(INGEST, json=body, headers=keyed)).json()["duplicate"] is True
        assert "redis" in (await client.get("/health/ready")).json()["detail"]
        owner = await asyncpg.connect(settings.postgres_owner_url)
        await owner.execute("UPDATE api_keys SET revoked_at = now(), updated_at = now()")
        await owner.execute(
            "INSERT INTO token_revocations (id, tenant_id, expires_at) VALUES ($1, $2, now() + interval '1 hour')",
            session_id,
            demo.tenant_id,
        )
        await owner.close()
        async with asyncio.timeout(60):
            for headers in credentials:
                while (await client.post(INGEST, json=body, headers=headers)).status_code != 401:
                    await asyncio.sleep(0.1)
    # A process that starts while the database is down refuses them, too.
    cut = dataclasses.replace(settings, postgres_api_url="postgresql://nobody@127.0.0.1:1/none")
    async with gateway(cut) as client:
        await until_ready(client)
        for headers in credentials:
            assert (await client.post(INGEST, json=body, headers=headers)).status_code == 401
    async with gateway(dataclasses.replace(cut, home=settings.home / "fresh")) as client:
        await until_ready(client)
        assert (await client.post(INGEST, json=body, headers=credentials[1])).status_code == 503


async def test_starts_and_serves_without_a_database(settings: Settings, demo: Any, client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while not (settings.home / "gateway-directory.snapshot").exists():
            await asyncio.sleep(0.05)
    cut = dataclasses.replace(settings, postgres_api_url="postgresql://nobody@127.0.0.1:1/none")
    async with gateway(cut) as other:
        other.headers["Authorization"] = client.headers["Authorization"]
        await until_ready(other)
        assert (await other.post(INGEST, json=body_of(demo, "a"))).status_code == 202
        unknown = {**body_of(demo, "a"), "scenario_id": str(uuid.uuid4())}
        answer = await other.post(INGEST, json=unknown)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "directory_unavailable")
        assert answer.headers["retry-after"]


async def test_dry_run_stores_nothing(settings: Settings, demo: Any, client: httpx.AsyncClient) -> None:
    answer = await client.post(INGEST + "?dry_run=1", json=body_of(demo, "mail jo@example.com", 1), timeout=60)
    document = answer.json()
    assert answer.status_code == 200
    assert "jo@example.com" not in answer.text
    assert document["entries"][0]["pii_types"] == ["EMAIL"]
    assert document["cost"]["measured"]["items"]
    assert [each["index"] for each in document["rejected"]] == [1]
    assert await stored(settings) == []


async def test_a_dry_run_redacts_by_the_tenants_policy(
    settings: Settings, demo: Any, client: httpx.AsyncClient
) -> None:
    connection = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    try:
        await connection.execute(
            "INSERT INTO redaction_policies (tenant_id, version, document, created_by) VALUES ($1, 4, $2, 'test')",
            demo.tenant_id,
            '{"actions": {"EMAIL": "drop"}}',
        )
    finally:
        await connection.close()
    answer = await client.post(INGEST + "?dry_run=1", json=body_of(demo, "mail jo@example.com"), timeout=60)
    document = answer.json()
    assert (document["policy_version"], document["entries"][0]["message"]) == (4, "mail [DROPPED]")
    assert [finding["action"] for finding in document["entries"][0]["findings"]] == ["drop"]


async def test_without_kafka_it_refuses_at_once_and_says_so(settings: Settings, demo: Any) -> None:
    away = dataclasses.replace(settings, kafka_bootstrap_servers="127.0.0.1:1", spool_max_bytes=0)
    async with gateway(away) as client:
        began = time.monotonic()
        answer = await client.post(INGEST, json=body_of(demo, "a"), headers={"Authorization": f"Bearer {demo.api_key}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_durable")
        assert answer.headers["retry-after"]
        assert time.monotonic() - began < 2
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.get("/health")).status_code == 200


async def test_a_recreated_topic_has_another_id(settings: Settings) -> None:
    name = topic_name(settings, REQUESTS)
    before = await topic_ids(settings)
    await create_topics(settings)
    assert await topic_ids(settings) == before
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    await admin.delete_topics([name])
    await admin.close()
    async with asyncio.timeout(60):
        while name in await topic_ids(settings):
            await asyncio.sleep(0.05)
    await create_topics(settings)
    after = await topic_ids(settings)
    assert after.keys() == before.keys()
    assert after[name] != before[name]
