"""A sink that can't come by its positions says at which step, and ends where it alone can't."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import TopicPartition

from mockupaws.runtime.kafka import topic_name
from mockupaws.runtime.postgres import Pool, open_pool
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.topics import ANALYSED
from mockupaws.sinks.positions import Limits, Positions, StepTimeoutError, UnsettledError
from mockupaws.sinks.progress import Progress
from tests.running_stack import free_ports

QUICK = Limits(step=3.0, unsettled=0.0)


class DeafConsumer:
    """Its connection to the brokers is stuck: it has a partition, and no question is ever answered."""

    def __init__(self, settings: Settings) -> None:
        self._partition = TopicPartition(topic_name(settings, ANALYSED), 0)

    def assignment(self) -> set[TopicPartition]:
        return {self._partition}

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: list[TopicPartition]) -> Any:
        await asyncio.Event().wait()


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    opened = await open_pool(settings.postgres_sink_url, settings)
    yield opened
    await opened.close()


def positions(settings: Settings, pool: Pool, limits: Limits) -> Positions:
    made = Positions(settings, pool, "postgres", Progress(active_at=time.monotonic()), limits)
    made.consumer = DeafConsumer(settings)
    return made


async def test_a_step_that_hangs_is_named_and_tried_again(settings: Settings, pool: Pool) -> None:
    hung = positions(settings, pool, dataclasses.replace(QUICK, unsettled=1000.0))
    with pytest.raises(StepTimeoutError, match="end of the log: no answer in time"):
        await hung.settle()


async def test_it_ends_where_kafka_and_postgres_answer_others(settings: Settings, pool: Pool) -> None:
    with pytest.raises(UnsettledError, match="though Kafka and Postgres answer"):
        await positions(settings, pool, QUICK).settle()


async def test_it_waits_on_while_they_do_not(settings: Settings, pool: Pool) -> None:
    away = dataclasses.replace(settings, postgres_sink_url=f"postgresql://nobody@127.0.0.1:{free_ports(1)[0]}/none")
    with pytest.raises(StepTimeoutError):
        await positions(away, pool, QUICK).settle()
