"""`python -m mockupaws.sinks.postgres`: the Postgres sink's process."""

from __future__ import annotations

import asyncio

from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.dead_letter_limit import DeadLetterLimit
from mockupaws.runtime.health import HealthServer
from mockupaws.runtime.postgres import open_pool
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.topics import ANALYSED, DEAD_LETTERS, PROCESSOR_GROUP, REQUESTS
from mockupaws.sinks.batch import BatchLimits
from mockupaws.sinks.consume import Consumption, group_of
from mockupaws.sinks.dead_letters.publish import DeadLetterPublisher
from mockupaws.sinks.postgres.decode import PostgresItem
from mockupaws.sinks.postgres.detect_losses import LossDetector
from mockupaws.sinks.postgres.writer import PostgresSink
from mockupaws.sinks.retention import Reader, RetentionWatch
from mockupaws.sinks.serve import serve_sink


async def run(settings: Settings, stop: asyncio.Event) -> None:
    clock = SystemClock()
    pool = await open_pool(settings.postgres_sink_url, settings, max_size=3, application_name="mockupaws-postgres-sink")
    letters = DeadLetterPublisher(settings)
    detector = LossDetector(settings, pool, PostgresSink.name)
    readers = (
        Reader(PostgresSink.name, group_of(settings, PostgresSink.name), (ANALYSED, DEAD_LETTERS)),
        Reader("processor", settings.kafka_topic_prefix + PROCESSOR_GROUP, (REQUESTS,)),
    )
    retention = RetentionWatch(settings, readers, clock)
    consumption: Consumption[PostgresItem] = Consumption(
        settings,
        pool,
        PostgresSink(settings, pool, letters, DeadLetterLimit.of(settings), clock),
        (ANALYSED, DEAD_LETTERS),
        BatchLimits(
            settings.sink_transaction_max_lines,
            settings.sink_batch_max_bytes,
            max_age_seconds=0.0,
            rest_seconds=settings.sink_rest_ms / 1000,
        ),
        clock,
        beside=[detector.run, retention.run],
    )
    try:
        with HealthServer(settings.health_port, lambda: retention.add_to(detector.add_to(consumption.report()))):
            await consumption.run(stop)
    finally:
        await letters.stop()
        pool.terminate()


if __name__ == "__main__":
    serve_sink("postgres-sink", run)
