"""Decides when a source record may be acknowledged: in the order of the partition, once all its answers are durable.

Faust commits past a record that is acknowledged later than its successor (faust-streaming #606), so a record waits
here for each one before it. Pure: the caller acknowledges what it is handed.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Record = TypeVar("Record")


class PendingRecord(Generic[Record]):
    """A source record and the answers of it that are not durable yet."""

    __slots__ = ("partition", "record", "waiting")

    def __init__(self, partition: int, record: Record, answers: int) -> None:
        self.partition = partition
        self.record = record
        self.waiting = answers


class AckOrder(Generic[Record]):
    """One queue of pending records for each partition, in the order they were read."""

    def __init__(self) -> None:
        self._queues: dict[int, deque[PendingRecord[Record]]] = {}

    def open(self, partition: int, record: Record, answers: int) -> PendingRecord[Record]:
        """To be called in the partition's order, before the first of the record's `answers` (≥ 1) is sent."""
        pending = PendingRecord(partition, record, answers)
        self._queues.setdefault(partition, deque()).append(pending)
        return pending

    def answered(self, pending: PendingRecord[Record]) -> list[Record]:
        """One more answer of this record is durable: the records that may be acknowledged now, in order."""
        pending.waiting -= 1
        queue = self._queues[pending.partition]
        ready: list[Record] = []
        while queue and queue[0].waiting == 0:
            ready.append(queue.popleft().record)
        return ready

    def oldest(self) -> list[Record]:
        """The first pending record of each partition."""
        return [queue[0].record for queue in list(self._queues.values()) if queue]
