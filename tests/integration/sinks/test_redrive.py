"""Dead letters sent on again: each line ends in Postgres and in the archive once, and every receipt adds up."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import msgspec
import pytest

from mockupaws.runtime.kafka import topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.dead_letters import DeadLetter, Reason, encode_dead_letter
from mockupaws.schemas.identifiers import new_request_id
from mockupaws.schemas.requests import Entry, IngestRequest, encode_request, join_bundle
from mockupaws.schemas.topics import DEAD_LETTERS, REQUESTS
from mockupaws.sinks.dead_letters.find_letters import tenants_of_letters
from mockupaws.sinks.dead_letters.redrive_letters import LetterFilter, RedriveTotals, redrive_letters
from tests.integration.sinks.sink_process import (
    SCENARIO,
    TENANT,
    analysed_request,
    owner_connection,
    publish,
    publish_requests,
    running_sink,
    until_equal,
)
from tests.integration.stream_processors.processor_process import publish as publish_bundles
from tests.integration.stream_processors.processor_process import read_until, running_processor

ROWS = "SELECT count(*) FROM scenario_logs"
DISTINCT = "SELECT count(DISTINCT id) FROM scenario_logs"
ARCHIVED = "SELECT coalesce(sum(row_count), 0) FROM archive_objects"
LETTERS = "SELECT count(*) FROM dead_letters"
UNBALANCED = "SELECT count(*) FROM ingest_receipts WHERE accepted <> stored + dead_lettered"
POISON = Entry("an ext type is no JSON", attributes={"x": msgspec.msgpack.Ext(5, b"raw")})
YEAR_2100_US = 4_102_444_800_000_000


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - letters are of the real clock


def request_of(*entries: Entry) -> IngestRequest:
    now_us = int(now().timestamp() * 1e6)
    request_id = new_request_id(now_us, os.urandom(10)).bytes
    return IngestRequest(request_id, TENANT.bytes, SCENARIO.bytes, now_us, b"h" * 16, list(entries))


def part_of(request: IngestRequest, indexes: list[int]) -> IngestRequest:
    if len(indexes) == len(request.entries):
        return request
    entries = [request.entries[index] for index in indexes]
    return msgspec.structs.replace(request, entries=entries, entry_indexes=indexes, whole_entries=len(request.entries))


async def dead_letter(settings: Settings, request: IngestRequest, indexes: list[int], **changes: object) -> DeadLetter:
    """The letter that a release with a defect wrote about good entries."""
    letter = DeadLetter(
        reason="analysis_failed",
        step="analyse",
        detail="ValueError",
        topic=topic_name(settings, REQUESTS),
        partition=0,
        offset=0,
        occurred_at_us=request.received_at_us,
        software_version="0",
        original=encode_request(part_of(request, indexes)),
        request_id=request.request_id,
        tenant_id=request.tenant_id,
        scenario_id=request.scenario_id,
        accepted=len(request.entries),
        entry_indexes=indexes,
        received_at_us=request.received_at_us,
        record_version="1",
    )
    letter = msgspec.structs.replace(letter, **changes)
    await publish(settings, [encode_dead_letter(letter)], topic=DEAD_LETTERS)
    return letter


@contextlib.contextmanager
def running_pipeline(settings: Settings) -> Iterator[None]:
    quick = dataclasses.replace(settings, parquet_flush_seconds=0.2)
    with running_processor(quick), running_sink(quick, "postgres"), running_sink(quick, "parquet"):
        yield


async def receipt(settings: Settings, request: IngestRequest) -> tuple[int, ...]:
    async with owner_connection(settings) as connection:
        row = await connection.fetchrow(
            "SELECT accepted, stored, dead_lettered FROM ingest_receipts WHERE request_id = $1",
            uuid.UUID(bytes=request.request_id),
        )
    assert row is not None
    return tuple(row)


async def letters(settings: Settings, columns: str) -> list[asyncpg.Record]:
    async with owner_connection(settings) as connection:
        return await connection.fetch(f"SELECT {columns} FROM dead_letters ORDER BY occurred_at, id")


async def test_parts_and_whole_requests_are_stored_beside_what_was_stored(settings: Settings) -> None:
    partly, wholly = request_of(Entry("a"), Entry("b"), Entry("c")), request_of(Entry("d"), Entry("e"))
    stored = analysed_request(["a", "c"], uuid.UUID(bytes=partly.request_id), partly.received_at_us, accepted=3)
    stored.lines.index[:] = [0, 2]
    with running_pipeline(settings):
        await publish_requests(settings, stored)
        await dead_letter(settings, partly, [1])
        await dead_letter(settings, wholly, [0, 1])
        await until_equal(settings, LETTERS, 2)
        await until_equal(settings, ROWS, 2)
        assert (await receipt(settings, partly), await receipt(settings, wholly)) == ((3, 2, 1), (2, 0, 2))

        assert await redrive_letters(settings, LetterFilter(), now(), dry_run=True) == RedriveTotals(2, 3, 0)
        tenants = {uuid.UUID(bytes=request.tenant_id) for request in (partly, wholly)}
        assert set(await tenants_of_letters(settings, LetterFilter())) == tenants
        assert await tenants_of_letters(settings, LetterFilter(reason="no such")) == {}
        assert {row["state"] for row in await letters(settings, "state")} == {"dead"}
        assert await redrive_letters(settings, LetterFilter(), now()) == RedriveTotals(2, 3, 0)
        await until_equal(settings, ROWS, 5)
        await until_equal(settings, ARCHIVED, 5)
        await until_equal(settings, UNBALANCED, 0)
        assert (await receipt(settings, partly), await receipt(settings, wholly)) == ((3, 3, 0), (2, 2, 0))
        assert [tuple(row) for row in await letters(settings, "state, attempts")] == [("redriven", 1)] * 2

        assert await redrive_letters(settings, LetterFilter(), now()) == RedriveTotals(0, 0, 0)
    async with owner_connection(settings) as connection:
        assert await connection.fetchval(DISTINCT) == 5
        previews = await connection.fetch("SELECT message_preview FROM scenario_logs ORDER BY id")
        entries = await connection.fetchval("SELECT sum(value) FROM scenario_metrics WHERE metric_name = 'entries'")
        counted = await connection.fetchval(
            "SELECT sum(value) FROM scenario_metrics WHERE (metric_type, metric_name) = ('ingest', 'requests')"
        )
    assert sorted(row["message_preview"] for row in previews) == ["a", "b", "c", "d", "e"]
    assert (int(entries), int(counted)) == (5, 2)


async def test_what_fails_again_comes_back_as_the_same_letter(settings: Settings) -> None:
    request = request_of(Entry("good"), POISON, Entry("also good"), POISON)
    with running_pipeline(settings):
        await publish_bundles(settings, [join_bundle([encode_request(request)])])
        await until_equal(settings, LETTERS, 1)
        await until_equal(settings, ROWS, 2)
        await until_equal(settings, UNBALANCED, 0)
        for attempt in (2, 3):
            assert await redrive_letters(settings, LetterFilter(), now()) == RedriveTotals(1, 2, 0)
            await until_equal(settings, f"SELECT count(*) FROM dead_letters WHERE attempts = {attempt}", 1)
            assert await receipt(settings, request) == (4, 2, 2)
        # one entry was mended: it goes on, and the other gets a letter of its own
        mended = part_of(request_of(*[Entry("x")] * 4), [1, 3])
        mended = msgspec.structs.replace(
            mended, request_id=request.request_id, received_at_us=request.received_at_us, entries=[POISON, Entry("ok")]
        )
        async with owner_connection(settings) as connection:
            await connection.execute("UPDATE dead_letters SET original = $1", encode_request(mended))
        await redrive_letters(settings, LetterFilter(), now())
        await until_equal(settings, ROWS, 3)
        await until_equal(settings, LETTERS, 2)
        await until_equal(settings, UNBALANCED, 0)
        assert await receipt(settings, request) == (4, 3, 1)
    rows = await letters(settings, "state, entry_indexes, attempts")
    assert sorted(tuple(row) for row in rows) == [("dead", [1], 1), ("redriven", [1, 3], 3)]


async def test_letters_of_the_sink_are_stored_once_their_partition_exists(settings: Settings) -> None:
    far = analysed_request(["far", "away"], received_at_us=YEAR_2100_US)
    quick = dataclasses.replace(settings, parquet_flush_seconds=0.2)
    with running_sink(quick, "postgres"), running_sink(quick, "parquet"):
        await publish_requests(settings, far)
        await until_equal(settings, LETTERS, 1)
        await until_equal(settings, ARCHIVED, 2)
        async with owner_connection(settings) as connection:
            await connection.execute("SELECT make_log_partition('2100-01-01'), make_metric_partition('2100-01-01')")
        (letter,) = await letters(settings, "id, reason")
        assert letter["reason"] == "timestamp_out_of_range"
        assert await redrive_letters(settings, LetterFilter(ids=[letter["id"]]), now()) == RedriveTotals(1, 2, 0)
        # the sink asks for new partitions every ten seconds; until then it fails again
        async with asyncio.timeout(60), owner_connection(settings) as connection:
            while await connection.fetchval(ROWS) == 0:
                await redrive_letters(settings, LetterFilter(), now())
                await asyncio.sleep(0.5)
        await until_equal(settings, ROWS, 2)
        await until_equal(settings, UNBALANCED, 0)
        await publish_requests(settings, analysed_request(["last"]))
        await until_equal(settings, ARCHIVED, 3)


async def test_an_unreadable_record_goes_back_byte_for_byte(settings: Settings) -> None:
    value = b"of a release to come"
    await publish_bundles(settings, [value], headers=[("schema_version", b"9")])
    with running_processor(settings), running_sink(settings, "postgres"):
        await until_equal(settings, LETTERS, 1)
        await redrive_letters(settings, LetterFilter(reason="unknown_schema_version"), now())
        records = await read_until(settings, (REQUESTS,), lambda records: len(records) == 2)
        await until_equal(settings, LETTERS, 2)  # it stands at another offset now, and still can't be read
    assert [(r.value, r.partition, list(r.headers)) for r in records] == [(value, 0, [("schema_version", b"9")])] * 2
    rows = await letters(settings, "state, tenant_id, record_version")
    assert sorted(tuple(row) for row in rows) == [("dead", None, "9"), ("redriven", None, "9")]


async def test_a_reused_key_cannot_be_redriven(settings: Settings) -> None:
    request_id = uuid.uuid4()
    with running_sink(settings, "postgres"):
        await publish_requests(settings, analysed_request(["first"], request_id))
        await publish_requests(settings, analysed_request(["other"], request_id, body_hash=b"o" * 16))
        await until_equal(settings, LETTERS, 1)
    assert await redrive_letters(settings, LetterFilter(), now()) == RedriveTotals(0, 0, 1)
    assert [row["state"] for row in await letters(settings, "state")] == ["dead"]


REDRIVE = """
import asyncio, os
from datetime import UTC, datetime
from mockupaws.runtime.failpoints import enable_failpoints
from mockupaws.runtime.settings import Settings
from mockupaws.sinks.dead_letters.redrive_letters import LetterFilter, redrive_letters
settings = Settings.from_environ(os.environ)
enable_failpoints(settings.failpoints)
asyncio.run(redrive_letters(settings, LetterFilter(), datetime.now(UTC)))
"""


@pytest.mark.parametrize("point", ["redrive.before_publish", "redrive.after_publish"])
async def test_a_redrive_that_is_killed_is_taken_up_by_the_next(settings: Settings, tmp_path: Path, point: str) -> None:
    requests = [request_of(Entry("a"), Entry("b")) for _ in range(3)]
    folder = tmp_path / "failpoints"
    folder.mkdir()
    (folder / point).write_text("kill")
    environ = {**os.environ, **dataclasses.replace(settings, failpoints=str(folder)).to_environ()}
    with running_pipeline(settings):
        for request in requests:
            await dead_letter(settings, request, [0, 1])
        await until_equal(settings, LETTERS, 3)
        command = [sys.executable, "-c", REDRIVE]
        killed = await asyncio.to_thread(subprocess.run, command, env=environ, check=False, timeout=60)
        assert killed.returncode == -signal.SIGKILL
        assert {row["state"] for row in await letters(settings, "state")} == {"redriving"}
        assert await redrive_letters(settings, LetterFilter(), now()) == RedriveTotals(3, 6, 0)
        await until_equal(settings, ROWS, 6)
        await until_equal(settings, ARCHIVED, 6)
        await until_equal(settings, UNBALANCED, 0)
        assert [await receipt(settings, request) for request in requests] == [(2, 2, 0)] * 3
        # repeats that were still on their way change nothing
        last = request_of(Entry("last"))
        await publish_bundles(settings, [join_bundle([encode_request(last)])])
        await until_equal(settings, ROWS, 7)
        assert [await receipt(settings, request) for request in requests] == [(2, 2, 0)] * 3
        assert {row["state"] for row in await letters(settings, "state")} == {"redriven"}


@pytest.mark.parametrize("reason", ["analysis_failed", "too_large"])
async def test_filters_choose(settings: Settings, reason: Reason) -> None:
    with running_sink(settings, "postgres"):
        await dead_letter(settings, request_of(Entry("a")), [0])
        await dead_letter(settings, request_of(Entry("b")), [0], reason="too_large")
        await until_equal(settings, LETTERS, 2)
    await redrive_letters(settings, LetterFilter(reason=reason, tenant_id=TENANT, scenario_id=SCENARIO), now())
    rows = await letters(settings, "reason, state")
    assert {row["reason"]: row["state"] for row in rows} == {
        "analysis_failed": "dead", "too_large": "dead", reason: "redriven"
    }  # fmt: skip
