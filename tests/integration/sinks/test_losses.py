"""Records that vanish between the two topics are found and processed again; what is only late is left alone."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from mockupaws.runtime.failpoints import FailpointHitError, enable_failpoints
from mockupaws.runtime.health import HealthReport
from mockupaws.runtime.kafka import create_topics, topic_ids, topic_name
from mockupaws.runtime.postgres import open_pool
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.topics import REQUESTS
from mockupaws.sinks.postgres.detect_losses import HEALING_ATTEMPTS, LossDetector
from tests.integration.sinks.sink_process import owner_connection, running_sink, until_equal
from tests.integration.sinks.source_records import (
    answer_sources,
    bundle,
    commit_processed,
    end_of_sources,
    expire_before,
    publish_sources,
)
from tests.integration.stream_processors.processor_process import running_processor

STORED = "SELECT coalesce(sum(stored), 0) FROM ingest_receipts"
HEALED = "SELECT coalesce(sum(healed), 0) FROM source_offsets"
NEVER = 1e9


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The sinks these tests start look for no losses: each test looks itself."""
    return dataclasses.replace(settings, loss_detector_gap_seconds=NEVER)


@asynccontextmanager
async def detector_of(settings: Settings) -> AsyncIterator[LossDetector]:
    """One that waits for no gap to grow old."""
    pool = await open_pool(settings.postgres_sink_url, settings, max_size=3)
    try:
        yield LossDetector(dataclasses.replace(settings, loss_detector_gap_seconds=0.0), pool, "postgres")
    finally:
        pool.terminate()


async def look_twice(detector: LossDetector) -> None:
    """Takes a snapshot, and judges it."""
    await detector.check()
    await detector.check()


async def store(settings: Settings, lines: int) -> None:
    with running_sink(settings, "postgres"):
        await until_equal(settings, STORED, lines)


async def begin_to_store(settings: Settings) -> None:
    """Lets a sink see that there is nothing to store yet."""
    with running_sink(settings, "postgres"):
        await until_equal(settings, "SELECT count(*) FROM consumer_offsets", 8)


async def sources(settings: Settings) -> list[tuple[Any, ...]]:
    async with owner_connection(settings) as connection:
        rows = await connection.fetch(
            "SELECT partition, first_offset, arrived::text, healed, lost::text FROM source_offsets ORDER BY 1, 2"
        )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("but", [(4,), (7, 8, 9), (0, 1, 5, 9)], ids=["in the middle", "the tail", "here and there"])
async def test_lost_records_come_back_through_the_real_processor_and_only_by_the_detector(
    settings: Settings, but: tuple[int, ...]
) -> None:
    values = [bundle(f"line {number}", "mail to bob@example.com") for number in range(10)]
    await publish_sources(settings, values)
    await answer_sources(settings, values, but)
    await commit_processed(settings, 10)
    kept = 2 * (10 - len(but))
    with running_processor(settings) as processor:
        await processor.until_ready()
        with running_sink(settings, "postgres"):
            await until_equal(settings, STORED, kept)
        assert await end_of_sources(settings) == 10
        with running_sink(dataclasses.replace(settings, loss_detector_gap_seconds=1.0), "postgres"):
            await until_equal(settings, STORED, 20, seconds=90)
            await until_equal(settings, HEALED, len(but))
            await until_equal(settings, "SELECT arrived::text FROM source_offsets", f"{{[0,{10 + len(but)})}}")
    async with owner_connection(settings) as connection:
        counts = await connection.fetchrow("SELECT count(*), count(DISTINCT id) FROM scenario_logs")
        assert counts is not None
        assert tuple(counts) == (20, 20)
        assert await connection.fetchval("SELECT count(*) FROM dead_letters") == 0


async def test_a_partition_of_which_nothing_arrived_is_published_anew(settings: Settings) -> None:
    await publish_sources(settings, [bundle("a"), bundle("b")], partition=2)
    await commit_processed(settings, 2, partition=2)
    await begin_to_store(settings)
    async with detector_of(settings) as detector:
        await look_twice(detector)
    assert await end_of_sources(settings, 2) == 4
    assert await sources(settings) == [(2, 0, "{[0,2)}", 2, "{}")]


async def test_answers_the_sink_has_not_read_yet_are_late_and_not_lost(settings: Settings) -> None:
    values = [bundle(f"line {number}") for number in range(10)]
    await publish_sources(settings, values)
    await answer_sources(settings, values[:5])
    await store(settings, 5)
    await answer_sources(settings, values)
    await commit_processed(settings, 10)
    async with detector_of(settings) as detector:
        for _ in range(3):
            await look_twice(detector)
        await store(settings, 10)
        await look_twice(detector)
    assert await end_of_sources(settings) == 10
    assert await sources(settings) == [(0, 0, "{[0,10)}", 0, "{}")]


async def test_what_the_processor_has_not_passed_yet_is_late_and_not_lost(settings: Settings) -> None:
    values = [bundle(f"line {number}") for number in range(10)]
    await publish_sources(settings, values)
    await answer_sources(settings, values[:6], but=(4,))
    await commit_processed(settings, 4)
    await store(settings, 5)
    async with detector_of(settings) as detector:
        for _ in range(3):
            await look_twice(detector)
    assert await end_of_sources(settings) == 10


async def test_a_dead_letter_is_an_answer(settings: Settings) -> None:
    values = [bundle("a"), b"\xc1 no bundle", bundle("c")]
    await publish_sources(settings, values)
    await answer_sources(settings, values)
    await commit_processed(settings, 3)
    with running_sink(settings, "postgres"):
        await until_equal(settings, STORED, 2)
        await until_equal(settings, "SELECT count(*) FROM dead_letters", 1)
    async with detector_of(settings) as detector:
        await look_twice(detector)
    assert await sources(settings) == [(0, 0, "{[0,3)}", 0, "{}")]


async def test_what_expired_is_an_alarm_that_outlives_the_process_until_an_operator_clears_it(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    values = [bundle(f"line {number}") for number in range(10)]
    await publish_sources(settings, values)
    await answer_sources(settings, values, but=(3, 4, 8))
    await commit_processed(settings, 10)
    await store(settings, 7)
    await expire_before(settings, topic_name(settings, REQUESTS), 6)
    async with detector_of(settings) as detector:
        await look_twice(detector)
        assert await sources(settings) == [(0, 0, "{[0,3),[5,10)}", 1, "{[3,5)}")]
        healthy = HealthReport(ready=True)
        assert detector.add_to(healthy).ready is False
    place = f"{topic_name(settings, REQUESTS)}-0: 3-4"
    async with detector_of(settings) as started_again:
        assert started_again.add_to(healthy) == healthy
        await started_again.check()
        assert place in started_again.add_to(healthy).detail["lost_source_records"]
        assert capsys.readouterr().out.count("source_records_lost") == 2, "once a process"
        async with owner_connection(settings) as connection:  # as docs/runbooks says
            await connection.execute("UPDATE source_offsets SET arrived = arrived + lost, lost = '{}'")
        await started_again.check()
        assert started_again.add_to(healthy) == healthy
    assert await end_of_sources(settings) == 11


async def test_a_record_that_keeps_vanishing_is_given_up(settings: Settings) -> None:
    await publish_sources(settings, [bundle("vanishes")])
    await begin_to_store(settings)
    async with detector_of(settings) as detector:
        for attempt in range(HEALING_ATTEMPTS + 2):
            await commit_processed(settings, await end_of_sources(settings))
            await look_twice(detector)
            assert await end_of_sources(settings) == min(attempt + 2, HEALING_ATTEMPTS + 1)
    assert await sources(settings) == [(0, 0, "{[0,3)}", 3, "{[3,4)}")]


async def test_a_topic_made_anew_is_watched_from_its_first_record_and_the_old_one_is_left_alone(
    settings: Settings,
) -> None:
    values = [bundle(f"old {number}") for number in range(5)]
    await publish_sources(settings, values)
    await answer_sources(settings, values, but=(1,))
    await store(settings, 4)
    old_id = (await topic_ids(settings))[topic_name(settings, REQUESTS)]
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    await admin.delete_topics([topic_name(settings, REQUESTS)])
    await admin.close()
    async with asyncio.timeout(60):
        while (await topic_ids(settings)).get(topic_name(settings, REQUESTS)) in (None, old_id):
            await create_topics(settings)
    anew = [bundle(f"new {number}") for number in range(3)]
    await publish_sources(settings, anew)
    await answer_sources(settings, anew, but=(0,))
    await commit_processed(settings, 3)
    await store(settings, 6)
    async with detector_of(settings) as detector:
        await look_twice(detector)
    assert await end_of_sources(settings) == 4
    assert sorted(await sources(settings)) == [(0, 0, "{[0,1),[2,5)}", 0, "{}"), (0, 0, "{[0,3)}", 1, "{}")]


async def test_answers_of_a_release_that_told_no_topic_ids_are_not_waited_for(settings: Settings) -> None:
    values = [bundle(f"line {number}") for number in range(6)]
    await publish_sources(settings, values)
    await answer_sources(settings, values)
    await commit_processed(settings, 6)
    await store(settings, 6)
    async with owner_connection(settings) as connection:
        await connection.execute("DELETE FROM source_offsets")  # as before the migration
    more = [bundle(f"more {number}") for number in range(2)]
    await publish_sources(settings, more)
    await answer_sources(settings, [*values, *more], but=range(6))
    await commit_processed(settings, 8)
    await store(settings, 8)
    async with detector_of(settings) as detector:
        await look_twice(detector)
    assert await sources(settings) == [(0, 6, "{[6,8)}", 0, "{}")]


async def test_of_two_detectors_one_acts(settings: Settings) -> None:
    values = [bundle(f"line {number}") for number in range(4)]
    await publish_sources(settings, values)
    await answer_sources(settings, values, but=(2,))
    await commit_processed(settings, 4)
    await store(settings, 3)
    async with detector_of(settings) as first, detector_of(settings) as second:
        await asyncio.gather(first.check(), second.check())
        await asyncio.gather(first.check(), second.check())
        await asyncio.gather(first.check(), second.check())
    assert await end_of_sources(settings) == 5
    assert await sources(settings) == [(0, 0, "{[0,4)}", 1, "{}")]


@pytest.fixture
def failpoints(tmp_path: Path) -> Iterator[Path]:
    enable_failpoints(str(tmp_path))
    yield tmp_path
    enable_failpoints("")


async def test_a_failure_after_publishing_publishes_once_more_and_stores_once(
    settings: Settings, failpoints: Path
) -> None:
    values = [bundle(f"line {number}") for number in range(4)]
    await publish_sources(settings, values)
    await answer_sources(settings, values, but=(2,))
    await commit_processed(settings, 4)
    await store(settings, 3)
    (failpoints / "loss_detector.after_publish").write_text("fail")
    async with detector_of(settings) as detector:
        await detector.check()
        with pytest.raises(FailpointHitError):
            await detector.check()
        await detector.check()
    assert await end_of_sources(settings) == 6
    with running_processor(settings), running_sink(settings, "postgres"):
        await until_equal(settings, "SELECT arrived::text FROM source_offsets", "{[0,6)}")
    async with owner_connection(settings) as connection:
        assert await connection.fetchval(STORED) == 4
        assert await connection.fetchval("SELECT count(*) FROM scenario_logs") == 4
