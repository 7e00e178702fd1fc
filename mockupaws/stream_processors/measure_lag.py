"""Asks the brokers how far a group is behind, over a connection of its own: what a wedged consumer remembers of the
log's end may be as old as its wedge."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from mockupaws.runtime.settings import Settings

MEASURE_SECONDS = 4.0
"""Limit of one measurement, connecting included."""
_CLOSE_SECONDS = 1.0


class Lag(NamedTuple):
    messages: int
    positions: tuple[int, ...]
    """Next offset of each partition that was asked for."""


class LagProbe:
    """Connects at the first measurement, and anew after one that failed."""

    def __init__(self, settings: Settings, topic: str, group: str) -> None:
        self._settings = settings
        self._topic = topic
        self._group = group
        self._consumer: Any = None

    async def measure(self, partitions: Collection[int], acknowledged: Mapping[int, int]) -> Lag | None:
        """Of these partitions, or of all of the topic where none is named; None where the brokers don't answer in time.

        `acknowledged`: next offsets this process knows of; the group's commit may be a little behind.
        """
        try:
            async with asyncio.timeout(MEASURE_SECONDS):
                return await self._measure(partitions, acknowledged)
        except (KafkaError, OSError, TimeoutError):
            await self.close()
            return None

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await consumer.stop()

    async def _measure(self, partitions: Collection[int], acknowledged: Mapping[int, int]) -> Lag:
        if self._consumer is None:
            self._consumer = AIOKafkaConsumer(  # of the group, but without a subscription: it joins nothing
                bootstrap_servers=self._settings.kafka_bootstrap_servers,
                group_id=self._group,
                enable_auto_commit=False,
                request_timeout_ms=int(MEASURE_SECONDS * 1000),
            )
            await self._consumer.start()
        numbers = sorted(partitions) or range(self._settings.kafka_partitions)
        places = [TopicPartition(self._topic, number) for number in numbers]
        ends = await self._consumer.end_offsets(places)
        starts = await self._consumer.beginning_offsets(places)
        positions = [
            max(starts[place], await self._consumer.committed(place) or 0, acknowledged.get(place.partition, 0))
            for place in places
        ]
        return Lag(sum(max(0, ends[p] - at) for p, at in zip(places, positions, strict=True)), tuple(positions))
