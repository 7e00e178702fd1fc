"""Finds records of `ingest.requests` whose answers never reached the Postgres sink, and has them processed again.

Order of one look (every `CHECK_SECONDS`), for each partition:
1. The processors' commits are read, then the ends of the topics their answers are in, then from Postgres what is
   stored and what has arrived. `gaps.py` judges: late is not lost.
2. What is lost is counted and logged, read again from `ingest.requests` and published anew, acknowledged by the
   brokers.
3. The gap is marked as healed. A crash between 2 and 3 publishes once more; sinks drop repeats by request id.
What can't be read any more (expired), or keeps vanishing, is marked as lost: this alarm stays until an operator
clears it.

Of several sinks one acts, by an advisory lock that lasts for the transaction around 2 and 3.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING
from uuid import UUID

from aiokafka.errors import KafkaError

from mockupaws.runtime import postgres
from mockupaws.runtime.errors import RetriableError
from mockupaws.runtime.failpoints import hit
from mockupaws.runtime.health import HealthReport
from mockupaws.runtime.kafka import topic_name
from mockupaws.runtime.postgres import load_queries
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import SOURCE_HEALED, SOURCE_LOST, SOURCE_MISSING, get_logger
from mockupaws.schemas.topics import REQUESTS
from mockupaws.sinks.postgres.gaps import (
    Snapshot,
    SourcePartition,
    count,
    describe,
    is_ripe,
    losses_of,
    still_holds,
    take_snapshot,
)
from mockupaws.sinks.postgres.source_log import SourceLog, Topics, open_source_log, times_healed
from mockupaws.sinks.postgres.spans import Span, from_multirange, spans_of, subtract, to_multirange, union

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Connection, Pool

CHECK_SECONDS = 10.0
HEALING_ATTEMPTS = 3
"""How often a record is published anew before it counts as lost: something drops it each time."""
_QUERIES = load_queries("mockupaws.sinks.postgres", "detect_losses.sql")

log = get_logger(__name__)


class LossDetector:
    """Beside the sink of this name, in its process."""

    def __init__(self, settings: Settings, pool: Pool, sink: str) -> None:
        self._settings = settings
        self._pool = pool
        self._sink = sink
        self._topic = topic_name(settings, REQUESTS)
        self._snapshots: dict[tuple[UUID, int], Snapshot] = {}
        self._lost: dict[int, list[Span]] = {}
        self._failing: str | None = None

    async def run(self) -> None:
        """Until it is cancelled. Servers that are away are waited for."""
        while True:
            await asyncio.sleep(min(CHECK_SECONDS, self._settings.loss_detector_gap_seconds / 4))
            try:
                await self.check()
                self._failing = None
            except Exception as error:
                if not isinstance(error, (KafkaError, RetriableError)) and not postgres.is_retriable(error):
                    raise
                if self._failing is None:
                    log.warning("loss_detector_waits", error=type(error).__name__)
                self._failing = type(error).__name__

    def add_to(self, report: HealthReport) -> HealthReport:
        """The sink's report with this detector's alarm. Called from the health server's thread; reads only."""
        lost = {number: spans for number, spans in self._lost.items() if spans}
        if not lost:
            return report
        places = "; ".join(f"{self._topic}-{number}: {describe(spans)}" for number, spans in sorted(lost.items()))
        detail = report.detail | {"lost_source_records": f"{places} (docs/runbooks)"}
        return HealthReport(ready=False, lag_seconds=report.lag_seconds, detail=detail)

    async def check(self) -> None:
        """One look at all partitions."""
        async with open_source_log(self._settings) as source_log:
            topics = await source_log.look()
            if topics is None:
                return
            partitions = await self._load(topics)
            self._note_lost({number: partition.lost for number, partition in partitions.items()})
            losses = {n: self._judge((topics.requests_id, n), partition) for n, partition in partitions.items()}
            SOURCE_MISSING.set(sum(count(spans) for spans in losses.values()))
            for number, spans in losses.items():
                if spans and not await self._heal(source_log, topics.requests_id, number, spans):
                    del self._snapshots[topics.requests_id, number]

    async def _load(self, topics: Topics) -> dict[int, SourcePartition]:
        """Partitions that are watched, or of which nothing was ever stored."""
        async with self._pool.acquire() as connection:
            answers = {topic_id for ends in topics.answers_end.values() for topic_id in ends}
            stored_rows = await connection.fetch(_QUERIES["load_stored"], self._sink, list(answers))
            rows = await connection.fetch(_QUERIES["load_sources"], topics.requests_id)
        stored: dict[int, dict[UUID, int]] = {}
        for row in stored_rows:
            stored.setdefault(row["partition"], {})[row["topic_id"]] = row["next_offset"]
        watched = {row["partition"]: row for row in rows}
        partitions = {}
        for number, committed in topics.committed.items():
            answers_stored = stored.get(number, {})
            source = watched.get(number)
            if source is None and answers_stored.get(topics.analysed_id) != 0:
                continue  # stored by a release that told no topic ids; watched from the first that does
            partitions[number] = SourcePartition(
                first_offset=source["first_offset"] if source else 0,
                committed=committed,
                arrived=from_multirange(source["arrived"]) if source else [],
                lost=from_multirange(source["lost"]) if source else [],
                answers_end=topics.answers_end[number],
                answers_stored=answers_stored,
            )
        return partitions

    def _judge(self, key: tuple[UUID, int], partition: SourcePartition) -> list[Span]:
        """What is known to be lost now; the same again in the next look, until it is healed."""
        now = time.monotonic()
        snapshot = self._snapshots.get(key)
        if snapshot is not None and still_holds(snapshot, partition):
            if not is_ripe(snapshot, now, partition, self._settings.loss_detector_gap_seconds):
                return []
            losses = losses_of(snapshot, partition)
            if losses:
                return losses
        self._snapshots[key] = take_snapshot(now, partition)
        return []

    async def _heal(self, source_log: SourceLog, topic_id: UUID, number: int, losses: list[Span]) -> int:
        """How many are left for the next look: all where another sink is at it, or those beyond one step."""
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(_QUERIES["lock_detector"]):
                return count(losses)
            losses = subtract(losses, await self._known(connection, topic_id, number))
            if not losses:
                return 0
            log.error("source_records_missing", topic=self._topic, partition=number, offsets=describe(losses))
            reading = await source_log.read(number, losses)
            vanishing = [record for record in reading.records if times_healed(record) >= HEALING_ATTEMPTS]
            healing = [record for record in reading.records if times_healed(record) < HEALING_ATTEMPTS]
            await source_log.publish_anew(healing)
            hit("loss_detector.after_publish")
            lost = union(reading.gone, spans_of(record.offset for record in vanishing))
            healed = union(spans_of(record.offset for record in healing), reading.empty)
            await connection.execute(
                _QUERIES["settle_losses"],
                topic_id,
                number,
                to_multirange(healed),
                len(healing),
                to_multirange(lost),
            )
        SOURCE_HEALED.inc(len(healing))
        if healing:
            offsets = describe(spans_of(record.offset for record in healing))
            log.warning("source_records_published_anew", topic=self._topic, partition=number, offsets=offsets)
        if lost:
            self._lost[number] = union(self._lost.get(number, []), lost)
            log.error(
                "source_records_lost",
                topic=self._topic,
                partition=number,
                offsets=describe(lost),
                expired=count(reading.gone),
                vanished_again=len(vanishing),
            )
        return count(subtract(losses, union(healed, lost)))

    async def _known(self, connection: Connection, topic_id: UUID, number: int) -> list[Span]:
        """What has arrived or was given up, as it stands under the lock."""
        for row in await connection.fetch(_QUERIES["load_sources"], topic_id):
            if row["partition"] == number:
                return union(from_multirange(row["arrived"]), from_multirange(row["lost"]))
        return []

    def _note_lost(self, lost: dict[int, list[Span]]) -> None:
        """What stands in Postgres, so that each sink shows it, also after a restart."""
        for number, spans in lost.items():
            known_elsewhere = subtract(spans, self._lost.get(number, []))
            if known_elsewhere:
                log.error("source_records_lost", topic=self._topic, partition=number, offsets=describe(known_elsewhere))
        self._lost = lost
        SOURCE_LOST.set(sum(count(spans) for spans in lost.values()))
