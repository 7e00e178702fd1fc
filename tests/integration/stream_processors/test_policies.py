"""The processor applies each tenant's newest policy, and goes on by the last it knew when Postgres is gone."""

from __future__ import annotations

import asyncio
import json
import stat
import uuid
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec

from mockupaws.runtime.settings import Settings
from mockupaws.schemas.analysed import AnalysedRequest, decode_analysed
from mockupaws.schemas.topics import ANALYSED
from mockupaws.stream_processors.policies.refresh_policies import SNAPSHOT_FILE
from tests.adversity.fault_proxy import FaultProxy
from tests.conftest import Demo
from tests.integration.stream_processors.processor_process import (
    DEADLINE_SECONDS,
    ProcessorProcess,
    bundle_of,
    publish,
    read_until,
    request_of,
    running_processor,
)

LINE = "bob@example.com from 10.0.0.1"


async def store_policy(settings: Settings, tenant_id: uuid.UUID, version: int, document: dict[str, Any]) -> None:
    connection = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    try:
        await connection.execute(
            "INSERT INTO redaction_policies (tenant_id, version, document, created_by) VALUES ($1, $2, $3, 'test')",
            tenant_id,
            version,
            json.dumps(document),
        )
    finally:
        await connection.close()


async def analysed(settings: Settings, tenant_id: uuid.UUID) -> AnalysedRequest:
    """LINE as the running processor makes it now."""
    request = msgspec.structs.replace(request_of([LINE]), tenant_id=tenant_id.bytes)
    await publish(settings, [bundle_of(request)])

    def answers(records: list[Any]) -> list[AnalysedRequest]:
        return [a for r in records for a in decode_analysed(r.value) if a.request_id == request.request_id]

    records = await read_until(settings, (ANALYSED,), lambda records: bool(answers(records)))
    return answers(records)[0]


async def until_version(settings: Settings, tenant_id: uuid.UUID, version: int) -> AnalysedRequest:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while (made := await analysed(settings, tenant_id)).policy_version != version:
            assert made.lines.message == ["[EMAIL] from [IPV4]"]
    return made


def behind(proxy: FaultProxy, settings: Settings) -> Settings:
    url = urlsplit(settings.postgres_api_url)
    direct = f"{url.hostname}:{url.port}"
    return replace(settings, postgres_api_url=settings.postgres_api_url.replace(direct, f"127.0.0.1:{proxy.port}"))


async def until_report(processor: ProcessorProcess, part: str) -> dict[str, Any]:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while part not in ((report := await asyncio.to_thread(processor.health)) or {}).get("detail", {}):
            await asyncio.sleep(0.05)
    assert report is not None
    return report


async def test_a_changed_policy_holds_for_what_is_sent_after_it_with_and_without_postgres(
    settings: Settings, demo: Demo
) -> None:
    port = urlsplit(settings.postgres_api_url).port
    assert port is not None
    with FaultProxy(port) as proxy, running_processor(behind(proxy, settings)) as processor:
        first = await analysed(settings, demo.tenant_id)
        assert (first.lines.message, first.policy_version) == (["[EMAIL] from [IPV4]"], 0)

        await store_policy(settings, demo.tenant_id, 1, {"actions": {"IPV4": "flag"}})
        changed = await until_version(settings, demo.tenant_id, 1)
        assert changed.lines.message == ["[EMAIL] from 10.0.0.1"]
        other = await analysed(settings, uuid.uuid4())
        assert (other.lines.message, other.policy_version) == (["[EMAIL] from [IPV4]"], 0)

        proxy.refuse()
        proxy.reset_all()
        kept = await analysed(settings, demo.tenant_id)
        assert (kept.lines.message, kept.policy_version) == (["[EMAIL] from 10.0.0.1"], 1)

        snapshot = processor.settings.home / SNAPSHOT_FILE
        assert stat.S_IMODE(snapshot.stat().st_mode) == 0o600
        await asyncio.to_thread(processor.kill)
        processor.start()
        restarted = await analysed(settings, demo.tenant_id)
        assert (restarted.lines.message, restarted.policy_version) == (["[EMAIL] from 10.0.0.1"], 1)

        snapshot.unlink()
        await asyncio.to_thread(processor.kill)
        processor.start()
        report = await until_report(processor, "policies")
        assert not report["ready"]
        proxy.accept()
        await processor.until_ready()
        again = await analysed(settings, demo.tenant_id)
        assert (again.lines.message, again.policy_version) == (["[EMAIL] from 10.0.0.1"], 1)
