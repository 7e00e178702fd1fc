"""The broker ends, hangs, fills its disk, or the way to it breaks; records arrive that nobody can read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from mockupaws.runtime.kafka import topic_name
from mockupaws.schemas.requests import SCHEMA_VERSION
from mockupaws.schemas.topics import ANALYSED, DEAD_LETTERS, REQUESTS, Topic
from tests.adversity.drilled_stack import KAFKA_CLIENTS
from tests.adversity.faults.fault import Fault, Inject, Scene, disturb
from tests.adversity.faults.processes import frozen
from tests.adversity.faulty_flow import Faults
from tests.adversity.oracle.read_stores import connect
from tests.adversity.oracle.settle import wait_until_quiet

ADMIN_SECONDS = 20.0
QUIET_SECONDS = 60.0
CONFIG_SECONDS = 1.0
"""Until the brokers act on what they have acknowledged."""
VERSION = [("schema_version", str(SCHEMA_VERSION).encode())]
POISON: Sequence[tuple[str, bytes, list[tuple[str, bytes]]]] = (
    ("undecodable_record", b"\xc1 no msgpack at all", VERSION),
    ("undecodable_record", b"", VERSION),
    ("undecodable_record", b"\x91" * 10_000, VERSION),  # deep nesting
    ("undecodable_record", b"\x91\x96\xc4\x02ab", VERSION),  # cut off
    ("undecodable_record", b"\xff" * 5_000_000, VERSION),
    ("unknown_schema_version", b"\x90", [("schema_version", b"99")]),
    ("unknown_schema_version", b"\x90", []),
)


async def killed_broker(scene: Scene) -> None:
    with scene.stack.taken_down("kafka"):
        await asyncio.sleep(5)


def cut_off(clients: Sequence[str], to_server: Faults, to_client: Faults, seconds: float) -> Inject:
    """Faults on the way between these processes and the broker; then every connection is reset."""

    async def inject(scene: Scene) -> None:
        await disturb([scene.stack.kafka[client] for client in clients], to_server, to_client, seconds)

    return inject


def slow(to_server: Faults, to_client: Faults, seconds: float) -> Inject:
    """For all processes; nothing is reset."""

    async def inject(scene: Scene) -> None:
        for proxy in scene.stack.kafka.values():
            proxy.use(to_server=to_server, to_client=to_client)
        await asyncio.sleep(seconds)

    return inject


def resets(clients: Sequence[str], times: int) -> Inject:
    async def inject(scene: Scene) -> None:
        for _ in range(times):
            for client in clients:
                scene.stack.kafka[client].reset_all()
            await asyncio.sleep(scene.chance.uniform(0.1, 1.0))

    return inject


def cut_in_a_record(clients: Sequence[str], times: int) -> Inject:
    """Each connection ends in the middle of what it sends."""

    async def inject(scene: Scene) -> None:
        for _ in range(times):
            for client in clients:
                scene.stack.kafka[client].use(to_server=Faults(cut_after_bytes=scene.chance.randint(500, 50_000)))
            await asyncio.sleep(1.0)
        for client in clients:
            scene.stack.kafka[client].heal()
        await scene.flow()

    return inject


async def wedged_producer(scene: Scene) -> None:
    """Replies hang, the broker restarts meanwhile and forgets nothing: the producer's sequence must still fit."""
    scene.stack.kafka["gateway"].use(to_client=Faults(blackhole=True))
    await asyncio.sleep(1.0)
    with scene.stack.taken_down("kafka"):
        await asyncio.sleep(1.0)
    scene.stack.kafka["gateway"].heal()


async def poison(scene: Scene) -> None:
    await _send_poison(scene)
    await scene.flow()


async def poison_without_dead_letters(scene: Scene) -> None:
    """Dead letters can't be written (too few replicas): the processor waits and skips nothing."""
    await configure(scene, DEAD_LETTERS, min_insync_replicas=2)
    try:
        await _send_poison(scene)
        await asyncio.sleep(8)
    finally:
        await configure(scene, DEAD_LETTERS)
    await scene.flow()


async def recreated_topic(scene: Scene) -> None:
    """All is stored, then `logs.analysed` is deleted and made anew: offsets begin at 0 again."""
    settings = scene.stack.settings
    name = topic_name(settings, ANALYSED)
    scene.load.pause()
    left = await wait_until_quiet(settings, QUIET_SECONDS)
    assert left is None, left
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([name])
        await asyncio.sleep(2)
        await admin.create_topics(
            [NewTopic(name, settings.kafka_partitions, 1, topic_configs={"max.message.bytes": "33554432"})]
        )
    finally:
        await admin.close()
    scene.load.resume()
    await scene.flow(30)


async def _send_poison(scene: Scene) -> None:
    settings = scene.stack.settings
    topic = topic_name(settings, REQUESTS)
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers, acks="all", max_request_size=REQUESTS.max_message_bytes
    )
    await producer.start()
    try:
        sent = [
            (reason, await producer.send_and_wait(topic, value, partition=number % 4, headers=headers))
            for number, (reason, value, headers) in enumerate(POISON)
        ]
    finally:
        await producer.stop()

    async def all_lettered() -> str:
        connection = await connect(settings.postgres_owner_url)
        try:
            rows = await connection.fetch('SELECT reason, topic, partition, "offset" FROM dead_letters')
        finally:
            await connection.close()
        found = [tuple(row) for row in rows]
        wanted = [(reason, topic, record.partition, record.offset) for reason, record in sent]
        missing = [letter for letter in wanted if found.count(letter) != 1]
        return f"poison not exactly once in the dead letters: {missing}" if missing else ""

    scene.expect(all_lettered)


async def configure(
    scene: Scene, topic: Topic, *, min_insync_replicas: int = 1, max_message_bytes: int | None = None
) -> None:
    """As the table says, but for what is given."""
    settings = scene.stack.settings
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        resource = ConfigResource(
            ConfigResourceType.TOPIC,
            topic_name(settings, topic),
            configs={
                "min.insync.replicas": str(min_insync_replicas),
                "max.message.bytes": str(max_message_bytes or topic.max_message_bytes),
                "retention.ms": str(topic.retention_ms),
            },
        )
        await admin.alter_configs([resource])
        await asyncio.sleep(CONFIG_SECONDS)
    finally:
        await admin.close()


LOST_REPLIES = Faults(blackhole=True)
NOTHING = Faults()

KAFKA_FAULTS = [
    Fault(name="broker killed", number="F03", what="SIGKILL, back after 5 s", inject=killed_broker),
    Fault(
        name="broker frozen 45 s",
        number="F05",
        what="SIGSTOP for longer than any session or request timeout",
        inject=frozen("kafka", 45),
        recovery_seconds=90,
    ),
    Fault(
        name="acknowledgements to the gateway lost",
        number="F06",
        what="requests pass, replies don't, for 4 s; then a reset",
        inject=cut_off(["gateway"], NOTHING, LOST_REPLIES, 4),
        short=True,
    ),
    Fault(
        name="acknowledgements to the processor lost",
        number="F06",
        what="requests pass, replies don't, for 4 s; then a reset",
        inject=cut_off(["processor"], NOTHING, LOST_REPLIES, 4),
    ),
    Fault(
        name="replies to the sinks lost",
        number="F06",
        what="requests pass, replies don't, for 15 s; then a reset",
        inject=cut_off(["postgres-sink", "parquet-sink"], NOTHING, LOST_REPLIES, 15),
        recovery_seconds=90,
    ),
    Fault(
        name="gateway cut off from Kafka",
        number="F04",
        what="nothing passes in either direction for 8 s; then a reset",
        inject=cut_off(["gateway"], LOST_REPLIES, LOST_REPLIES, 8),
    ),
    Fault(
        name="all cut off from Kafka",
        number="F04",
        what="nothing passes for anybody for 15 s; then a reset",
        inject=cut_off(KAFKA_CLIENTS, LOST_REPLIES, LOST_REPLIES, 15),
        recovery_seconds=90,
    ),
    Fault(
        name="connections to Kafka reset",
        number="F06",
        what="all of them, eight times",
        inject=resets(KAFKA_CLIENTS, 8),
    ),
    Fault(
        name="cut in a record",
        number="F06",
        what="the gateway's and the processor's connections end in the middle of a record, five times",
        inject=cut_in_a_record(["gateway", "processor"], 5),
    ),
    Fault(
        name="slow network to Kafka",
        number="F06",
        what="100 ms more each way, and up to 150 ms of jitter",
        inject=slow(Faults(latency_seconds=0.1, jitter_seconds=0.15), Faults(latency_seconds=0.1), 8),
    ),
    Fault(
        name="narrow network to Kafka",
        number="F06",
        what="100 kB/s each way",
        inject=slow(Faults(bytes_per_second=100_000), Faults(bytes_per_second=100_000), 8),
    ),
    Fault(
        name="wedged producer",
        number="F08",
        what="replies hang while the broker restarts",
        inject=wedged_producer,
        recovery_seconds=90,
    ),
    Fault(name="poison", number="F15", what="records that are no bundle", inject=poison, short=True),
    Fault(
        name="poison without dead letters",
        number="F16",
        what="records that are no bundle, while the topic of dead letters refuses writes",
        inject=poison_without_dead_letters,
        recovery_seconds=90,
    ),
    Fault(
        name="topic recreated",
        number="F44",
        what="logs.analysed deleted and made anew when all was stored",
        inject=recreated_topic,
        recovery_seconds=90,
    ),
]
