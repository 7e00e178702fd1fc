"""Dead letters to Kafka, durable before the caller goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from mockupaws.runtime.kafka import start_producer, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas import dead_letters
from mockupaws.schemas.analysed import SOURCE_HEADER
from mockupaws.schemas.dead_letters import DeadLetter, encode_dead_letter
from mockupaws.schemas.topics import DEAD_LETTERS

PUBLISH_SECONDS = 10.0


class DeadLetterPublisher:
    """Starts its producer at the first letter: most sinks never need one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = topic_name(settings, DEAD_LETTERS)
        self._producer: AIOKafkaProducer | None = None

    async def publish(self, letters: Sequence[DeadLetter]) -> None:
        """Returns when all letters are acknowledged. Raises KafkaError or TimeoutError: none may be taken for sent."""
        if not letters:
            return
        if self._producer is None:
            self._producer = await start_producer(self._settings, f"dead-letters-{self._settings.sink_instance}")
        async with asyncio.timeout(PUBLISH_SECONDS):
            futures = [await self._send(self._producer, letter) for letter in letters]
            await asyncio.gather(*futures)

    async def _send(self, producer: AIOKafkaProducer, letter: DeadLetter) -> asyncio.Future[object]:
        headers = [
            ("schema_version", str(dead_letters.SCHEMA_VERSION).encode()),
            (SOURCE_HEADER, f"{letter.partition}:{letter.offset}".encode()),
        ]
        partition = letter.partition % self._settings.kafka_partitions
        future: asyncio.Future[object] = await producer.send(
            self._topic, encode_dead_letter(letter), partition=partition, headers=headers
        )
        return future

    async def stop(self) -> None:
        """Bounded: nothing is pending here that `publish` did not wait for."""
        if self._producer is not None:
            try:
                await asyncio.wait_for(self._producer.stop(), PUBLISH_SECONDS)
            except TimeoutError:
                return
