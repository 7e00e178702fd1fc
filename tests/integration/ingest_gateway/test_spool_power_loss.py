"""What the spool said is durable survives a power cut the moment it said so."""

from __future__ import annotations

from pathlib import Path

from mockupaws.ingest_gateway.spool_file import NewRequest, SpoolFile
from tests.power_loss import power_loss_disk


def test_every_acknowledged_request_is_there_after_a_power_cut(tmp_path: Path) -> None:
    with power_loss_disk(tmp_path) as disk:
        spool = SpoolFile.open(disk.path / "spool" / "gateway-1")
        acknowledged: list[NewRequest] = []
        for number in range(1, 6):
            requests = [NewRequest(bytes([number, each]) * 8, bytes([number, each]) * 1000, 1) for each in range(20)]
            spool.append(requests, number)
            acknowledged += requests
            with disk.cut() as left:
                found = SpoolFile.open(left / "spool" / "gateway-1")
                assert [each.request for each in found.read(0, 1000, 10_000_000)] == acknowledged
                found.close()
        spool.close()
