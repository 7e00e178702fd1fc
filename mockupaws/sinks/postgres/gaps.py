"""Decides which records of `ingest.requests` were lost on their way to the sink. Pure.

Missing is what the processors have passed and what has not arrived. That alone is no loss: answers may still be in
the topics the sink reads. So a snapshot is taken of what is missing and of where those topics end, and what is still
missing once the sink has stored everything up to those ends has been lost. A sink or a processor that lags is never
taken for a loss, however long it lags.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from mockupaws.sinks.postgres.spans import Span, complement, intersect, subtract, union

Answers = Mapping[UUID, int]
"""Topic id of each topic that carries answers → an offset of the partition in question."""


@dataclass(frozen=True, slots=True)
class SourcePartition:
    """A partition of `ingest.requests` at one moment."""

    first_offset: int
    """Where watching begins."""
    committed: int
    """Where the processors' group goes on; 0 where it has committed nothing."""
    arrived: list[Span]
    lost: list[Span]
    """What was given up."""
    answers_end: Answers
    """Where its answers' topics end, read after `committed`."""
    answers_stored: Answers
    """Up to where the sink has stored them, read before `arrived`."""

    @property
    def highest(self) -> int:
        """Without: the end of what has arrived."""
        return self.arrived[-1][1] if self.arrived else self.first_offset

    @property
    def missing(self) -> list[Span]:
        known = union(self.arrived, self.lost)
        return complement(known, self.first_offset, max(self.committed, self.highest))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was missing at `taken_at` (monotonic seconds)."""

    taken_at: float
    missing: list[Span]
    answers_end: Answers
    highest: int


def take_snapshot(now: float, partition: SourcePartition) -> Snapshot:
    return Snapshot(now, partition.missing, partition.answers_end, partition.highest)


def is_ripe(snapshot: Snapshot, now: float, partition: SourcePartition, gap_seconds: float) -> bool:
    """Whether what `snapshot` misses can be judged: it is old enough, and all answers of its time are stored."""
    return now - snapshot.taken_at >= gap_seconds and all(
        partition.answers_stored.get(topic_id, -1) >= end for topic_id, end in snapshot.answers_end.items()
    )


def still_holds(snapshot: Snapshot, partition: SourcePartition) -> bool:
    """Whether it is worth waiting for: some of it is still missing, and its answers' topics are still the same ones."""
    same_topics = snapshot.answers_end.keys() == partition.answers_end.keys()
    return same_topics and bool(intersect(snapshot.missing, partition.missing))


def losses_of(snapshot: Snapshot, partition: SourcePartition) -> list[Span]:
    """What is lost, once the snapshot is ripe.

    Behind the group's commit nothing is lost yet: the processor answers it again after a restart. Only where it has
    gone on since, and left the gap behind, it won't come back by itself.
    """
    missing = intersect(snapshot.missing, partition.missing)
    if partition.highest > snapshot.highest:
        return missing
    return subtract(missing, [(partition.committed, max(partition.committed, partition.highest))])


def count(spans: Iterable[Span]) -> int:
    return sum(end - start for start, end in spans)


def describe(spans: Iterable[Span], most: int = 10) -> str:
    """For logs: `4, 7-9`."""
    listed = list(spans)
    shown = [str(start) if end == start + 1 else f"{start}-{end - 1}" for start, end in listed[:most]]
    return ", ".join([*shown, f"and {len(listed) - most} more ranges"] if len(listed) > most else shown)
