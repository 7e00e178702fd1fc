"""What a sink is, and what it gathers before one transaction: items in the order read, and their range of offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from uuid import UUID


class SourceRecord(Protocol):
    """What sinks read of a Kafka record; aiokafka's ConsumerRecord is one."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...
    @property
    def value(self) -> bytes | None: ...


class Item(Protocol):
    """A record after decoding, as a sink will write it."""

    @property
    def line_count(self) -> int: ...
    @property
    def size_bytes(self) -> int: ...


ItemT = TypeVar("ItemT", bound=Item)


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Offsets of one partition from `start` up to, without, `end`."""

    topic: str
    topic_id: UUID
    partition: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A batch is written when it is `max_age_seconds` old, or when it has reached either size."""

    max_lines: int
    max_bytes: int
    max_age_seconds: float
    rest_seconds: float = 0.0
    """How long nothing is read once all there was has been: what arrives meanwhile is then read at once."""


@dataclass(slots=True)
class Batch(Generic[ItemT]):
    """Items of one generation of the assignment; a batch of an older one is dropped, not written."""

    generation: int
    limits: BatchLimits
    items: list[ItemT] = field(default_factory=list)
    line_count: int = 0
    size_bytes: int = 0
    first_at: float | None = None
    """Monotonic time of the first item."""
    _ranges: dict[tuple[str, int], OffsetRange] = field(default_factory=dict)

    def add(self, item: ItemT, record: SourceRecord, topic_id: UUID, start: int, now: float) -> None:
        """Appends the item of `record`, the first that stands at or after `start`."""
        self.items.append(item)
        self.line_count += item.line_count
        self.size_bytes += item.size_bytes
        if self.first_at is None:
            self.first_at = now
        key = (record.topic, record.partition)
        known = self._ranges.get(key)
        self._ranges[key] = OffsetRange(
            record.topic, topic_id, record.partition, start if known is None else known.start, record.offset + 1
        )

    def begins(self, record: SourceRecord) -> bool:
        """Whether it holds nothing of the record's partition yet."""
        return (record.topic, record.partition) not in self._ranges

    @property
    def ranges(self) -> list[OffsetRange]:
        """One range a partition, sorted, so that all sinks lock offsets in one order."""
        return [self._ranges[key] for key in sorted(self._ranges)]

    def is_full(self) -> bool:
        return self.line_count >= self.limits.max_lines or self.size_bytes >= self.limits.max_bytes

    def is_due(self, now: float) -> bool:
        return self.first_at is not None and (self.is_full() or now - self.first_at >= self.limits.max_age_seconds)

    def seconds_until_due(self, now: float) -> float | None:
        """None while it is empty."""
        if self.first_at is None:
            return None
        return 0.0 if self.is_full() else max(0.0, self.first_at + self.limits.max_age_seconds - now)


class Sink(Protocol[ItemT]):
    """A store that takes batches. `name` is the key of its offsets and of its applied requests."""

    @property
    def name(self) -> str: ...

    def decode(self, record: SourceRecord) -> ItemT:
        """Never raises: what can't be decoded is an item too."""
        ...

    async def write(self, items: Sequence[ItemT], ranges: Sequence[OffsetRange]) -> None:
        """Stores the items and moves the offsets, both or neither. Raises OffsetConflictError."""
        ...

    def is_retriable(self, error: BaseException) -> bool: ...
