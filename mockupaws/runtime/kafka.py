"""Connections to Kafka: topics made as the table says, producers that never lose an acknowledged record, topic ids."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, ProducerClosed, TopicAlreadyExistsError, for_code

from mockupaws.runtime.errors import PermanentError, RetriableError
from mockupaws.runtime.kafka_compression import compress_fast
from mockupaws.runtime.kafka_metadata import TopicIdsRequest, topic_ids_of
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.topics import TOPICS, Topic

START_SECONDS = 20.0
"""Limit for connecting, and for each administrative call."""
REQUEST_SECONDS = 10
"""How long a broker may take to answer one request before aiokafka asks again."""
BATCH_BYTES = 1024 * 1024
"""Bytes of one partition aiokafka gathers while a request is on its way; its default of 16 KiB collapses under load."""
_NO_ERROR = 0


class KafkaUnreachableError(RetriableError):
    """No broker answered in time."""


class TopicRefusedError(PermanentError):
    """The cluster refused to make a topic as the table describes it."""


def topic_name(settings: Settings, topic: Topic) -> str:
    """The name under which this installation's cluster knows `topic`."""
    return settings.kafka_topic_prefix + topic.name


async def create_topics(settings: Settings) -> None:
    """Makes the topics that are missing and returns once each partition has a leader; existing ones stay as they are.

    Raises KafkaUnreachableError, or TopicRefusedError where the cluster can't hold such a topic.
    """
    with _unreachable_in_time(settings):
        async with asyncio.timeout(START_SECONDS):
            admin = AIOKafkaAdminClient(bootstrap_servers=_servers(settings), request_timeout_ms=REQUEST_SECONDS * 1000)
            try:
                await admin.start()
                response = await admin.create_topics([_new_topic(settings, topic) for topic in TOPICS])
                for name, error_code, *detail in response.topic_errors:
                    if error_code not in (_NO_ERROR, TopicAlreadyExistsError.errno):
                        raise TopicRefusedError(f"Kafka refused topic {name}: {for_code(error_code).__name__} {detail}")
                while not await _all_led(admin, settings):  # noqa: ASYNC110 - Kafka offers no event to await
                    await asyncio.sleep(0.05)  # the controller answers before the brokers know the new partitions
            finally:
                await admin.close()


async def start_producer(settings: Settings, client_id: str, *, one_by_one: bool = False) -> AIOKafkaProducer:
    """A started producer whose acknowledgement means: on every in-sync replica, once, in the order sent.

    Batches never expire under idempotence, so whoever awaits a future sets its own deadline. `one_by_one`: each record
    is a batch of its own, and may come twice (runtime/kafka_single_records.py says what for).
    Raises KafkaUnreachableError.
    """
    compress_fast()
    producer = AIOKafkaProducer(
        bootstrap_servers=_servers(settings),
        client_id=client_id,
        acks="all",
        enable_idempotence=not one_by_one,
        compression_type="zstd",
        max_batch_size=1 if one_by_one else BATCH_BYTES,  # a batch holds one record, however large
        max_request_size=max(topic.max_message_bytes for topic in TOPICS),
        request_timeout_ms=REQUEST_SECONDS * 1000,
    )
    with _unreachable_in_time(settings):
        try:
            async with asyncio.timeout(START_SECONDS):
                await producer.start()
        except BaseException:
            await producer.stop()
            raise
    return producer


async def abandon_producer(producer: AIOKafkaProducer, within_seconds: float = 2.0) -> None:
    """Stops a producer within a bound; what it could not deliver fails with ProducerClosed instead of waiting forever.

    aiokafka's own `stop` waits for batches that never expire, and leaves its sender running when it is cancelled.
    """
    try:
        async with asyncio.timeout(within_seconds):
            await producer.stop()
    except (KafkaError, TimeoutError):
        producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001 - no public way to give up
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(within_seconds):
                await producer._sender.close()  # noqa: SLF001
        # Closing waits until a connection has sent what it holds, which one that nobody reads from never has.
        for connection in producer.client._conns.values():  # noqa: SLF001
            if connection.connected():
                connection._writer.transport.abort()  # noqa: SLF001
        await producer.client.close()


async def topic_ids(settings: Settings) -> dict[str, uuid.UUID]:
    """The id Kafka gave each topic of the table when it was made, by `topic_name`; topics that don't exist are missing.

    A topic that was deleted and made again has another id, so offsets kept under the id can't be taken for its own.
    Raises KafkaUnreachableError, or PermanentError where the brokers are older than Kafka 2.8.
    """
    with _unreachable_in_time(settings):
        async with asyncio.timeout(START_SECONDS):
            client = AIOKafkaClient(bootstrap_servers=_servers(settings), request_timeout_ms=REQUEST_SECONDS * 1000)
            try:
                await client.bootstrap()
                request = TopicIdsRequest(topic_name(settings, topic) for topic in TOPICS)
                return topic_ids_of(await client.send(client.get_random_node(), request))
            except (IncompatibleBrokerVersion, NotImplementedError) as error:
                raise PermanentError("the Kafka brokers tell no topic ids; use Kafka 2.8 or newer") from error
            finally:
                await client.close()


def _servers(settings: Settings) -> list[str]:
    return [server.strip() for server in settings.kafka_bootstrap_servers.split(",")]


def _new_topic(settings: Settings, topic: Topic) -> NewTopic:
    replicas = settings.kafka_replication_factor
    return NewTopic(
        name=topic_name(settings, topic),
        num_partitions=settings.kafka_partitions,
        replication_factor=replicas,
        topic_configs={
            "retention.ms": str(topic.retention_ms),
            "max.message.bytes": str(topic.max_message_bytes),
            "min.insync.replicas": str(max(1, replicas - 1)),
            "cleanup.policy": "delete",
        },
    )


async def _all_led(admin: AIOKafkaAdminClient, settings: Settings) -> bool:
    described = await admin.describe_topics([topic_name(settings, topic) for topic in TOPICS])
    return all(
        topic["error_code"] == _NO_ERROR and all(partition["leader"] >= 0 for partition in topic["partitions"])
        for topic in described
    )


@contextlib.contextmanager
def _unreachable_in_time(settings: Settings) -> Iterator[None]:
    try:
        yield
    except (KafkaError, TimeoutError) as error:
        raise KafkaUnreachableError(
            f"Kafka at {settings.kafka_bootstrap_servers} doesn't answer ({type(error).__name__}); "
            "check that it runs and MOCKUPAWS_KAFKA_BOOTSTRAP_SERVERS names it"
        ) from error
