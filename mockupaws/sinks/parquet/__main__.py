"""`python -m mockupaws.sinks.parquet`: the archive's process."""

from __future__ import annotations

import asyncio

import pyarrow as pa

from mockupaws.archive.object_store import open_store
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.health import HealthServer
from mockupaws.runtime.postgres import open_pool
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.topics import ANALYSED
from mockupaws.sinks.batch import BatchLimits
from mockupaws.sinks.consume import Consumption, group_of
from mockupaws.sinks.parquet.writer import ParquetItem, ParquetSink
from mockupaws.sinks.retention import Reader, RetentionWatch
from mockupaws.sinks.serve import serve_sink


async def run(settings: Settings, stop: asyncio.Event) -> None:
    pa.set_memory_pool(pa.system_memory_pool())  # gives memory back after each object; Arrow's own pools keep the peak
    pa.set_cpu_count(1)
    clock = SystemClock()
    pool = await open_pool(settings.postgres_sink_url, settings, max_size=2, application_name="mockupaws-parquet-sink")
    limits = BatchLimits(
        settings.parquet_flush_lines,
        settings.sink_batch_max_bytes,
        max_age_seconds=settings.parquet_flush_seconds,
        rest_seconds=settings.parquet_flush_seconds / 5,
    )
    reader = Reader(ParquetSink.name, group_of(settings, ParquetSink.name), (ANALYSED,))
    retention = RetentionWatch(settings, [reader], clock)
    consumption: Consumption[ParquetItem] = Consumption(
        settings, pool, ParquetSink(pool, open_store(settings), clock), (ANALYSED,), limits, clock, [retention.run]
    )
    try:
        with HealthServer(settings.health_port, lambda: retention.add_to(consumption.report())):
            await consumption.run(stop)
    finally:
        pool.terminate()


if __name__ == "__main__":
    serve_sink("parquet-sink", run)
