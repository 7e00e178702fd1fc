"""Records that the brokers judge one by one: for those they refused together with others as too large.

A producer gathers records of a partition into batches, and the brokers' limit (`max.message.bytes` of the topic) is one
of batches: a refusal says nothing about any single record. Here each record is a batch of its own. Without idempotence,
since a refused batch would leave a gap in its sequence; a repeat is dropped by the sinks.
"""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaProducer

from mockupaws.runtime.kafka import abandon_producer, start_producer
from mockupaws.runtime.settings import Settings


class SingleRecords:
    """Connects at the first use. `send` may be called from any task of one loop."""

    def __init__(self, settings: Settings, client_id: str) -> None:
        self._settings = settings
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def send(self, topic: str, value: bytes, partition: int, headers: list[tuple[str, bytes]]) -> None:
        """Returns once the brokers have the record.

        Raises MessageSizeTooLargeError where this record alone is too large, KafkaUnreachableError, or another
        KafkaError.
        """
        async with self._starting:
            if self._producer is None:
                self._producer = await start_producer(self._settings, self._client_id, one_by_one=True)
        await self._producer.send_and_wait(topic, value, partition=partition, headers=headers)

    async def stop(self) -> None:
        """What is on its way may fail."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await abandon_producer(producer)
