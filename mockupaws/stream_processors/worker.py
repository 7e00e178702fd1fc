"""The Faust app around the agent: what it connects to, how it stops, and how it shows its health.

No tables, no web server, no Kafka transactions: the step keeps no state but offsets.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

import faust
from faust.transport.drivers import aiokafka as driver

from mockupaws.runtime import telemetry
from mockupaws.runtime.clock import Clock
from mockupaws.runtime.errors import RetriableError
from mockupaws.runtime.health import HealthReport
from mockupaws.runtime.kafka import BATCH_BYTES, topic_ids, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.analysed import SOURCE_TOPIC_ID_HEADER
from mockupaws.schemas.topics import PROCESSOR_GROUP, REQUESTS, TOPICS
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.analyse_requests import CRASHED, AnalyseRequests, crash
from mockupaws.stream_processors.policies.refresh_policies import RefreshedPolicies

STOP_SECONDS = 10.0
"""How long an orderly stop may take: without a broker Faust's and aiokafka's own would never end."""
STUCK_SECONDS = 60.0
"""Age in this process of an unacknowledged record at which it restarts: a wedged idempotent producer (aiokafka #1017)
only heals so."""
_CHECK_SECONDS = 5.0
_CHECK_TOPIC_SECONDS = 15.0
_FETCH_BYTES = 4 * 1024 * 1024
_BUFFERED_RECORDS = 64
"""Records read ahead: each may hold a megabyte."""

_log = telemetry.get_logger("mockupaws.stream_processors")
logging.getLogger(__name__).setLevel(
    logging.WARNING
)  # Faust tells the life of its subclasses under their module's name


class IdempotentProducer(driver.Producer):
    """Faust turns idempotence on for transactions only."""

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}


class OrderedAckConsumer(driver.Consumer):
    """Acknowledges only what the agent says.

    While it stops or rebalances, Faust acknowledges messages it takes from its buffer and skips; they would be
    committed unprocessed.
    """

    def ack(self, message: Any) -> bool:
        return False

    def ack_in_order(self, message: Any) -> bool:
        acknowledged: bool = super().ack(message)
        return acknowledged


class Transport(driver.Transport):
    Consumer = OrderedAckConsumer
    Producer = IdempotentProducer


class App(faust.App):
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
        self._step = AnalyseRequests(settings, analyser, clock, self._send, self._acknowledge, self._policies.policy_of)
        source = self.app.topic(
            topic_name(settings, REQUESTS),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )
        self.app.agent(source, name="analyse_requests", concurrency=1)(self._consume)
        self.app.task()(self._policies.run)
        self.app.timer(_CHECK_SECONDS)(self._check_progress)
        self.app.timer(_CHECK_TOPIC_SECONDS)(self._check_topic)

    def report(self) -> HealthReport:
        """Ready once partitions are assigned and policies known. Called from the health server's thread; reads only."""
        consumer = self.app.consumer
        assigned = consumer.assignment() if self.app.started else set()
        if not assigned:
            return HealthReport(ready=False, detail={"partitions": "none assigned"})
        if not self._policies.loaded:
            return HealthReport(ready=False, detail={"policies": "never loaded: waits for Postgres"})
        waiting = self._step.oldest_timestamps()
        lag = max(0.0, self._clock.now_us() / 1e6 - min(waiting)) if waiting else 0.0
        return HealthReport(ready=True, lag_seconds=lag, detail={"partitions": str(len(assigned))})

    async def _consume(self, stream: Any) -> None:
        try:
            self._topic_id = (await topic_ids(self._settings))[topic_name(self._settings, REQUESTS)]
        except Exception as error:
            crash("topic_id_unknown", error)
        await self._policies.wait_until_loaded()
        async for event in stream.noack().events():
            await self._step.handle(event.message)

    async def _send(self, topic: str, value: bytes, partition: int, headers: list[tuple[str, bytes]]) -> Any:
        assert self._topic_id is not None
        source = [*headers, (SOURCE_TOPIC_ID_HEADER, self._topic_id.bytes)]
        return await self.app.producer.send(topic, None, value, partition, None, source)

    def _acknowledge(self, message: Any) -> None:
        cast(OrderedAckConsumer, self.app.consumer).ack_in_order(message)

    async def _check_progress(self) -> None:
        if self._step.longest_wait_seconds() > STUCK_SECONDS:
            crash("producer_stuck")

    async def _check_topic(self) -> None:
        """Answers must not go on naming a topic that was deleted: one made anew counts its offsets from 0 again."""
        try:
            known = (await topic_ids(self._settings)).get(topic_name(self._settings, REQUESTS))
        except RetriableError:
            return  # the brokers are away
        if self._topic_id is not None and known not in (None, self._topic_id):
            crash("topic_made_anew")


def _new_app(settings: Settings) -> App:
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
