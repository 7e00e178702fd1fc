"""Sends dead letters on again: from the table `dead_letters` to the topic each came from.

Order of one batch:
1. one transaction: the letters are marked `redriving`, and their lines taken out of the receipts
2. published, and acknowledged by the brokers
3. marked `redriven`, unless they have failed again by now
A crash between leaves them `redriving`: the next redrive sends them again, and sinks drop what they have applied
(idempotency key: the request, or the part of it). What fails again comes back as the same letter, counted again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from mockupaws.runtime.errors import PermanentError, RetriableError
from mockupaws.runtime.failpoints import hit
from mockupaws.runtime.kafka import abandon_producer, start_producer, topic_name
from mockupaws.runtime.postgres import is_retriable, load_queries, open_pool
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.topics import TOPICS
from mockupaws.sinks.dead_letters.redrive import UNREDRIVABLE, Redrive, batches, lines_by_request, record_of

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Pool

_QUERIES = load_queries("mockupaws.sinks.dead_letters", "queries.sql")
_PAGE_LETTERS = 500
_BATCH_LETTERS = 100
_BATCH_BYTES = 8 * 1024 * 1024
_ACK_SECONDS = 30.0
_START = (datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))


class RedriveError(RetriableError):
    """Kafka or Postgres stopped answering; what is on its way stays marked, and the next redrive takes it up."""


class UnknownTopicError(PermanentError):
    """A letter came from a topic that isn't this installation's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """All conditions hold together; None: any."""

    tenant_id: UUID | None = None
    scenario_id: UUID | None = None
    reason: str | None = None
    step: str | None = None
    since: datetime | None = None
    ids: Sequence[UUID] | None = None


@dataclass(frozen=True, slots=True)
class RedriveTotals:
    letters: int = 0
    lines: int = 0
    unredrivable: int = 0
    """Letters no repeat can help (UNREDRIVABLE)."""


class _Chosen(NamedTuple):
    id: UUID
    occurred_at: datetime
    reason: str
    lines: int
    size_bytes: int


async def redrive_letters(
    settings: Settings,
    wanted: LetterFilter,
    now: datetime,
    *,
    dry_run: bool = False,
    lines_per_second: float | None = None,
    on_progress: Callable[[RedriveTotals], None] = lambda totals: None,
) -> RedriveTotals:
    """Sends on the letters of `wanted` that failed until `now`. A dry run only counts them.

    Two at once do no harm. Raises RedriveError, UnknownTopicError.
    """
    try:
        async with AsyncExitStack() as stack:
            pool = await open_pool(
                settings.postgres_sink_url, settings, max_size=1, application_name="mockupaws-redrive"
            )
            stack.callback(pool.terminate)
            producer = None
            if not dry_run:
                producer = await start_producer(settings, "redrive")
                stack.push_async_callback(abandon_producer, producer)
            return await _Run(settings, pool, producer, lines_per_second, on_progress).run(wanted, now)
    except (KafkaError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if isinstance(error, asyncpg.PostgresError) and not is_retriable(error):
            raise
        raise RedriveError(f"the redrive broke off ({type(error).__name__}): run the same command again") from error


class _Run:
    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        producer: AIOKafkaProducer | None,
        lines_per_second: float | None,
        on_progress: Callable[[RedriveTotals], None],
    ) -> None:
        self._pool = pool
        self._producer = producer
        self._lines_per_second = lines_per_second
        self._on_progress = on_progress
        self._topics = {topic_name(settings, topic) for topic in TOPICS}
        self._totals = RedriveTotals()
        self._started = time.monotonic()

    async def run(self, wanted: LetterFilter, now: datetime) -> RedriveTotals:
        async for page in self._pages(wanted, now):
            able = [letter for letter in page if letter.reason not in UNREDRIVABLE]
            self._add(unredrivable=len(page) - len(able))
            for batch in batches(able, _BATCH_LETTERS, _BATCH_BYTES):
                if self._producer is not None:
                    await self._wait_for_turn(sum(letter.lines for letter in batch))
                    await self._redrive(self._producer, [letter.id for letter in batch])
                self._add(letters=len(batch), lines=sum(letter.lines for letter in batch))
        return self._totals

    async def _pages(self, wanted: LetterFilter, now: datetime) -> AsyncIterator[list[_Chosen]]:
        position = _START
        conditions = (wanted.tenant_id, wanted.scenario_id, wanted.reason, wanted.step, wanted.since, wanted.ids)
        while True:
            rows = await self._pool.fetch(_QUERIES["next_letters"], *conditions, now, *position, _PAGE_LETTERS)
            if not rows:
                return
            page = [_Chosen(**row) for row in rows]
            position = (page[-1].occurred_at, page[-1].id)
            yield page

    async def _redrive(self, producer: AIOKafkaProducer, ids: list[UUID]) -> None:
        letters = await self._begin(ids)
        hit("redrive.before_publish")
        async with asyncio.timeout(_ACK_SECONDS):
            sent = [await _send(producer, record_of(letter)) for letter in letters]
            await asyncio.gather(*sent)
        hit("redrive.after_publish")
        attempts = [letter.attempts for letter in letters]
        await self._pool.execute(_QUERIES["end_redrive"], [letter.id for letter in letters], attempts)

    async def _begin(self, ids: list[UUID]) -> list[_Marked]:
        async with self._pool.acquire() as connection, connection.transaction():
            letters = [_Marked(**row) for row in await connection.fetch(_QUERIES["begin_redrive"], ids)]
            for letter in letters:
                if letter.topic not in self._topics:
                    raise UnknownTopicError(
                        f"letter {letter.id} came from the topic {letter.topic}, which isn't one of this "
                        "installation's: check MOCKUPAWS_KAFKA_TOPIC_PREFIX"
                    )
            counted = [(letter.request_id, letter.entry_indexes) for letter in letters if letter.was == "dead"]
            lines = lines_by_request(counted)
            await connection.execute(_QUERIES["uncount_lines"], list(lines), list(lines.values()))
        return letters

    async def _wait_for_turn(self, lines: int) -> None:
        if self._lines_per_second:
            due = self._started + (self._totals.lines + lines) / self._lines_per_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def _add(self, **more: int) -> None:
        totals = {name: getattr(self._totals, name) + count for name, count in more.items()}
        self._totals = replace(self._totals, **totals)
        self._on_progress(self._totals)


class _Marked(NamedTuple):
    """A letter on its way, with the state it had before."""

    id: UUID
    request_id: UUID | None
    reason: str
    step: str
    topic: str
    partition: int
    record_version: str | None
    original: bytes
    entry_indexes: list[int]
    attempts: int
    was: str


async def _send(producer: AIOKafkaProducer, record: Redrive) -> Any:
    return await producer.send(record.topic, record.value, partition=record.partition, headers=list(record.headers))
