"""What each sink has stored, counted in every place that must agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mockupaws.runtime.settings import Settings
from tests.integration.sinks.sink_process import owner_connection

STORED = {
    "postgres": "SELECT coalesce(sum(stored), 0) FROM ingest_receipts",
    "parquet": "SELECT coalesce(sum(row_count), 0) FROM archive_objects",
}


async def counts(settings: Settings) -> dict[str, Any]:
    async with owner_connection(settings) as connection:
        row = await connection.fetchrow(
            "SELECT count(*) AS rows, count(DISTINCT id) AS ids,"
            " (SELECT coalesce(sum(value), 0) FROM scenario_metrics WHERE metric_name = 'entries') AS rollup,"
            " (SELECT coalesce(sum(stored), 0) FROM ingest_receipts) AS receipts FROM scenario_logs"
        )
    assert row is not None
    return {name: int(value) for name, value in row.items()}


async def archived_ids(settings: Settings) -> list[Any]:
    folder = Path(settings.archive_url.removeprefix("file://"))
    async with owner_connection(settings) as connection:
        rows = await connection.fetch("SELECT object_key, row_count FROM archive_objects")
    ids: list[Any] = []
    for row in rows:
        table = pq.read_table(folder / row["object_key"], partitioning=None)
        assert table.num_rows == row["row_count"]
        ids += table["id"].to_pylist()
    return ids


async def assert_exact(settings: Settings, name: str, lines: int, requests: int | None = None) -> None:
    """Each of `lines` lines is stored once; of `requests` requests each has counted once, with or without lines."""
    if name == "parquet":
        ids = await archived_ids(settings)
        assert (len(ids), len(set(ids))) == (lines, lines)
        return
    assert await counts(settings) == dict.fromkeys(("rows", "ids", "rollup", "receipts"), lines)
    async with owner_connection(settings) as connection:
        assert await connection.fetchval("SELECT count(*) FROM dead_letters") == 0
        if requests is not None:
            counted = "SELECT sum(value) FROM scenario_metrics WHERE metric_name = 'requests'"
            assert int(await connection.fetchval(counted)) == requests
