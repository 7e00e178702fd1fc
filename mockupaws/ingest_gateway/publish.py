"""Encoded requests → topic `ingest.requests`, in bundles. Kafka is the only store: no ack, no 202.

Delivery order of one request:
1. it joins its partition's open bundle, which is sent when full or after the linger;
2. the brokers write the record on every in-sync replica (acks=all, idempotent producer);
3. the ack resolves the bundle, and `publish` returns for each of its requests.
A request that waited longer than the deadline is refused; its record may still arrive. The idempotency key is the
request's id, by which the sinks drop repeats.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from mockupaws.ingest_gateway.admit import ByteBudget
from mockupaws.ingest_gateway.bundles import Bundle, BundleLimits
from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.runtime.failpoints import hit
from mockupaws.runtime.kafka import KafkaUnreachableError, abandon_producer, start_producer, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import PUBLISH_FAILURES, PUBLISH_PENDING_BYTES, PUBLISHED_BUNDLES, get_logger
from mockupaws.schemas.identifiers import partition_of
from mockupaws.schemas.requests import SCHEMA_VERSION
from mockupaws.schemas.topics import REQUESTS

HEADERS = [("schema_version", str(SCHEMA_VERSION).encode())]
STUCK_DEADLINES = 5
"""A batch unacknowledged for this many deadlines, while brokers answer, is wedged (aiokafka #1017)."""
WATCH_SECONDS = 0.5
PROBE_SECONDS = 5.0
"""How often the brokers are asked for metadata, so that readiness is known without traffic."""

_log = get_logger(__name__)


@dataclass(slots=True, eq=False)
class _OpenBundle:
    bundle: Bundle
    acknowledged: asyncio.Future[None]
    began: float
    timer: asyncio.TimerHandle | None = None


class Publisher:
    """One per process. `run` keeps a producer alive; `publish` may be called from any request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = topic_name(settings, REQUESTS)
        self._deadline = settings.publish_deadline_seconds
        self._limits = BundleLimits(settings.bundle_max_lines, settings.bundle_max_bytes)
        self._budget = ByteBudget(settings.publish_max_pending_bytes)
        self._producer: AIOKafkaProducer | None = None
        self._broken = asyncio.Event()
        self._answered = False
        self._probed_at = 0.0
        self._open: dict[int, _OpenBundle] = {}
        self._sent: deque[_OpenBundle] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def ready(self) -> bool:
        """Whether the brokers answer and acks arrive in time."""
        return self._answered and self._flows()

    async def publish(self, request_id: bytes, encoded: bytes, lines: int) -> None:
        """Returns when the request is durable. Raises RefusedError (503)."""
        producer = self._producer
        partitions = None if producer is None else producer.client.cluster.partitions_for_topic(self._topic)
        if not partitions or not self._flows():
            raise _not_durable()
        self._budget.take(len(encoded))
        PUBLISH_PENDING_BYTES.set(self._budget.taken)
        gathered = self._gather(partition_of(request_id, len(partitions)), encoded, lines)
        try:
            async with asyncio.timeout(self._deadline):
                await asyncio.shield(gathered.acknowledged)
        except TimeoutError as error:
            PUBLISH_FAILURES.labels("deadline").inc()
            raise _not_durable() from error

    async def run(self) -> None:
        """Connects, watches and replaces the producer until cancelled."""
        while True:
            if self._producer is None or self._broken.is_set() or self._wedged():
                await self._replace_producer()
            await self._probe()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_SECONDS):
                    await self._broken.wait()

    async def stop(self, within_seconds: float) -> None:
        """Sends what is gathered and waits for its acks, no longer than told; then lets go of the brokers."""
        for partition in list(self._open):
            self._send(partition)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_seconds)
        if self._producer is not None:
            await abandon_producer(self._producer)
            self._producer = None

    def _gather(self, partition: int, encoded: bytes, lines: int) -> _OpenBundle:
        gathered = self._open.get(partition)
        if gathered is not None and not gathered.bundle.has_room(encoded, lines, self._limits):
            self._send(partition)
            gathered = None
        if gathered is None:
            gathered = _OpenBundle(Bundle(partition), self._loop.create_future(), self._loop.time())
            gathered.timer = self._loop.call_later(self._settings.bundle_linger_seconds, self._send, partition)
            self._open[partition] = gathered
        gathered.bundle.add(encoded, lines)
        if gathered.bundle.is_full(self._limits):
            self._send(partition)
        return gathered

    def _send(self, partition: int) -> None:
        gathered = self._open.pop(partition)
        if gathered.timer is not None:
            gathered.timer.cancel()
        self._sent.append(gathered)
        task = self._loop.create_task(self._produce(gathered))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _produce(self, gathered: _OpenBundle) -> None:
        bundle, producer = gathered.bundle, self._producer
        try:
            if producer is None:
                raise KafkaUnreachableError("this process is stopping")
            hit("gateway.before_produce")
            await producer.send_and_wait(self._topic, bundle.value(), partition=bundle.partition, headers=HEADERS)
            hit("gateway.after_acknowledged")
            PUBLISHED_BUNDLES.inc()
            gathered.acknowledged.set_result(None)
        except (KafkaError, KafkaUnreachableError) as error:
            PUBLISH_FAILURES.labels("refused").inc()
            _log.error("bundle_not_acknowledged", error=type(error).__name__)
            if producer is self._producer and not isinstance(error, MessageSizeTooLargeError):
                self._broken.set()
            gathered.acknowledged.set_exception(_not_durable())
            gathered.acknowledged.exception()  # its requests may all have gone; nobody need look
        finally:
            self._budget.give_back(bundle.size)
            PUBLISH_PENDING_BYTES.set(self._budget.taken)

    def _flows(self) -> bool:
        return self._producer is not None and self._oldest_wait() <= self._deadline

    async def _probe(self) -> None:
        if self._producer is None:
            return
        if self._answered and self._loop.time() - self._probed_at < PROBE_SECONDS:
            return
        self._probed_at = self._loop.time()
        try:
            async with asyncio.timeout(self._deadline):
                self._answered = bool(await self._producer.client.force_metadata_update())
        except (KafkaError, TimeoutError):
            self._answered = False

    def _oldest_wait(self) -> float:
        while self._sent and self._sent[0].acknowledged.done():
            self._sent.popleft()
        return self._loop.time() - self._sent[0].began if self._sent else 0.0

    def _wedged(self) -> bool:
        return self._oldest_wait() > STUCK_DEADLINES * self._deadline

    async def _replace_producer(self) -> None:
        """A new producer is there before the old one goes: while no broker answers, the old one keeps trying."""
        try:
            fresh = await start_producer(self._settings, "mockupaws-gateway")
            async with asyncio.timeout(self._deadline * STUCK_DEADLINES):
                await fresh.partitions_for(self._topic)
        except (KafkaUnreachableError, KafkaError, TimeoutError) as error:
            _log.warning("kafka_unreachable", error=type(error).__name__)
            return
        old, self._producer = self._producer, fresh
        self._broken.clear()
        _log.info("producer_started", replaced=old is not None)
        if old is not None:
            await abandon_producer(old)


def _not_durable() -> RefusedError:
    return RefusedError(
        "not_durable",
        "the brokers did not acknowledge in time; "
        "send again with the same Idempotency-Key, so that nothing counts twice",
    )
