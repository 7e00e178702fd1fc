"""Searches find what a plain look at each line finds, whatever stands in blocks, is late, or comes between pages."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from mockupaws.api import logs, search_blocks
from mockupaws.api.cursor import Position
from mockupaws.api.logs import LogQuery, fetch_page
from mockupaws.api.search_blocks import EARLIEST, LATEST, Span, plan_search, wanted_of
from mockupaws.archive import cut_text_blocks, filter_texts, plan_text_blocks
from mockupaws.archive.cut_text_blocks import TextBlock
from mockupaws.archive.filter_texts import TextFiltering
from mockupaws.archive.plan_text_blocks import Minutes
from mockupaws.runtime.postgres import Connection, Pool, load_queries, open_pool, tenant_transaction
from mockupaws.runtime.settings import Settings
from tests.conftest import Demo

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)  # noqa: TID251 - there are partitions
FIRST = TODAY - timedelta(days=3)
"""Three days of lines."""
STORE = """
    WITH lines AS (
        SELECT * FROM unnest($3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::jsonb[])
            AS line (id, received_at, message, source, attributes)
    ), stored AS (
        INSERT INTO scenario_logs (tenant_id, scenario_id, id, received_at, message_preview, source, attributes, level,
                                   message_hash, size_bytes, has_pii, pii_types, token_count, sqs_blocks)
        SELECT $1, $2, id, received_at, message, source, attributes, 'info', 'x', 1, false, '{}', 1, 1 FROM lines
    ), hours AS (
        INSERT INTO scenario_hours AS h (tenant_id, scenario_id, hour, changes)
        SELECT DISTINCT $1::uuid, $2::uuid, date_trunc('hour', received_at, 'UTC'), 1 FROM lines
        ON CONFLICT (scenario_id, hour) DO UPDATE SET changes = h.changes + 1
    )
    INSERT INTO scenario_metrics AS m (tenant_id, scenario_id, "timestamp", metric_type, metric_name, value, unit)
    SELECT $1, $2, date_trunc('minute', received_at, 'UTC'), 'ingest', 'entries', count(*), 'entries'
    FROM lines GROUP BY 3
    ON CONFLICT (scenario_id, "timestamp", metric_type, metric_name) DO UPDATE SET value = m.value + EXCLUDED.value
"""
"""Lines with their rollups and the changes of their hours, in one transaction, as the sink does it."""
WORDS = [
    "order",
    "Payment",
    "retry",
    "GET",
    "id=7f3a9c",
    "id=0b81de",
    "été",
    "\u212aelvin",
    "200",
    "[EMAIL:h:0123456789abcdef]",
]
RARE = ["Quarantine", "7f3a9c0b81de4455", "OOM", "10.11.12.13"]
QUERIES: list[LogQuery] = [
    LogQuery(q="quarantine"), LogQuery(q="3a9c0b81DE"), LogQuery(q="oom", order="asc"), LogQuery(q="11.12"),
    LogQuery(q="kelvin"), LogQuery(q="zebra"), LogQuery(q="order"), LogQuery(q="y"),
    LogQuery(q="retry Quar", order="asc"), LogQuery(attributes='{"request": "0b81de4455"}'),
    LogQuery(q="Quarantine", from_=FIRST + timedelta(hours=20, minutes=7)),
    LogQuery(q="quarantine", to=FIRST + timedelta(days=1, hours=3, seconds=1), order="asc"),
    LogQuery(q="oom", as_of=FIRST + timedelta(days=2)),
]  # fmt: skip


class Line:
    def __init__(self, chosen: random.Random, received_at: datetime) -> None:
        self.id = UUID(int=chosen.getrandbits(128))
        self.received_at = received_at
        words = [chosen.choice(RARE) if chosen.random() < 0.01 else chosen.choice(WORDS) for _ in range(5)]
        self.message = " ".join(words)
        self.source = "[EMAIL:h:fedcba9876543210]" if chosen.random() < 0.01 else "app"
        self.attributes = (
            {"request": "0b81de4455"} if chosen.random() < 0.02 else {"n": 1} if chosen.random() < 0.3 else None
        )

    def matches(self, query: LogQuery) -> bool:
        """By a plain look."""
        return (
            (query.q is None or query.q.lower() in self.message.replace("\u212a", "k").lower())
            and (query.attributes is None or json.loads(query.attributes) == self.attributes)
            and (query.from_ is None or self.received_at >= query.from_)
            and (query.to is None or self.received_at < query.to)
            and (query.as_of is None or self.received_at <= query.as_of)
        )


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    made = await open_pool(settings.postgres_api_url, settings, max_size=1)
    yield made
    made.terminate()


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    yield connection
    await connection.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few hundred lines have what millions have."""
    monkeypatch.setattr(plan_text_blocks, "BLOCK_LINES", 16)
    monkeypatch.setattr(cut_text_blocks, "BLOCK_LINES", 16)
    monkeypatch.setattr(filter_texts, "_LINES_AT_ONCE", 100)
    monkeypatch.setattr(filter_texts, "_READ_LINES", 40)
    monkeypatch.setattr(filter_texts, "SHARE", 1.0)
    monkeypatch.setattr(logs, "FIRST_LOOK", 5)
    monkeypatch.setattr(logs, "FILTERED_LOOK", 40)
    monkeypatch.setattr(search_blocks, "MAX_BLOCKS", 7)


async def store(owner: asyncpg.Connection[asyncpg.Record], demo: Demo, lines: list[Line]) -> None:
    columns = [
        [getattr(line, name) for line in lines] for name in ("id", "received_at", "message", "source", "attributes")
    ]
    await owner.execute(STORE, demo.tenant_id, demo.scenario_id, *columns)


async def search(pool: Pool, demo: Demo, query: LogQuery, marks: list[str] | None = None) -> list[UUID]:
    """All pages, each of another snapshot."""
    found: list[UUID] = []
    position: Position | None = None
    for _ in range(2000):
        async with tenant_transaction(pool, demo.tenant_id, readonly=True, isolation="repeatable_read") as connection:
            page = await fetch_page(connection, demo.scenario_id, query, position, 4, marks)
        found += [row["id"] for row in page.rows]
        if page.end is not None:
            assert len(page.rows) < 4
            position = page.end
        elif len(page.rows) == 4:
            position = Position(page.rows[-1]["received_at"], page.rows[-1]["id"])
        else:
            return found
    raise AssertionError("the pages don't end")


async def assert_exact(pool: Pool, demo: Demo, lines: list[Line], queries: list[LogQuery]) -> None:
    for query in queries:
        expected = sorted((line for line in lines if line.matches(query)), key=lambda line: (line.received_at, line.id))
        ids = [line.id for line in expected]
        assert await search(pool, demo, query) == (ids if query.order == "asc" else ids[::-1]), query


@pytest.mark.parametrize("seed", [1, 2])
async def test_searches_are_exact_whatever_stands_in_blocks(
    settings: Settings, demo: Demo, owner: asyncpg.Connection[asyncpg.Record], pool: Pool, small: None, seed: int
) -> None:
    chosen = random.Random(seed)
    filtering = TextFiltering(settings)
    lines: list[Line] = []
    for _ in range(10):
        if chosen.random() < 0.6 or not lines:
            minute = FIRST + timedelta(minutes=chosen.randrange(3 * 1440))
            count = chosen.choice([1, 5, 60, 120])  # many at one instant, too: a request's lines
            at = [minute + timedelta(seconds=chosen.choice([0, 1, 1, chosen.randrange(600)])) for _ in range(count)]
            new = [Line(chosen, received_at) for received_at in at]
            await store(owner, demo, new)
            lines += new
        else:
            await filtering.run_once(FIRST + timedelta(hours=chosen.choice([30, 73, 96])))
        await assert_exact(pool, demo, lines, chosen.sample(QUERIES, 4))
    await filtering.run_once(FIRST + timedelta(days=5))
    assert await filtering.run_once(FIRST + timedelta(days=6)) == filter_texts.Filtered()  # all stands in blocks
    await assert_exact(pool, demo, lines, QUERIES)
    for mark in ("[EMAIL:h:0123456789abcdef]", "[EMAIL:h:fedcba9876543210]"):
        expected = {line.id for line in lines if mark in line.message or line.source == mark}
        assert set(await search(pool, demo, LogQuery(), [mark, "[IPV4:h:0000000000000000]"])) == expected

    # With all days in blocks, a text that is nowhere costs no look at a line, and a rare one few.
    async with tenant_transaction(pool, demo.tenant_id, readonly=True, isolation="repeatable_read") as connection:
        missing, rare = wanted_of("zebrafish", None, None), wanted_of("7f3a9c0b81de4455", None, None)
        assert missing is not None
        assert rare is not None
        search_blocks.MAX_BLOCKS = 10_000
        window = Span(EARLIEST, LATEST)
        nowhere = await plan_search(connection, demo.scenario_id, missing, window, newest_first=True)
        days = {line.received_at.date() for line in lines}
        covered = sum((span.until - span.since for span in nowhere.spans), timedelta())
        assert LATEST - EARLIEST - covered >= timedelta(days=len(days))
        few = await plan_search(connection, demo.scenario_id, rare, window, newest_first=True)
        holders = [line for line in lines if "7f3a9c0b81de4455" in line.message]
        assert all(any(s.since <= line.received_at < s.until for s in few.spans) for line in holders)


async def test_what_is_still_coming_is_left_and_what_was_erased_is_forgotten(
    settings: Settings, demo: Demo, owner: asyncpg.Connection[asyncpg.Record], pool: Pool, small: None
) -> None:
    chosen = random.Random(3)
    now = FIRST + timedelta(hours=12)
    lines = [Line(chosen, now - timedelta(seconds=n)) for n in range(300)]
    await store(owner, demo, lines)
    filtering = TextFiltering(settings)
    assert (await filtering.run_once(now)).blocks == 0  # any of these minutes may get lines still
    late = [Line(chosen, lines[0].received_at)]
    await store(owner, demo, late)
    first = await filtering.run_once(now)
    assert 0 < first.lines < 301  # not the minute that got one since the last look
    await assert_exact(pool, demo, lines + late, QUERIES)
    await filtering.run_once(now)
    assert (await filtering.run_once(now)) == filter_texts.Filtered()  # nothing came: nothing to do

    # A line too long to be read whole: its block may hold anything.
    long = Line(chosen, FIRST)
    long.attributes = {"request": "x" * 5000 + "quarantined-at-the-end"}
    await store(owner, demo, [long])
    later = FIRST + timedelta(days=4)
    assert await filtering.run_once(later, since=FIRST + timedelta(days=1)) == filter_texts.Filtered()  # not asked for
    assert (await filtering.run_once(later)).lines > 0
    asked = LogQuery(attributes=json.dumps(long.attributes))
    assert await search(pool, demo, asked) == [long.id]

    # Two at once: one makes the blocks.
    async with owner.transaction():
        await owner.fetchval(load_queries("mockupaws.archive", "filter_texts.sql")["lock_text_blocks"])
        await store(owner, demo, [Line(chosen, FIRST)])
    assert await owner.fetchval("SELECT count(*) FROM scenario_text_blocks") > 0
    lifecycle = load_queries("mockupaws.archive", "lifecycle.sql")
    first_day = await owner.fetchval(lifecycle["first_day_of_lines"])
    await owner.execute(lifecycle["forget_text_blocks"], first_day)
    assert await owner.fetchval("SELECT count(*) FROM scenario_text_blocks") > 0  # their lines are there
    await owner.execute("UPDATE scenario_text_blocks SET since = since - interval '10 years'")
    await owner.execute("UPDATE scenario_text_days SET day = day - interval '10 years'")
    await owner.execute(lifecycle["forget_text_blocks"], first_day)
    assert await owner.fetchval("SELECT count(*) FROM scenario_text_blocks") == 0
    assert await owner.fetchval("SELECT count(*) FROM scenario_text_days") == 0


class Interrupted(TextFiltering):
    """Something happens between plan and blocks."""

    meanwhile: Callable[[], Awaitable[object]]

    async def _make_blocks(
        self, connection: Connection, day: filter_texts._Day, run: Sequence[Minutes]
    ) -> tuple[list[TextBlock], int]:
        made = await super()._make_blocks(connection, day, run)
        await self.meanwhile()
        return made


async def test_lines_and_blocks_that_come_while_blocks_are_made(
    settings: Settings, demo: Demo, owner: asyncpg.Connection[asyncpg.Record], pool: Pool, small: None
) -> None:
    chosen = random.Random(4)
    lines = [Line(chosen, FIRST + timedelta(minutes=n % 50)) for n in range(90)]
    await store(owner, demo, lines)
    now = FIRST + timedelta(days=4)
    interrupted = Interrupted(settings)

    async def come() -> None:
        late = [Line(chosen, FIRST + timedelta(minutes=chosen.randrange(60))) for _ in range(3)]
        await store(owner, demo, late)
        lines.extend(late)

    interrupted.meanwhile = come
    assert (await interrupted.run_once(now)).lines == 90
    await assert_exact(pool, demo, lines, QUERIES)  # blocks that lack a line are taken for what they are

    made_by_others = 0

    async def make_others() -> None:
        nonlocal made_by_others
        made_by_others += (await TextFiltering(settings).run_once(now)).blocks

    await come()
    interrupted.meanwhile = make_others
    assert (await interrupted.run_once(now)) == filter_texts.Filtered()  # they stand already
    assert made_by_others > 0
    await assert_exact(pool, demo, lines, QUERIES)
    assert (await TextFiltering(settings).run_once(now)) == filter_texts.Filtered()
