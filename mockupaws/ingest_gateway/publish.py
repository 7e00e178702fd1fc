"""Encoded requests → topic `ingest.requests`, in bundles.

Delivery order of one request:
1. it joins its partition's open bundle, which is sent when full or after the linger; at once while requests come one by
   one, since nobody would join it;
2. the brokers write the record on every in-sync replica (acks=all, idempotent producer);
3. the ack resolves the bundle, and `publish` returns for each of its requests.
Requests without an idempotency key get ids of the partition whose bundle is being filled (`place`), so that those of
all connections share a record: what a record costs the brokers and the processor is paid once for all of them.
Where the brokers refuse a batch as too large, each request of it is sent once more in a batch of its own, so that only
the one that is too large by itself is refused (413).
A request that waited too long goes to the spool, or is refused; its record may still arrive. The idempotency key is
the request's id, by which the sinks drop repeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from mockupaws.ingest_gateway.admit import ByteBudget
from mockupaws.ingest_gateway.backlog import Backlog
from mockupaws.ingest_gateway.bundles import Bundle, BundleLimits
from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.ingest_gateway.open_bundle import OpenBundle
from mockupaws.runtime.errors import RetriableError
from mockupaws.runtime.failpoints import hit
from mockupaws.runtime.kafka import KafkaUnreachableError, abandon_producer, start_producer, topic_name
from mockupaws.runtime.kafka_single_records import SingleRecords
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import PUBLISH_FAILURES, PUBLISH_PENDING_BYTES, PUBLISHED_BUNDLES, get_logger
from mockupaws.schemas.identifiers import in_partition, partition_of
from mockupaws.schemas.requests import SCHEMA_VERSION, join_bundle
from mockupaws.schemas.topics import REQUESTS

HEADERS = [("schema_version", str(SCHEMA_VERSION).encode())]
ACK_SHARE = 0.75
"""Of the deadline; where there is a spool, the rest is for its sync."""
STUCK_DEADLINES = 3
"""A batch unacknowledged for this many deadlines, while brokers answer, is wedged (aiokafka #1017)."""
CROWDED_SECONDS = 0.1
"""For how long requests are gathered after one came while another was on its way."""
WATCH_SECONDS = 0.5
PROBE_SECONDS = 5.0
"""How often the brokers are asked for metadata, so that readiness is known without traffic."""

_log = get_logger(__name__)


class NotAcknowledgedError(RetriableError):
    """The brokers don't have the request, or not provably so: it may still arrive."""


class TooLargeTogetherError(RetriableError):
    """The brokers refused the batch with the request as too large; alone it may fit (`publish_alone`)."""


class Publisher:
    """One per process. `run` keeps a producer alive; `publish` may be called from any request."""

    def __init__(self, settings: Settings, backlog: Backlog) -> None:
        """`backlog` is told of each record the brokers acknowledge, but for those that travel alone."""
        self._settings = settings
        self._backlog = backlog
        self._topic = topic_name(settings, REQUESTS)
        self._deadline = settings.publish_deadline_seconds
        self._ack_seconds = self._deadline * (ACK_SHARE if settings.spool_max_bytes else 1.0)
        self._limits = BundleLimits(settings.bundle_max_lines, settings.bundle_max_bytes)
        self._budget = ByteBudget(settings.publish_max_pending_bytes)
        self._producer: AIOKafkaProducer | None = None
        self._broken = asyncio.Event()
        self.tried = False
        """Whether it is known by now if the brokers answer."""
        self._answered = False
        self._probed_at = 0.0
        self._open: dict[int, OpenBundle] = {}
        self._filling = random.randrange(1 << 16)  # noqa: S311 - spreads gateways, hides nothing
        """Modulo the number of partitions, the one new requests are placed in; moves on with each bundle sent."""
        self._partitions = 0
        """Of the topic; 0: not known, since no broker was reached yet."""
        self._sent: deque[OpenBundle] = deque()
        self._crowded_until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._abandoned: set[asyncio.Task[None]] = set()
        self._single = SingleRecords(settings, "mockupaws-gateway-single")
        self._loop = asyncio.get_running_loop()
        PUBLISH_PENDING_BYTES.set_function(lambda: self._budget.taken)

    @property
    def ready(self) -> bool:
        """Whether the brokers answer and acks arrive in time."""
        return self._answered and self.flows

    @property
    def flows(self) -> bool:
        """Whether a request sent now can expect its ack in time."""
        return self._producer is not None and not self._broken.is_set() and self._oldest_wait() <= self._ack_seconds

    def place(self, request_id: bytes) -> bytes:
        """The id, changed so that the request joins the bundle being filled; as it was where no broker was reached."""
        partitions = self._partitions
        return in_partition(request_id, self._filling % partitions, partitions) if partitions else request_id

    async def publish(self, request_id: bytes, encoded: bytes, lines: int) -> None:
        """Returns when the brokers have the request. Raises NotAcknowledgedError; RefusedError (413)."""
        gathered = self._take(request_id, encoded, lines)
        # One timer for the bundle: one for each request would cost a small request more than all else done here.
        acknowledged = self._loop.create_future()
        gathered.waiting.append(acknowledged)
        try:
            await acknowledged
        except TooLargeTogetherError:
            try:
                async with asyncio.timeout_at(gathered.began + self._ack_seconds):
                    await self.publish_alone(request_id, encoded)
            except TimeoutError as error:
                PUBLISH_FAILURES.labels("deadline").inc()
                raise NotAcknowledgedError("the brokers did not acknowledge in time") from error

    async def publish_alone(self, request_id: bytes, encoded: bytes) -> None:
        """As `publish`, past all bundles, and without a deadline."""
        partitions = self._partitions
        if not partitions:
            raise NotAcknowledgedError("the brokers don't acknowledge")
        try:
            await self._single.send(self._topic, join_bundle([encoded]), partition_of(request_id, partitions), HEADERS)
        except MessageSizeTooLargeError as error:
            PUBLISH_FAILURES.labels("too_large").inc()
            raise RefusedError(
                "body_too_large", "the brokers take no record of this size; split the request"
            ) from error
        except (KafkaError, KafkaUnreachableError) as error:
            raise NotAcknowledgedError("the brokers don't acknowledge") from error

    def send(self, request_id: bytes, encoded: bytes, lines: int) -> asyncio.Future[None]:
        """Gathers the request; the future, shared by its bundle, is done with the ack or fails as `publish` does,
        or with TooLargeTogetherError.

        Raises NotAcknowledgedError at once where an ack can't be expected.
        """
        return self._take(request_id, encoded, lines).acknowledged

    def _take(self, request_id: bytes, encoded: bytes, lines: int) -> OpenBundle:
        partitions = self._partitions
        if not partitions or not self.flows:
            raise NotAcknowledgedError("the brokers don't acknowledge")
        if not self._budget.fits(len(encoded)):
            raise NotAcknowledgedError("too many bytes wait for the brokers")
        self._budget.take(len(encoded))
        return self._gather(partition_of(request_id, partitions), encoded, lines)

    async def run(self) -> None:
        """Connects, watches and replaces the producer until cancelled."""
        while True:
            if self._producer is None or self._broken.is_set() or self._wedged():
                await self._replace_producer()
            await self._probe()
            self.tried = True
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
            self._abandon(self._producer)
            self._producer, self._partitions = None, 0
        if self._abandoned:
            await asyncio.wait(self._abandoned)
        await self._single.stop()

    def _gather(self, partition: int, encoded: bytes, lines: int) -> OpenBundle:
        now = self._loop.time()
        if self._open or self._sent:
            self._crowded_until = now + CROWDED_SECONDS
        gathered = self._open.get(partition)
        if gathered is not None and not gathered.bundle.has_room(encoded, lines, self._limits):
            self._send(partition)
            gathered = None
        if gathered is None:
            gathered = OpenBundle(Bundle(partition), self._loop.create_future(), now)
            gathered.linger = self._loop.call_later(self._settings.bundle_linger_seconds, self._send, partition)
            gathered.deadline = self._loop.call_later(self._ack_seconds, self._give_up, gathered)
            self._open[partition] = gathered
        gathered.bundle.add(encoded, lines)
        if gathered.bundle.is_full(self._limits) or now >= self._crowded_until:
            self._send(partition)
        return gathered

    def _send(self, partition: int) -> None:
        gathered = self._open.pop(partition)
        if gathered.linger is not None:
            gathered.linger.cancel()
        self._sent.append(gathered)
        self._filling += 1
        task = self._loop.create_task(self._produce(gathered))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _give_up(self, gathered: OpenBundle) -> None:
        late = gathered.tell(NotAcknowledgedError("the brokers did not acknowledge in time"))
        PUBLISH_FAILURES.labels("deadline").inc(late)

    async def _produce(self, gathered: OpenBundle) -> None:
        bundle, producer = gathered.bundle, self._producer
        gathered.producer = producer
        try:
            if producer is None:
                raise KafkaUnreachableError("this process is stopping")
            hit("gateway.before_produce")
            written = await producer.send_and_wait(
                self._topic, bundle.value(), partition=bundle.partition, headers=HEADERS
            )
            hit("gateway.after_acknowledged")
            self._backlog.note_acknowledged(bundle.partition, written.offset, bundle.size, time.monotonic())
            PUBLISHED_BUNDLES.inc()
            gathered.settle()
        except MessageSizeTooLargeError:
            PUBLISH_FAILURES.labels("too_large_together").inc()
            if producer is self._producer:
                self._broken.set()  # its sequence counts the refused batch, which the brokers never wrote
            gathered.settle(TooLargeTogetherError("the brokers refused a batch as too large"))
        except Exception as error:  # whatever it was: there is no ack, and nobody may wait for one
            PUBLISH_FAILURES.labels("refused").inc()
            _log.error("bundle_not_acknowledged", error=type(error).__name__)
            if producer is self._producer:
                self._broken.set()
            gathered.settle(NotAcknowledgedError("the brokers refused the record, or went away"))
        finally:
            self._budget.give_back(bundle.size)

    async def _probe(self) -> None:
        if self._producer is None:
            return
        if self._answered and self._loop.time() - self._probed_at < PROBE_SECONDS:
            return
        self._probed_at = self._loop.time()
        try:
            async with asyncio.timeout(self._deadline):
                self._answered = bool(await self._producer.client.force_metadata_update())
            self._count_partitions(self._producer)
        except (KafkaError, TimeoutError):
            self._answered = False

    def _count_partitions(self, producer: AIOKafkaProducer) -> None:
        self._partitions = len(producer.client.cluster.partitions_for_topic(self._topic) or ())

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
        except KafkaUnreachableError as error:
            _log.warning("kafka_unreachable", error=type(error).__name__)
            return
        try:
            async with asyncio.timeout(self._deadline * STUCK_DEADLINES):
                await fresh.partitions_for(self._topic)
        except BaseException as error:
            self._abandon(fresh)
            if not isinstance(error, KafkaError | TimeoutError):
                raise
            _log.warning("kafka_unreachable", error=type(error).__name__)
            return
        old, self._producer = self._producer, fresh
        self._count_partitions(fresh)
        self._broken.clear()
        _log.info("producer_started", replaced=old is not None)
        if old is not None:
            for gathered in self._sent:
                if gathered.producer is old:
                    gathered.settle(NotAcknowledgedError("the producer was given up"))
            self._abandon(old)

    def _abandon(self, producer: AIOKafkaProducer) -> None:
        # Not awaited: it may take seconds, and the next look at the new producer must not wait for them.
        task = self._loop.create_task(abandon_producer(producer))
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)
