"""The Faust app around the agent: what it connects to, how it stops, and how it shows its health.

No tables, no web server, no Kafka transactions: the step keeps no state but offsets.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from time import monotonic
from typing import Any, cast
from uuid import UUID

import faust
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as driver

from mockupaws.runtime import telemetry
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.errors import RetriableError
from mockupaws.runtime.health import HealthReport
from mockupaws.runtime.kafka import BATCH_BYTES, topic_ids, topic_name
from mockupaws.runtime.kafka_compression import compress_fast
from mockupaws.runtime.kafka_single_records import SingleRecords
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.analysed import SOURCE_TOPIC_ID_HEADER
from mockupaws.schemas.topics import PROCESSOR_GROUP, REQUESTS, TOPICS
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.analyse_requests import CRASHED, AnalyseRequests, crash
from mockupaws.stream_processors.measure_lag import LagProbe
from mockupaws.stream_processors.policies.refresh_policies import RefreshedPolicies
from mockupaws.stream_processors.progress import STALLED_SECONDS, ProcessorProgress

STOP_SECONDS = 10.0
"""How long an orderly stop may take: without a broker Faust's and aiokafka's own would never end."""
HOLD_SECONDS = 7 * 24 * 3600.0
"""How long it stays a member of its group while it takes no record: longer, and what it holds at has expired."""
_CHECK_SECONDS = 5.0
_CHECK_TOPIC_SECONDS = 15.0
_FETCH_BYTES = 4 * 1024 * 1024
_BUFFERED_RECORDS = 64
"""Records read ahead: each may hold a megabyte."""

FETCH_PAUSE_SECONDS = 0.1
"""What records may wait where more come than one at a time: between two rounds the processor's tables leave the caches,
and to read them in again costs as much as 400 lines do (docs/adr/0105). Spared where half of the buffer was filled."""

_FETCH_SECONDS = 0.01
"""What the brokers may take to send what they have."""

_LOOK_AGAIN_SECONDS = 1.0
"""After how long the client looks at its partitions again where nothing happened: each answer, rebalance and change of
leaders wakes it at once, and its own fifth of a second is most of what an idle processor does."""

_log = telemetry.get_logger("mockupaws.stream_processors")
logging.getLogger(__name__).setLevel(
    logging.WARNING
)  # Faust tells the life of its subclasses under their module's name


class ConsumerThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._consumer_timeout = _LOOK_AGAIN_SECONDS  # noqa: SLF001 - Faust hands no setting for it through
        return consumer


class OrderedAckConsumer(driver.Consumer):
    """Acknowledges only what the agent says.

    While it stops or rebalances, Faust acknowledges messages it takes from its buffer and skips; they would be
    committed unprocessed.
    """

    _paused_until = 0.0

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def ack(self, message: Any) -> bool:
        return False

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's own
        """Reads a busy topic in few large pieces, with a pause between, and an idle one by long polls."""
        pause = self._paused_until - monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        records = await super()._getmany(active_partitions, timeout)
        if pause > 0:  # that was what the client had read ahead as the pause began; more has come since
            more = await super()._getmany(active_partitions, _FETCH_SECONDS)
            records = {place: [*records.get(place, ()), *more.get(place, ())] for place in {**records, **more}}
        some = 0 < sum(map(len, records.values())) < _BUFFERED_RECORDS // 2
        self._paused_until = monotonic() + FETCH_PAUSE_SECONDS if some else 0.0
        return records

    def ack_in_order(self, message: Any) -> bool:
        acknowledged: bool = super().ack(message)
        return acknowledged


class Transport(driver.Transport):
    """Its producer isn't idempotent: a batch refused as too large would put it out of sequence for good, and what a
    retry writes twice is dropped by the sinks."""

    Consumer = OrderedAckConsumer


class App(faust.App):
    own_consumer: Any = None
    """The consumer once Faust has made it. Only Faust may ask for `consumer`, which makes one where there is none: made
    by the health server's thread, it belongs to the wrong event loop and the start fails."""

    def _new_consumer(self) -> Any:
        self.own_consumer = super()._new_consumer()
        return self.own_consumer

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    def _new_producer_transport(self) -> Transport:
        return Transport(self.conf.broker_producer, self)


class Worker(faust.Worker):
    """Stops within STOP_SECONDS of a signal, whatever the brokers do."""

    def _schedule_shutdown(self, signal: Any) -> None:
        _log.info("stop_requested", signal=int(signal))
        watchdog = threading.Timer(STOP_SECONDS, _end_stop)
        watchdog.daemon = True
        watchdog.start()
        super()._schedule_shutdown(signal)


def _end_stop() -> None:
    _log.error("stop_timed_out", seconds=STOP_SECONDS)
    os._exit(CRASHED)


class Processor:
    """One processor: the app with its agent, and what is to be told of it."""

    def __init__(self, settings: Settings, analyser: Analyser, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._topic_id: UUID | None = None
        self.app = _new_app(settings)
        self._policies = RefreshedPolicies(settings)
        self._single = SingleRecords(settings, "mockupaws-processor-single")
        self._step = AnalyseRequests(
            settings,
            analyser,
            clock,
            self._send,
            self._send_alone,
            self._acknowledge,
            self._policies.policy_of,
        )
        source = self.app.topic(
            topic_name(settings, REQUESTS),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )
        self.app.agent(source, name="analyse_requests", concurrency=1)(self._consume)
        self.app.task()(self._policies.run)
        self.app.task()(self._step.run)
        self._progress = ProcessorProgress.begin(monotonic())
        self._probe = LagProbe(settings, topic_name(settings, REQUESTS), settings.kafka_topic_prefix + PROCESSOR_GROUP)
        self.app.timer(_CHECK_SECONDS)(self._check_progress)
        self.app.on_before_shutdown.connect(self._close_probe, weak=False)
        self.app.timer(_CHECK_TOPIC_SECONDS)(self._check_topic)

    def report(self) -> HealthReport:
        """Ready once partitions are assigned, while they move. Called from the health server's thread; reads only."""
        assigned = self._assigned()
        now = monotonic()
        detail = {}
        if not assigned:
            detail["partitions"] = "none assigned"
        elif not self._policies.loaded:
            detail["policies"] = "never loaded: waits for Postgres"
        if self._step.held is not None:
            detail["held"] = f"{self._step.held}; see docs/runbooks, then start the processor again"
        if not self._progress.brokers_answer:
            detail["brokers"] = f"no answer for {now - self._progress.answered_at:.0f} s"
        elif assigned and self._progress.still_seconds(now) > STALLED_SECONDS:
            detail["progress"] = f"none for {self._progress.still_seconds(now):.0f} s"
        ready = not detail
        return HealthReport(ready, self._lag_seconds(now), detail or {"partitions": str(len(assigned))})

    async def _consume(self, stream: Any) -> None:
        try:
            self._topic_id = (await topic_ids(self._settings))[topic_name(self._settings, REQUESTS)]
        except Exception as error:
            crash("topic_id_unknown", error)
        await self._policies.wait_until_loaded()
        async for event in stream.noack().events():
            await self._step.take(event.message)

    async def _send(self, topic: str, value: bytes, partition: int, headers: list[tuple[str, bytes]]) -> Any:
        return await self.app.producer.send(topic, None, value, partition, None, self._with_topic_id(headers))

    async def _send_alone(self, topic: str, value: bytes, partition: int, headers: list[tuple[str, bytes]]) -> None:
        await self._single.send(topic, value, partition, self._with_topic_id(headers))

    def _with_topic_id(self, headers: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        assert self._topic_id is not None
        return [*headers, (SOURCE_TOPIC_ID_HEADER, self._topic_id.bytes)]

    def _acknowledge(self, message: Any) -> None:
        cast(OrderedAckConsumer, self.app.consumer).ack_in_order(message)

    def _assigned(self) -> set[int]:
        consumer = self.app.own_consumer
        try:
            return {place.partition for place in consumer.assignment()} if consumer is not None else set()
        except ConsumerNotStarted:
            return set()

    def _lag_seconds(self, now: float) -> float:
        waiting = self._step.oldest_timestamps()
        if waiting:
            return max(0.0, self._clock.now_us() / 1e6 - min(waiting))
        return self._progress.still_seconds(now)

    async def _check_progress(self) -> None:
        """Ends the process where only a restart mends what keeps it from moving."""
        assigned = self._assigned()
        lag = await self._probe.measure(assigned, self._step.acknowledged)
        now = monotonic()
        if lag is None:
            self._progress.note_silence()
        else:
            self._progress.note_lag(now, lag.messages, (*lag.positions, self._step.records_read, len(assigned)))
            telemetry.PROCESSOR_LAG_MESSAGES.set(lag.messages)
            telemetry.PROCESSOR_LAG_SECONDS.set(self._lag_seconds(now))
        failure = self._progress.failure(
            now,
            held=self._step.held is not None or not self._policies.loaded,
            assigned=bool(assigned),
            longest_wait_seconds=self._step.longest_wait_seconds(),
        )
        if failure is not None:
            crash(failure)

    async def _close_probe(self, _sender: Any, /, *_: Any, **__: Any) -> None:
        await self._probe.close()
        await self._single.stop()

    async def _check_topic(self) -> None:
        """Answers must not go on naming a topic that was deleted: one made anew counts its offsets from 0 again."""
        try:
            known = (await topic_ids(self._settings)).get(topic_name(self._settings, REQUESTS))
        except RetriableError:
            return  # the brokers are away
        if self._topic_id is not None and known not in (None, self._topic_id):
            crash("topic_made_anew")


def _new_app(settings: Settings) -> App:
    compress_fast()
    return App(
        settings.kafka_topic_prefix + PROCESSOR_GROUP,
        broker=[f"kafka://{server.strip()}" for server in settings.kafka_bootstrap_servers.split(",")],
        autodiscover=False,
        web_enabled=False,
        store="memory://",
        datadir=settings.home / "faust",
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_buffer_maxsize=_BUFFERED_RECORDS,
        stream_wait_empty=False,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=3.0,
        broker_commit_interval=1.0,
        broker_max_poll_records=_BUFFERED_RECORDS,
        broker_max_poll_interval=HOLD_SECONDS,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.processor_instance,
        consumer_max_fetch_size=_FETCH_BYTES,
        producer_acks=-1,
        producer_compression_type="zstd",
        producer_linger=0.005,
        producer_max_batch_size=BATCH_BYTES,
        producer_max_request_size=max(topic.max_message_bytes for topic in TOPICS),
        worker_redirect_stdouts=False,
    )
