"""What this process has put on `ingest.requests` and can't be read yet: how much, how old, and how fast it goes. Pure.

Each partition is a queue of which the process knows its own records: the offset and bytes of each, and when it was
acknowledged. Its head is the first offset that isn't stored. So the process measures in its own bytes what the whole
way behind it gets done, and several processes that share the way each measure the part of it they get.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_SAMPLES = 1000
"""Of a partition; where there are more, neighbours are joined, so that any age is remembered, only less finely."""
STUCK_SECONDS = 30.0
"""A partition whose head stood for so long, while others moved, is left out: its reader is gone, and letting in less
would mend nothing."""


@dataclass(slots=True)
class _Sample:
    """Own records acknowledged within one tick: they lie from `begin` up to, without, `end`."""

    begin: int
    end: int
    size: int
    since: float
    """When the first of them was acknowledged."""


@dataclass(slots=True)
class _Queue:
    stored: int = 0
    """Next offset to be stored."""
    moved_at: float = 0.0
    """When that last grew, or there began to be something to store."""
    samples: list[_Sample] = field(default_factory=list)
    """Oldest first; the last one is open."""

    def add(self, offset: int, size: int, now: float, seconds: float) -> None:
        last = self.samples[-1] if self.samples else None
        if last is not None and now - last.since < seconds:
            last.end = max(last.end, offset + 1)
            last.size += size
            return
        if last is None:
            self.moved_at = now
        # An ack out of order stands behind the one before: a little late is not wrong.
        begin = max(offset, last.end) if last is not None else offset
        self.samples.append(_Sample(begin, begin + 1, size, now))
        if len(self.samples) > MAX_SAMPLES:
            self.samples = [_joined(self.samples[at : at + 2]) for at in range(0, len(self.samples), 2)]

    def store(self, head: int, now: float) -> int:
        """Bytes of own records that were stored since the last time. A head that went back takes nothing back."""
        if head > self.stored:
            self.moved_at = now
        self.stored = head
        gone = next((at for at, sample in enumerate(self.samples) if sample.end > head), len(self.samples))
        served = sum(sample.size for sample in self.samples[:gone])
        del self.samples[:gone]
        if self.samples and self.samples[0].begin < head:
            first = self.samples[0]
            part = first.size * (head - first.begin) // (first.end - first.begin)
            first.begin = head
            first.size -= part
            served += part
        return served


def _joined(samples: list[_Sample]) -> _Sample:
    return _Sample(samples[0].begin, samples[-1].end, sum(sample.size for sample in samples), samples[0].since)


class Backlog:
    """Of one process. Times are monotonic seconds; `sample_seconds`: how finely ages are told."""

    def __init__(self, sample_seconds: float = 0.25) -> None:
        self._sample_seconds = sample_seconds
        self._queues: dict[int, _Queue] = {}

    def note_acknowledged(self, partition: int, offset: int, size: int, now: float) -> None:
        """A record of this process stands at the offset."""
        queue = self._queues.setdefault(partition, _Queue())
        if offset >= queue.stored:
            queue.add(offset, size, now, self._sample_seconds)

    def note_stored(self, heads: Mapping[int, int], now: float) -> int:
        """`heads`: next offset to be stored of each partition. Answers the own bytes stored since the last call."""
        return sum(self._queues.setdefault(number, _Queue()).store(head, now) for number, head in heads.items())

    @property
    def waits(self) -> bool:
        """Whether anything isn't known to be stored."""
        return any(queue.samples for queue in self._queues.values())

    def forget(self) -> None:
        """The topic was made anew: its offsets begin again."""
        self._queues.clear()

    def waiting(self, now: float) -> tuple[int, float]:
        """Own bytes that wait, and for how many seconds the oldest of them have; (0, 0): nothing waits."""
        queues = [queue for queue in self._queues.values() if queue.samples]
        moving = [queue for queue in queues if now - queue.moved_at <= STUCK_SECONDS] or queues
        size = sum(sample.size for queue in moving for sample in queue.samples)
        oldest = min((queue.samples[0].since for queue in moving), default=now)
        return size, max(0.0, now - oldest)
