"""A topic of a peer's own, with as many partitions as ours."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.running_stack import RunningStack


async def make_topic(stack: RunningStack, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, stack.settings.kafka_partitions, 1)])
    finally:
        await admin.close()
