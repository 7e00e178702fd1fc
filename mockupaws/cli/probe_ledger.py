"""What a canary sent, what it has seen of it since, and the verdict on each probe. Pure: times are arguments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["stored", "lost", "duplicated", "unredacted"]
"""Of a line: read back once; not within the time allowed; more than once; with its personal data in it."""

MARK = "canary"
"""Source of each line, and the first word of its message."""


@dataclass(slots=True)
class Probe:
    """One request of marked lines."""

    marker: str
    lines: int
    accepted_at: float
    """Monotonic seconds of its 202."""
    seen: dict[int, set[str]] = field(default_factory=dict)
    """Number of the line → ids it was read back under."""
    complete_at: float | None = None
    lost: int = 0
    unredacted: set[int] = field(default_factory=set)

    def messages(self) -> list[str]:
        return [f"{MARK} {self.marker} {number} mail {self.secret}" for number in range(self.lines)]

    @property
    def secret(self) -> str:
        """Personal data each line carries, to see that it doesn't come back."""
        return f"{self.marker}@example.com"

    @property
    def duplicated(self) -> int:
        return sum(len(ids) - 1 for ids in self.seen.values())


@dataclass(frozen=True, slots=True)
class Change:
    """`lines` of a probe turned out so since the last look."""

    outcome: Outcome
    lines: int


class ProbeLedger:
    """The probes of the last `watch_seconds`; a line is lost when it isn't there `lost_after_seconds` after its 202."""

    def __init__(self, lost_after_seconds: float, watch_seconds: float) -> None:
        self._lost_after = lost_after_seconds
        self._watch = watch_seconds
        self._probes: dict[str, Probe] = {}

    def add(self, probe: Probe) -> None:
        self._probes[probe.marker] = probe

    @property
    def pending(self) -> int:
        """Probes that are neither complete nor lost."""
        return sum(probe.complete_at is None and not probe.lost for probe in self._probes.values())

    def observe(self, lines: Iterable[tuple[str, str]], now: float) -> tuple[list[Change], list[float]]:
        """Takes (id, message) of lines read back; answers what is new, and the freshness (s) of probes now complete.

        A line that comes after it was given up is stored after all: `lost` then counts it, and so does `stored`.
        """
        before = {marker: (len(p.seen), p.duplicated, len(p.unredacted)) for marker, p in self._probes.items()}
        for identifier, message in lines:
            self._note(identifier, message)
        changes: list[Change] = []
        freshness: list[float] = []
        for marker, probe in self._probes.items():
            seen, duplicated, unredacted = before[marker]
            changes += _change("stored", len(probe.seen) - seen)
            changes += _change("duplicated", probe.duplicated - duplicated)
            changes += _change("unredacted", len(probe.unredacted) - unredacted)
            if probe.complete_at is None and len(probe.seen) == probe.lines:
                probe.complete_at = now
                freshness.append(now - probe.accepted_at)
        return changes, freshness

    def judge(self, now: float) -> list[Change]:
        """What is lost by now; probes that were watched for long enough are forgotten."""
        changes: list[Change] = []
        for probe in self._probes.values():
            missing = probe.lines - len(probe.seen)
            if missing and not probe.lost and now - probe.accepted_at > self._lost_after:
                probe.lost = missing
                changes.append(Change("lost", missing))
        self._probes = {m: p for m, p in self._probes.items() if now - p.accepted_at <= self._watch}
        return changes

    def _note(self, identifier: str, message: str) -> None:
        words = message.split(" ", 3)
        if len(words) < 4 or words[0] != MARK or not words[2].isdecimal():
            return
        probe, number = self._probes.get(words[1]), int(words[2])
        if probe is None or number >= probe.lines:
            return
        probe.seen.setdefault(number, set()).add(identifier)
        if probe.secret in message:
            probe.unredacted.add(number)


def _change(outcome: Outcome, lines: int) -> list[Change]:
    return [Change(outcome, lines)] if lines else []
