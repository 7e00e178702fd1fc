"""What the spool said is durable survives a power cut the moment it said so."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mockupaws.ingest_gateway.spool_file import NewRequest, SpoolFile
from mockupaws.ingest_gateway.spool_thread import SpoolThread
from mockupaws.runtime.clock import SystemClock
from tests.power_loss import PowerLossDisk, power_loss_disk

DISK_BYTES = 128 * 1024 * 1024
"""Enough for what the spool leaves free."""


def requests_left(disk: PowerLossDisk) -> list[NewRequest]:
    with disk.cut() as left:
        found = SpoolFile.open(left / "spool" / "gateway-1")
        requests = [each.request for each in found.read(0, 10_000, 100_000_000)]
        found.close()
    return requests


def test_every_transaction_is_there_after_a_power_cut(tmp_path: Path) -> None:
    with power_loss_disk(tmp_path) as disk:
        spool = SpoolFile.open(disk.path / "spool" / "gateway-1")
        acknowledged: list[NewRequest] = []
        for number in range(1, 6):
            requests = [NewRequest(bytes([number, each]) * 8, bytes([number, each]) * 1000, 1) for each in range(20)]
            spool.append(requests, number)
            acknowledged += requests
            assert requests_left(disk) == acknowledged
        spool.close()


async def test_every_acknowledged_request_is_there_after_a_power_cut(tmp_path: Path) -> None:
    with power_loss_disk(tmp_path, DISK_BYTES) as disk:
        spool = SpoolThread(disk.path / "spool" / "gateway-1", 100_000_000, SystemClock())
        await spool.check()
        sent = [NewRequest(number.to_bytes(16, "big"), number.to_bytes(2, "big") * 500, 1) for number in range(300)]
        acknowledged: set[bytes] = set()

        async def append(request: NewRequest) -> None:
            await spool.append(request)
            acknowledged.add(request.request_id)

        waiting = {asyncio.create_task(append(request)) for request in sent}
        cuts = 0
        while waiting:
            _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            promised = set(acknowledged)
            left = [request.request_id for request in requests_left(disk)]
            assert promised <= set(left)
            cuts += 1
        assert left == [request.request_id for request in sent]
        assert cuts < len(sent) / 2  # many requests, one sync
        await spool.close()
