"""Watches a sink from beside its loop: lag, topics made anew, and a consumer that stands still.

It asks the brokers over a connection of its own: a consumer that is stuck (aiokafka #1154) would answer for itself as
little as it reads.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from mockupaws.runtime.clock import Clock
from mockupaws.runtime.errors import PermanentError, RetriableError
from mockupaws.runtime.kafka import REQUEST_SECONDS, topic_ids
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import SINK_LAG_MESSAGES, SINK_LAG_SECONDS
from mockupaws.sinks.progress import STUCK_AFTER_SECONDS, Progress

WATCH_SECONDS = 2.0
TOPICS_EVERY = 5
"""Checks after which the topics' ids are looked up again: over a connection of their own, dearer than all the rest."""
CHECK_SECONDS = 15.0
"""Limit of one check."""
_PROBE_BYTES = 64 * 1024
"""A broker answers with one record at least, however large."""


class OffsetsLostError(PermanentError):
    """The offset to go on from isn't in the log: records expired before they were stored, or the log is another one."""


class StuckError(PermanentError):
    """There is lag, and nothing has moved."""


class Watchdog:
    """Of the sink with this name, which reads `topics`."""

    def __init__(self, settings: Settings, sink: str, topics: Sequence[str], progress: Progress, clock: Clock) -> None:
        self._settings = settings
        self._sink = sink
        self._topics = topics
        self._progress = progress
        self._ids: dict[str, UUID] = {}
        self._clock = clock
        self._probe: AIOKafkaConsumer | None = None
        self._seen: dict[TopicPartition, int] = {}

    async def begin(self) -> dict[str, UUID]:
        """Notes which of its topics there are, before anything is read. Raises KafkaUnreachableError."""
        self._ids = self._own(await topic_ids(self._settings))
        return self._ids

    async def run(self, after_check: Callable[[], Awaitable[None]]) -> None:
        """Until it is cancelled. Raises OffsetsLostError or StuckError.

        Calls `after_check` each time the brokers have answered.
        """
        known = self._ids
        try:
            for number in itertools.count():
                await asyncio.sleep(WATCH_SECONDS)
                try:
                    async with asyncio.timeout(CHECK_SECONDS):
                        if number % TOPICS_EVERY == 0:
                            known = self._own(await topic_ids(self._settings))
                        await self._measure_lag()
                except (KafkaError, RetriableError, TimeoutError, OSError):
                    await self._close()
                    continue  # the brokers are away: nothing to be stuck on
                self._judge(known)
                await after_check()
        finally:
            await self._close()

    def _judge(self, known: dict[str, UUID]) -> None:
        if known != self._ids:  # the consumer itself would miss a topic made anew for minutes
            raise OffsetsLostError("a topic was deleted or made anew while it was read; starting again")
        if self._progress.is_stuck(time.monotonic()):
            raise StuckError(
                f"{self._progress.lag_messages} records wait, and none moved for {STUCK_AFTER_SECONDS:.0f} s; "
                "starting again"
            )

    def _own(self, ids: dict[str, UUID]) -> dict[str, UUID]:
        return {topic: topic_id for topic, topic_id in ids.items() if topic in self._topics}

    async def _measure_lag(self) -> None:
        progress = self._progress
        committed = dict(progress.committed)
        if not committed:
            return
        probe = await self._open()
        ends = await probe.end_offsets(list(committed))
        behind = {partition for partition, offset in committed.items() if ends[partition] > offset}
        for partition in behind:
            offset = committed[partition]
            if progress.oldest_ms(partition) is None and self._seen.get(partition) == offset:
                timestamp = await timestamp_at(probe, partition, offset)
                if timestamp is not None:
                    progress.waiting[partition] = (offset, timestamp)
        self._seen = committed
        progress.lag_messages = sum(ends[partition] - committed[partition] for partition in behind)
        SINK_LAG_MESSAGES.labels(self._sink).set(progress.lag_messages)
        SINK_LAG_SECONDS.labels(self._sink).set(progress.lag_seconds(self._clock.now_us() // 1000) or 0.0)

    async def _open(self) -> AIOKafkaConsumer:
        if self._probe is None:
            self._probe = open_probe(self._settings, f"{self._sink}-watchdog")
            await self._probe.start()
        return self._probe

    async def _close(self) -> None:
        if self._probe is not None:
            probe, self._probe = self._probe, None
            try:
                await asyncio.wait_for(probe.stop(), CHECK_SECONDS)
            except (KafkaError, TimeoutError):
                return


def digest_of(ids: dict[str, UUID]) -> str:
    """A few characters that differ where one of the topics does."""
    return hashlib.blake2b(b"".join(topic_id.bytes for _, topic_id in sorted(ids.items())), digest_size=4).hexdigest()


def open_probe(settings: Settings, client_id: str) -> AIOKafkaConsumer:
    """A consumer of no group, to ask for offsets and single records; not started."""
    return AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        client_id=client_id,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=_PROBE_BYTES,
        request_timeout_ms=REQUEST_SECONDS * 1000,
    )


async def timestamp_at(probe: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> int | None:
    """Time (epoch ms) of the first record at or after `offset`; None where none comes soon. Raises KafkaError."""
    probe.assign([partition])
    probe.seek(partition, offset)
    fetched = await probe.getmany(partition, timeout_ms=2000, max_records=1)
    return next((records[0].timestamp for records in fetched.values()), None)


def check_in_log(partition: TopicPartition, offset: int, start: int, end: int) -> None:
    """Raises OffsetsLostError where the next offset to store isn't in the log from `start` to `end`."""
    if offset < start:
        raise OffsetsLostError(
            f"{partition.topic}-{partition.partition}: offset {offset} is the next to store, but the log begins at "
            f"{start}: {start - offset} records expired unstored. Raise the topic's retention, and replay them from "
            "ingest.requests (mockupaws replay) once the offset was moved by hand (docs/runbooks)"
        )
    if offset > end:
        raise OffsetsLostError(
            f"{partition.topic}-{partition.partition}: offset {offset} is the next to store, but the log ends at "
            f"{end}: this isn't the log that was stored, or brokers lost acknowledged records"
        )
