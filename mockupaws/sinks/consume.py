"""The one loop all sinks share: from Kafka to a store that keeps the offsets itself.

Delivery order:
1. On assignment each partition is paused until its next offset is known (`positions`). Records of a partition without
   a position are dropped.
2. Records are fetched and decoded into a batch while the batch before is being written; never more than these two.
   Once all there was is read, the sink rests a moment (`BatchLimits.rest_seconds`): a lone request is written at once,
   and dense traffic in few, large transactions. A sink that is behind never rests.
3. The sink writes a batch in one transaction, which first moves the offsets by compare-and-set.
   - retriable error: back off and write the same batch again;
   - dead-letter limit reached: hold with this batch, alive and not ready, until the process is stopped;
   - conflict: read the offsets again. They stand at the batch's end: the earlier COMMIT in doubt did succeed, go on.
     Anything else: another sink owns the partition, or the database went back in time: drop all, begin at 1.
4. The group's commit in Kafka follows, and is advisory: for lag dashboards only, nothing ever reads it.

What can't be continued stops the process with a message: offsets outside the log (never reset in silence), a topic
made anew, no progress for 30 s though there is lag, no positions for 60 s though Kafka and Postgres answer. The
supervisor starts it again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Generic

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from mockupaws.runtime.clock import Clock
from mockupaws.runtime.dead_letter_limit import DeadLetterLimitError
from mockupaws.runtime.errors import PermanentError, RetriableError
from mockupaws.runtime.health import HealthReport
from mockupaws.runtime.kafka import topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import DEAD_LETTER_HOLD, SINK_RETRIES, get_logger
from mockupaws.schemas.topics import Topic
from mockupaws.sinks.batch import Batch, BatchLimits, ItemT, Sink, SourceRecord
from mockupaws.sinks.offsets import OffsetConflictError, read_offsets
from mockupaws.sinks.positions import Positions
from mockupaws.sinks.progress import Progress
from mockupaws.sinks.watchdog import OffsetsLostError, Watchdog, digest_of

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Pool

ATTEMPT_SECONDS = 60.0
"""Limit of one attempt to write a batch."""
STOP_SECONDS = 8.0
"""How long a stop waits for the running transaction, and then for the consumer, before it goes without them."""
METADATA_SECONDS = 10
"""How often topics are looked for: one that was missing at the start (being made anew) is read within this time."""
_FETCH_MS = 500
_LONG_POLL_MS = 500
"""How long the broker may hold a fetch while there is nothing to read; a record ends it at once."""
_FETCH_RECORDS = 16
"""Records decompressed at a time: a batch outgrows its limits by no more than these."""
_BACKOFF_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
_DAY_MS = 24 * 3600 * 1000

Fetched = dict[TopicPartition, list[SourceRecord]]

log = get_logger(__name__)


class Consumption(Generic[ItemT]):
    """One sink process reading `topics`, from `run` until it stops or fails."""

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        sink: Sink[ItemT],
        topics: Sequence[Topic],
        limits: BatchLimits,
        clock: Clock,
        beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
    ) -> None:
        """`beside`: what runs as long as the sink does; an error it raises ends the sink."""
        self._beside = beside
        self._settings = settings
        self._pool = pool
        self._sink = sink
        self._topics = [topic_name(settings, topic) for topic in topics]
        self._limits = limits
        self._clock = clock
        self._consumer: Any = None
        self._rests_until = 0.0
        self._progress = Progress(active_at=time.monotonic())
        self._positions = Positions(settings, pool, sink.name, self._progress)
        self._watchdog = Watchdog(settings, sink.name, self._topics, self._progress, clock)

    def report(self) -> HealthReport:
        """For the health server, from its thread."""
        progress = self._progress
        detail = {"retrying": progress.retrying} if progress.retrying else {}
        if progress.held:
            detail["held"] = f"{progress.held}; see docs/runbooks, then start the sink again"
        if not progress.settled:
            detail["assignment"] = "waiting for partitions and their offsets"
        return HealthReport(
            ready=not detail and not progress.is_stuck(time.monotonic()),
            lag_seconds=progress.lag_seconds(self._clock.now_us() // 1000),
            detail=detail,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Consumes until `stop` is set. Raises PermanentError on what a restart or an operator has to look at."""
        settings = self._settings
        ids = await self._watchdog.begin()
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.kafka_bootstrap_servers,
            client_id=f"{self._sink.name}-sink-{settings.sink_instance}",
            group_id=group_of(settings, self._sink.name),
            # A static member gets its old assignment back, in which a topic made anew since would be nobody's.
            group_instance_id=f"{self._sink.name}-sink-{settings.sink_instance}-{digest_of(ids)}",
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_min_bytes=1,
            fetch_max_wait_ms=_LONG_POLL_MS,
            max_partition_fetch_bytes=settings.sink_fetch_partition_bytes,
            metadata_max_age_ms=METADATA_SECONDS * 1000,
            max_poll_interval_ms=_DAY_MS,  # a long outage of the store must not cost the membership; the watchdog looks
        )
        self._positions.consumer = self._consumer
        self._consumer.subscribe(self._topics, listener=self._positions)
        try:
            await self._consumer.start()
            running = [
                self._loop(stop),
                self._watchdog.run(self._commit_to_group),
                *(start() for start in self._beside),
            ]
            tasks = [asyncio.create_task(coroutine) for coroutine in running]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        except KafkaError as error:
            raise RetriableError(f"Kafka doesn't serve this sink ({error!r}); starting again") from error
        finally:
            await _within(STOP_SECONDS, self._consumer.stop())

    # The loop

    async def _loop(self, stop: asyncio.Event) -> None:
        stopping = asyncio.create_task(stop.wait())
        fetching: asyncio.Task[Any] | None = None
        writing: asyncio.Task[None] | None = None
        batch: Batch[ItemT] = Batch(self._positions.generation, self._limits)
        failures = 0
        try:
            while not stop.is_set():
                try:
                    await self._positions.settle()
                    failures = 0
                except Exception as error:
                    self._note_failure(error)
                    await self._back_off(failures, stop)
                    failures += 1
                    continue
                now = time.monotonic()
                if batch.generation != self._positions.generation:
                    batch = Batch(self._positions.generation, self._limits)
                if writing is None and batch.is_due(now):
                    writing = asyncio.create_task(self._write(batch, stop))
                    batch = Batch(self._positions.generation, self._limits)
                if fetching is None and not batch.is_full():
                    fetching = asyncio.create_task(self._fetch())
                await asyncio.wait(
                    {task for task in (stopping, fetching, writing) if task is not None},
                    timeout=batch.seconds_until_due(now) if writing is None else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if writing is not None and writing.done():
                    await writing
                    writing = None
                if fetching is not None and fetching.done():
                    for fetched in fetching.result():
                        self._take(fetched, batch)
                    fetching = None
                    while not batch.is_full() and (more := await self._get_more()):
                        self._take(more, batch)  # fetched already: costs no waiting, and makes transactions larger
                    if self._positions.at_the_end():
                        self._rests_until = time.monotonic() + self._limits.rest_seconds
        finally:
            for task in (stopping, fetching):
                if task is not None:
                    task.cancel()
            if writing is not None:
                await _within(STOP_SECONDS, writing)
            await _within(STOP_SECONDS, self._commit_to_group())

    async def _fetch(self) -> list[Fetched]:
        """The first records that come after a rest; nothing where none do for a while.

        Partitions are paused from when all that was fetched is taken until the next time this waits. Else aiokafka
        would fetch on, a few records at a time, and partitions without records would hold up those with.
        """
        await asyncio.sleep(max(0.0, self._rests_until - time.monotonic()))
        self._positions.listen()
        first = await self._get(_FETCH_MS)
        return [first, await self._get_more()] if first else []

    async def _get_more(self) -> Fetched:
        """What else was fetched; where that is nothing it pauses at once, before aiokafka gets to run."""
        more = await self._get(0)
        if not more:
            self._positions.pause()
        return more

    async def _get(self, timeout_ms: int) -> Fetched:
        try:
            fetched: Fetched = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=_FETCH_RECORDS)
        except OffsetOutOfRangeError as error:
            raise OffsetsLostError(f"offsets left the log while it was read (retention?): {error.args}") from error
        return fetched

    def _take(self, fetched: Fetched, batch: Batch[ItemT]) -> None:
        """Decodes what was fetched into `batch`; only records that stand at or after their partition's position."""
        now = time.monotonic()
        for partition, records in fetched.items():
            for record in records:
                position = self._positions.next.get(partition)
                if position is None or record.offset < position or batch.generation != self._positions.generation:
                    continue
                if batch.begins(record):
                    self._progress.note_read(partition, record.offset, record.timestamp)
                item = self._sink.decode(record)
                batch.add(item, record, self._positions.topic_ids[partition.topic], position, now)
                self._positions.next[partition] = record.offset + 1
        if fetched:
            self._progress.touch(time.monotonic())

    async def _write(self, batch: Batch[ItemT], stop: asyncio.Event) -> None:
        attempt = 0
        async with self._positions.writing:
            while batch.generation == self._positions.generation and not (attempt and stop.is_set()):
                self._progress.touch(time.monotonic(), writing=True)
                try:
                    async with asyncio.timeout(ATTEMPT_SECONDS):
                        written = await self._write_once(batch)
                except DeadLetterLimitError as reached:
                    await self._hold(str(reached), stop)
                    return
                except Exception as error:
                    self._note_failure(error)
                    await self._back_off(attempt, stop)
                    attempt += 1
                    continue
                finally:
                    self._progress.touch(time.monotonic(), writing=False)
                self._progress.retrying = None
                if written:
                    self._note_written(batch)
                else:
                    log.warning("offsets_conflicted", sink=self._sink.name)
                    self._positions.forget()
                return

    async def _hold(self, why: str, stop: asyncio.Event) -> None:
        """Until the process is told to stop: one that exits would write as many letters again at each start."""
        self._progress.held = why
        DEAD_LETTER_HOLD.labels(self._sink.name).set(1)
        log.error("held_at_dead_letter_limit", sink=self._sink.name, why=why)
        await stop.wait()

    async def _write_once(self, batch: Batch[ItemT]) -> bool:
        """Whether the batch stands in the store; False: the offsets are elsewhere."""
        try:
            await self._sink.write(batch.items, batch.ranges)
        except OffsetConflictError:
            offsets = await read_offsets(self._pool, self._sink.name, batch.ranges)
            return all(offsets.get((r.topic_id, r.partition)) == r.end for r in batch.ranges)
        return True

    def _note_written(self, batch: Batch[ItemT]) -> None:
        for r in batch.ranges:
            self._progress.note_stored(TopicPartition(r.topic, r.partition), r.end)

    def _note_failure(self, error: Exception) -> None:
        """Raises what trying again can't mend."""
        # OSError covers refused connections, KafkaError an unreachable broker: both say nothing against the batch.
        if isinstance(error, PermanentError) or not (
            isinstance(error, (RetriableError, KafkaError, OSError, TimeoutError)) or self._sink.is_retriable(error)
        ):
            raise error
        if not isinstance(error, KafkaError):  # a consumer that gets nothing done isn't busy with its store
            self._progress.touch(time.monotonic())
        reason = type(error).__name__
        SINK_RETRIES.labels(self._sink.name, reason).inc()
        if self._progress.retrying != reason:
            log.warning("retrying", sink=self._sink.name, error=reason, message=str(error)[:300])
        self._progress.retrying = reason

    async def _back_off(self, attempt: int, stop: asyncio.Event) -> None:
        ceiling = _BACKOFF_SECONDS[min(attempt, len(_BACKOFF_SECONDS) - 1)]
        await _within(ceiling * random.uniform(0.5, 1.0), stop.wait())  # noqa: S311 - spreads retries, hides nothing

    async def _commit_to_group(self) -> None:
        if self._progress.committed:
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._consumer.commit(dict(self._progress.committed))
            except (KafkaError, TimeoutError) as error:
                log.debug("group_commit_failed", error=type(error).__name__)


def group_of(settings: Settings, sink: str) -> str:
    """The consumer group of a sink."""
    return f"{settings.kafka_topic_prefix}{sink}-sink"


async def _within(seconds: float, awaitable: Any) -> bool:
    """Whether it ended in time; if not it is cancelled."""
    try:
        await asyncio.wait_for(awaitable, seconds)
    except (TimeoutError, asyncio.CancelledError):
        return False
    return True
