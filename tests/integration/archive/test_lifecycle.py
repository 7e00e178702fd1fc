"""Partitions as maintenance makes them: what the parent promises holds in each."""

from __future__ import annotations

import asyncpg
import pytest

from mockupaws.runtime.settings import Settings
from tests.integration.sinks.sink_process import owner_connection

_TARGETS = "SELECT attname, attstattarget FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY 1"
_STORE = """
INSERT INTO scenario_logs (tenant_id, scenario_id, id, received_at, message_hash, message_preview, source, level,
                           size_bytes, has_pii, pii_types, token_count, sqs_blocks)
VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), '2031-02-03', '', $1, '', '', 0, false, '{}', 0, 1)"""


async def test_a_new_partition_is_analysed_as_its_parent_and_keeps_previews_short(settings: Settings) -> None:
    async with owner_connection(settings) as connection:
        assert await connection.fetchval("SELECT make_log_partition('2031-02-01')")
        targets = [await connection.fetch(_TARGETS, table) for table in ("scenario_logs", "scenario_logs_2031_02")]
        assert targets[0] == targets[1]
        assert {row["attstattarget"] for row in targets[1]} == {0, 30}
        await connection.execute("ALTER TABLE scenario_logs NO FORCE ROW LEVEL SECURITY")
        for preview in ("x" * 500, "😀" * 500):
            await connection.execute(_STORE, preview)
        for preview in ("x" * 501, "😀" * 501):
            with pytest.raises(asyncpg.CheckViolationError):
                await connection.execute(_STORE, preview)
