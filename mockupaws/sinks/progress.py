"""How far a sink is: lag in messages and seconds, and whether it is stuck."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from aiokafka import TopicPartition

STUCK_AFTER_SECONDS = 30.0


@dataclass(slots=True)
class Progress:
    """Written by the consuming loop and the watchdog, read by the health server. Times are monotonic seconds."""

    active_at: float
    """When the sink last did something: received, began or ended a transaction, tried its store again."""
    writing: bool = False
    """A transaction is running; it has its own limit."""
    retrying: str | None = None
    """Class of the error the last attempt failed with; None after a success."""
    held: str | None = None
    """Why nothing more is written until the process is started again; None while it works."""
    settled: bool = False
    """All assigned partitions have their offset from Postgres."""
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    """The next offset to store of each partition with a known one."""
    pending: dict[TopicPartition, deque[tuple[int, int]]] = field(default_factory=dict)
    """(offset, timestamp in ms) of the first record of each batch that is read and not stored, oldest first."""
    waiting: dict[TopicPartition, tuple[int, int]] = field(default_factory=dict)
    """(offset, timestamp in ms) of the next record to store, where the watchdog had to look it up."""
    lag_messages: int | None = None
    """Records between what is stored and the ends of the logs; None until known."""

    def touch(self, now: float, *, writing: bool | None = None) -> None:
        """The sink did something; `writing`: it began or ended a transaction."""
        self.active_at = now
        if writing is not None:
            self.writing = writing

    def note_read(self, partition: TopicPartition, offset: int, timestamp_ms: int) -> None:
        """A batch begins with this record of the partition."""
        self.pending.setdefault(partition, deque()).append((offset, timestamp_ms))

    def note_stored(self, partition: TopicPartition, end: int) -> None:
        """Everything before `end` is stored."""
        self.committed[partition] = end
        batches = self.pending.get(partition)
        while batches and batches[0][0] < end:
            batches.popleft()

    def forget(self) -> None:
        """Offsets and what was read are void."""
        self.settled = False
        self.committed.clear()
        self.pending.clear()
        self.waiting.clear()

    def is_stuck(self, now: float) -> bool:
        """There is something to read, nothing is being written, and nothing has happened for too long."""
        return bool(self.lag_messages) and not self.writing and now - self.active_at > STUCK_AFTER_SECONDS

    def oldest_ms(self, partition: TopicPartition) -> int | None:
        """Timestamp of the next record to store; None where it isn't known."""
        batches = self.pending.get(partition)
        if batches:
            return batches[0][1]
        offset, timestamp_ms = self.waiting.get(partition, (-1, 0))
        return timestamp_ms if offset == self.committed.get(partition) else None

    def lag_seconds(self, now_ms: int) -> float | None:
        """Age of the oldest record that isn't stored; None while it isn't known."""
        if self.lag_messages == 0:
            return 0.0
        known = [self.oldest_ms(partition) for partition in list(self.committed)]
        oldest = min((timestamp for timestamp in known if timestamp is not None), default=None)
        return None if self.lag_messages is None or oldest is None else max(0.0, (now_ms - oldest) / 1000)
