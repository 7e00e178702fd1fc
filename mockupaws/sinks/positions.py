"""Where each assigned partition goes on: read from Postgres, checked against the log, and only then resumed.

A partition without a known position is paused, and stands at an offset that is never read from. Every step has a limit
of its own, and is named where it fails. A sink that can't come by its positions though Kafka and Postgres answer others
is stuck in itself: it ends, and the supervisor starts another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import asyncpg
from aiokafka import ConsumerRebalanceListener, TopicPartition

from mockupaws.runtime.errors import PermanentError, RetriableError
from mockupaws.runtime.kafka import topic_ids
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import get_logger
from mockupaws.sinks.offsets import load_offsets
from mockupaws.sinks.progress import Progress
from mockupaws.sinks.watchdog import check_in_log

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Pool

REVOKE_SECONDS = 8.0
"""How long a rebalance waits for the running transaction."""
PROBE_SECONDS = 5.0

log = get_logger(__name__)
Result = TypeVar("Result")


class StepTimeoutError(RetriableError):
    """A step of settling took longer than its limit; the text names it."""


class UnsettledError(PermanentError):
    """No positions for too long, though Kafka and Postgres answer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds."""

    step: float = 10.0
    """Of each step of settling."""
    unsettled: float = 60.0
    """After which it is asked whether this sink alone can't reach what it needs."""


class Positions(ConsumerRebalanceListener):  # type: ignore[misc]
    """Of one sink's consumer; set `consumer` before it subscribes."""

    def __init__(
        self, settings: Settings, pool: Pool, sink: str, progress: Progress, limits: Limits = Limits()
    ) -> None:
        self.consumer: Any = None
        self.topic_ids: dict[str, UUID] = {}
        self.next: dict[TopicPartition, int] = {}
        """The next offset to read of each partition that is settled."""
        self.generation = 0
        """Counts up whenever positions are void; what was read under another one is dropped."""
        self.writing = asyncio.Lock()
        """To be held while a transaction runs."""
        self._settings = settings
        self._pool = pool
        self._sink = sink
        self._progress = progress
        self._limits = limits
        self._unsettled_since: float | None = None

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Lets the running transaction end, so that the next owner reads offsets that stand still."""
        try:
            async with asyncio.timeout(REVOKE_SECONDS), self.writing:
                pass
        except TimeoutError:
            log.warning("revoked_in_a_transaction", sink=self._sink)
        self.forget()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Only marks: aiokafka swallows what a listener raises, so the loop itself reads and seeks (`settle`)."""
        self.forget()

    def forget(self) -> None:
        """All positions are void until `settle` has read them again."""
        self.generation += 1
        self.next.clear()
        self._progress.forget()
        for partition in self.consumer.assignment():
            self.consumer.pause(partition)
            self.consumer.seek(partition, 0)  # a valid position, so that nobody asks the group for one

    def pause(self) -> None:
        """No more is fetched until `listen`."""
        self.consumer.pause(*self.consumer.assignment())

    def listen(self) -> None:
        """Fetching goes on, of the partitions that are settled."""
        self.consumer.resume(*(self.consumer.assignment() & self.next.keys()))

    def at_the_end(self) -> bool:
        """Whether all was read that stood in the logs at the last fetch of each partition."""
        settled = self.consumer.assignment() & self.next.keys()
        ends = {partition: self.consumer.highwater(partition) for partition in settled}
        return all(end is None or self.next[partition] >= end for partition, end in ends.items())

    async def settle(self) -> None:
        """Positions of the partitions that have none.

        Raises OffsetsLostError or UnsettledError, which end the sink; RetriableError or what Kafka and Postgres raised
        where it can be tried again.
        """
        missing = [partition for partition in self.consumer.assignment() if partition not in self.next]
        if not missing:
            self._progress.settled = bool(self.next)
            return
        try:
            await self._read(missing)
        except PermanentError:
            raise
        except Exception as error:
            await self._end_if_alone(error)
            raise
        self._unsettled_since = None

    async def _read(self, missing: list[TopicPartition]) -> None:
        generation = self.generation
        self.topic_ids = await self._step("topic ids", topic_ids(self._settings))
        gone = {partition.topic for partition in missing} - self.topic_ids.keys()
        if gone:
            raise RetriableError(f"{', '.join(sorted(gone))}: deleted; waiting until it is made again")
        starts = await self._step("begin of the log", self.consumer.beginning_offsets(missing))
        ends = await self._step("end of the log", self.consumer.end_offsets(missing))
        keys = {(self.topic_ids[tp.topic], tp.partition): (tp.topic, starts[tp]) for tp in missing}
        offsets = await self._step("offsets in Postgres", load_offsets(self._pool, self._sink, keys))
        if generation != self.generation:
            return
        for partition in missing:
            offset = offsets[self.topic_ids[partition.topic], partition.partition]
            check_in_log(partition, offset, starts[partition], ends[partition])
            self.consumer.seek(partition, offset)
            self.consumer.resume(partition)
            self.next[partition] = self._progress.committed[partition] = offset
        self._progress.settled = True
        self._progress.touch(time.monotonic())
        log.info("partitions_settled", sink=self._sink, partitions=len(missing))

    async def _end_if_alone(self, error: Exception) -> None:
        now = time.monotonic()
        if self._unsettled_since is None:
            self._unsettled_since = now
        if isinstance(error, StepTimeoutError):
            log.warning("settling_timed_out", sink=self._sink, step=str(error))
        if now - self._unsettled_since >= self._limits.unsettled and await _others_are_answered(self._settings):
            raise UnsettledError(
                f"no offsets to go on from for {now - self._unsettled_since:.0f} s, though Kafka and Postgres answer "
                f"(last: {type(error).__name__}: {str(error)[:200]}); starting again"
            ) from error

    async def _step(self, name: str, call: Awaitable[Result]) -> Result:
        try:
            async with asyncio.timeout(self._limits.step):
                return await call
        except TimeoutError as error:  # that of the call itself, or ours
            raise StepTimeoutError(f"{name}: no answer in time") from error


async def _others_are_answered(settings: Settings) -> bool:
    """By connections of their own, as another process would have them."""
    try:
        async with asyncio.timeout(2 * PROBE_SECONDS):
            await topic_ids(settings)
            connection = await asyncpg.connect(
                settings.postgres_sink_url, timeout=PROBE_SECONDS, command_timeout=PROBE_SECONDS, statement_cache_size=0
            )
            try:
                await connection.fetchval("SELECT 1")
            finally:
                await connection.close(timeout=PROBE_SECONDS)
    except (RetriableError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        return False
    return True
