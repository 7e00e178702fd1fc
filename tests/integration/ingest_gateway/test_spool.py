"""Kafka is away: what the gateway answers, what is on the topic afterwards, and what kills and full disks change."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockupaws.ingest_gateway.spool_file import FILE
from mockupaws.ingest_gateway.spool_thread import RESERVED_BYTES
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.identifiers import partition_of
from tests.adversity.fault_proxy import FaultProxy
from tests.adversity.faulty_flow import Faults
from tests.integration.ingest_gateway.gateway_process import GatewayProcess, gateway_process
from tests.integration.ingest_gateway.test_gateway import INGEST, body_of, gateway, stored, until_ready
from tests.power_loss import power_loss_disk
from tests.running_stack import wait_until

DRAIN_SECONDS = 90.0


def take_away(kafka: FaultProxy) -> None:
    kafka.refuse()
    kafka.reset_all()


def headers_of(demo: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {demo.api_key}"}


async def detail_of(client: httpx.AsyncClient) -> tuple[int, dict[str, str]]:
    answer = await client.get("/health/ready")
    return answer.status_code, answer.json()["detail"]


async def until_drained(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(DRAIN_SECONDS):
        while await detail_of(client) != (200, {}):
            await asyncio.sleep(0.05)


async def messages_in(settings: Settings) -> list[str]:
    """In the order of each partition."""
    return [entry.message for request in await stored(settings) for entry in request.entries]


async def wait_for_messages(settings: Settings, count: int) -> None:
    async with asyncio.timeout(DRAIN_SECONDS):
        while len(await messages_in(settings)) < count:
            await asyncio.sleep(0.05)


def fill_to_the_brim(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1024 * 1024, 4096):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
        os.fsync(file.fileno())


async def test_requests_go_to_the_spool_and_to_the_topic_once_kafka_is_back(
    behind_proxy: Settings, demo: Any, proxied_kafka: FaultProxy
) -> None:
    take_away(proxied_kafka)
    async with gateway(behind_proxy) as client:
        client.headers.update(headers_of(demo))
        await until_ready(client)
        answers = await asyncio.gather(*(client.post(INGEST, json=body_of(demo, f"line {n}")) for n in range(100)))
        assert {answer.status_code for answer in answers} == {202}
        assert await detail_of(client) == (
            200,
            {"kafka": "cut off: requests go to the spool", "spool": "100 requests wait for the brokers"},
        )
        proxied_kafka.heal()
        await until_drained(client)
    requests = await stored(behind_proxy)
    assert sorted(
        message for request in requests for message in [entry.message for entry in request.entries]
    ) == sorted(f"line {n}" for n in range(100))
    content = b"".join(path.read_bytes() for path in (behind_proxy.home / "spool").rglob("*") if path.is_file())
    assert b"line 7" not in content


async def test_a_request_sent_and_not_acknowledged_is_spooled_within_the_deadline(
    behind_proxy: Settings, demo: Any, proxied_kafka: FaultProxy
) -> None:
    async with gateway(behind_proxy) as client:
        client.headers.update(headers_of(demo))
        await until_ready(client)
        assert (await client.post(INGEST, json=body_of(demo, "before"))).status_code == 202
        proxied_kafka.use(to_client=Faults(blackhole=True))
        began = time.monotonic()
        answer = await client.post(INGEST, json=body_of(demo, "sent, never acknowledged"))
        assert answer.status_code == 202
        assert time.monotonic() - began < behind_proxy.publish_deadline_seconds + 1
        assert (await client.post(INGEST, json=body_of(demo, "not even sent"))).status_code == 202
        status, detail = await detail_of(client)
        assert status == 200
        assert detail["kafka"] == "cut off: requests go to the spool"
        proxied_kafka.heal()
        await until_drained(client)
    assert set(await messages_in(behind_proxy)) == {"before", "sent, never acknowledged", "not even sent"}


async def test_the_order_within_a_partition_stays(behind_proxy: Settings, demo: Any, proxied_kafka: FaultProxy) -> None:
    take_away(proxied_kafka)
    async with gateway(behind_proxy) as client:
        client.headers.update(headers_of(demo))
        await until_ready(client)
        padding = "x" * 100_000  # several batches of the drain
        for number in range(40):
            assert (await client.post(INGEST, json=body_of(demo, f"{number:03} {padding}"))).status_code == 202
        proxied_kafka.heal()
        await until_drained(client)
    requests = await stored(behind_proxy)
    by_partition: dict[int, list[str]] = {}
    for request in requests:
        partition = partition_of(request.request_id, behind_proxy.kafka_partitions)
        by_partition.setdefault(partition, []).append(request.entries[0].message[:3])
    assert sum(map(len, by_partition.values())) == 40
    assert all(messages == sorted(messages) for messages in by_partition.values())


async def test_a_full_spool_refuses_and_takes_again_once_drained(
    behind_proxy: Settings, demo: Any, proxied_kafka: FaultProxy
) -> None:
    take_away(proxied_kafka)
    async with gateway(dataclasses.replace(behind_proxy, spool_max_bytes=3000)) as client:
        client.headers.update(headers_of(demo))
        await until_ready(client)
        answers = [await client.post(INGEST, json=body_of(demo, f"{n}" + "x" * 900)) for n in range(4)]
        assert [answer.status_code for answer in answers] == [202, 202, 503, 503]
        assert answers[2].json()["error"]["code"] == "not_durable"
        assert answers[2].headers["retry-after"]
        proxied_kafka.heal()
        await until_drained(client)
        assert (await client.post(INGEST, json=body_of(demo, "again"))).status_code == 202
    assert len(await stored(behind_proxy)) == 3


async def test_what_a_spool_holds_is_drained_after_it_was_turned_off(
    behind_proxy: Settings, demo: Any, proxied_kafka: FaultProxy
) -> None:
    take_away(proxied_kafka)
    async with gateway(behind_proxy) as client:
        client.headers.update(headers_of(demo))
        await until_ready(client)
        assert (await client.post(INGEST, json=body_of(demo, "kept"))).status_code == 202
    proxied_kafka.heal()
    async with gateway(dataclasses.replace(behind_proxy, spool_max_bytes=0)):
        await wait_for_messages(behind_proxy, 1)
    assert await messages_in(behind_proxy) == ["kept"]


async def test_not_ready_when_neither_kafka_nor_the_spool_takes(
    behind_proxy: Settings, demo: Any, proxied_kafka: FaultProxy
) -> None:
    (behind_proxy.home / "spool").write_text("in the way")
    take_away(proxied_kafka)
    async with gateway(behind_proxy) as client:
        client.headers.update(headers_of(demo))
        answer = await client.post(INGEST, json=body_of(demo, "a"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_durable")
        status, detail = await detail_of(client)
        assert (status, detail["kafka"]) == (503, "cut off")
        assert detail["spool"].startswith("takes nothing")
        (behind_proxy.home / "spool").unlink()
        await until_ready(client)
        assert (await client.post(INGEST, json=body_of(demo, "b"))).status_code == 202
        proxied_kafka.heal()
        await until_drained(client)
    assert await messages_in(behind_proxy) == ["b"]


async def test_a_nearly_full_disk_refuses_and_takes_again_once_drained(
    behind_proxy: Settings, demo: Any, proxied_kafka: FaultProxy, tmp_path: Path
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    with power_loss_disk(folder, RESERVED_BYTES + 16 * 1024 * 1024) as disk:
        take_away(proxied_kafka)
        async with gateway(dataclasses.replace(behind_proxy, home=disk.path)) as client:
            client.headers.update(headers_of(demo))
            await until_ready(client)
            body = body_of(demo, "x" * 500_000)
            statuses = [(await client.post(INGEST, json=body)).status_code for _ in range(40)]
            accepted = statuses.count(202)
            assert 0 < accepted < 40
            assert statuses == [202] * accepted + [503] * (40 - accepted)
            assert (await detail_of(client))[0] == 503
            proxied_kafka.heal()
            await until_drained(client)
            assert (await client.post(INGEST, json=body)).status_code == 202
    assert len(await stored(behind_proxy)) == accepted + 1


async def test_a_disk_filled_by_others_loses_nothing(
    behind_proxy: Settings, demo: Any, proxied_kafka: FaultProxy, tmp_path: Path
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    with power_loss_disk(folder, RESERVED_BYTES + 64 * 1024 * 1024) as disk:
        take_away(proxied_kafka)
        async with gateway(dataclasses.replace(behind_proxy, home=disk.path)) as client:
            client.headers.update(headers_of(demo))
            await until_ready(client)
            for number in range(8):
                body = body_of(demo, f"{number}" + "x" * 800_000)
                assert (await client.post(INGEST, json=body)).status_code == 202
            fill_to_the_brim(disk.path / "others")
            assert (await client.post(INGEST, json=body_of(demo, "no room"))).status_code == 503
            proxied_kafka.heal()
            await wait_for_messages(behind_proxy, 1)  # drained as far as can be without deleting
            (disk.path / "others").unlink()
            await until_drained(client)
    assert {message[0] for message in await messages_in(behind_proxy)} == set("01234567")


@pytest.mark.parametrize("point", ["gateway.before_spooled", "gateway.after_spooled", "gateway.before_spool_deleted"])
def test_a_kill_at_each_edge_loses_nothing_acknowledged(
    behind_proxy: Settings, demo: Any, proxied_kafka: FaultProxy, tmp_path: Path, log_file: Path, point: str
) -> None:
    armed = tmp_path / "failpoints"
    armed.mkdir()
    settings = dataclasses.replace(behind_proxy, failpoints=str(armed))
    acknowledged: list[str] = []

    def send(process: GatewayProcess, message: str) -> None:
        answer = httpx.post(process.url + INGEST, json=body_of(demo, message), headers=headers_of(demo), timeout=10)
        if answer.status_code == 202:
            acknowledged.append(message)

    take_away(proxied_kafka)
    with gateway_process(settings, log_file) as process:
        for number in range(20):
            send(process, f"line {number}")
        (armed / point).write_text("kill")
        if point == "gateway.before_spool_deleted":
            proxied_kafka.heal()
        else:
            with pytest.raises(httpx.HTTPError):
                send(process, "unanswered")
        wait_until(process.has_ended, "the gateway is killed", 60)
    assert len(acknowledged) == 20
    proxied_kafka.heal()
    with gateway_process(settings, log_file) as process:
        wait_until(lambda: process.health() == (200, {}), "the spool is drained", DRAIN_SECONDS)
    found = asyncio.run(messages_in(behind_proxy))
    assert set(acknowledged) <= set(found) <= {*acknowledged, "unanswered"}
    if point == "gateway.before_spooled":
        assert "unanswered" not in found


def test_a_live_process_adopts_the_spool_of_a_killed_one(
    behind_proxy: Settings, demo: Any, proxied_kafka: FaultProxy, log_file: Path
) -> None:
    take_away(proxied_kafka)
    spools = behind_proxy.home / "spool"
    with gateway_process(behind_proxy, log_file) as first, gateway_process(behind_proxy, log_file) as second:
        for number, process in enumerate((first, second)):
            answer = httpx.post(process.url + INGEST, json=body_of(demo, f"line {number}"), headers=headers_of(demo))
            assert answer.status_code == 202
        assert sorted(path.name for path in spools.iterdir() if path.is_dir()) == ["gateway-1", "gateway-2"]
        first.kill()
        proxied_kafka.heal()
        wait_until(
            lambda: [path.name for path in spools.iterdir() if path.is_dir()] == ["gateway-2"],
            "the spool of the killed process is drained and gone",
            DRAIN_SECONDS,
        )
        wait_until(lambda: second.health() == (200, {}), "the own spool is drained", DRAIN_SECONDS)
    assert sorted(asyncio.run(messages_in(behind_proxy))) == ["line 0", "line 1"]


def test_a_damaged_spool_is_salvaged_kept_and_counted(
    behind_proxy: Settings, demo: Any, proxied_kafka: FaultProxy, log_file: Path
) -> None:
    take_away(proxied_kafka)
    with gateway_process(behind_proxy, log_file) as process:
        for number in range(30):
            body = body_of(demo, f"line {number:03} " + "x" * 1000)
            answer = httpx.post(process.url + INGEST, json=body, headers=headers_of(demo))
            assert answer.status_code == 202
        process.terminate()
        process.until_ended()
    path = behind_proxy.home / "spool" / "gateway-1" / FILE
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 4096)
        file.write(os.urandom(4096))
    with gateway_process(behind_proxy, log_file) as process:
        salvaged = process.metric("mockupaws_spool_damaged_requests_total", outcome="salvaged")
        lost = process.metric("mockupaws_spool_damaged_requests_total", outcome="lost")
        assert salvaged + lost == 30
        assert 0 < lost < 6
        proxied_kafka.heal()
        wait_until(lambda: process.health() == (200, {}), "the spool is drained", DRAIN_SECONDS)
    assert len(asyncio.run(messages_in(behind_proxy))) == salvaged
    assert (behind_proxy.home / "spool" / "gateway-1.damaged-1" / FILE).exists()
    assert "spool_damaged" in log_file.read_text()
