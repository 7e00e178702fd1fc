"""How many bytes a second a gateway process lets in, so that what it lets in can soon be read. Pure.

The delay of a request let in now is what waits before it, divided by what is being stored a second (Little's law);
both are known in the process's own bytes (`backlog.py`). Where what waits has become old and this delay is beyond the
limit, the process lets in as much as is stored, and more or less of it by how far the delay is from half the limit:
the queue then settles there by itself. Since what is stored a second stays the same while there is a queue, whatever
is let in, delay and rate don't chase each other.

What stands still is an outage, not load: Kafka is there to hold what comes meanwhile, and nothing is limited by lag.
Once it moves again, at least half of what is stored is let in at any delay.
Only the topics' retention ends that: near it less is let in, and at last nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, NamedTuple

State = Literal["open", "limiting", "stalled", "signal_missing", "retention"]
STATES: tuple[State, ...] = ("open", "limiting", "stalled", "signal_missing", "retention")
"""
open            all is let in
limiting        as much is let in as can be read soon
stalled         nothing of this process is being stored: an outage behind it; all is let in
signal_missing  it isn't known what is stored, since Postgres or Kafka didn't tell; all is let in
retention       the oldest unread record is about to expire; less is let in, or nothing
"""

SERVICE_SECONDS = 10.0
"""Over how long the bytes stored a second are measured."""
STILL_SECONDS = 5.0
"""Nothing was stored for so long: no limit begins."""
STALLED_SECONDS = 15.0
"""Nothing was stored for so long: the limit ends."""
SIGNAL_SECONDS = 10.0
"""What was heard longer ago counts as not known."""
CALM_SECONDS = 3.0
"""The delay was below a quarter of the limit for so long: the limit ends."""
LEAST_SHARE, LARGEST_SHARE = 0.5, 1.25
"""Of what is stored, that is let in."""
FLOOR_SHARE = 0.25
"""Of what was stored when the limit began, that is let in always: where less is stored because less was let in, the one
must not pull the other down."""
RETENTION_CLOSED = 0.98
"""Used share of the retention at which nothing more is let in."""


class Tick(NamedTuple):
    """What was seen in one look. Times are monotonic seconds."""

    now: float
    served_bytes: int
    """Own bytes that were stored since the last look."""
    waiting_bytes: int
    oldest_seconds: float
    offered_bytes_per_second: float
    heard_at: float
    """When it was last heard what is stored."""
    retention_used: float
    """Share of the retention that the oldest unread record has used; 0 where it isn't known."""


@dataclass(frozen=True, slots=True)
class Decision:
    state: State
    rate: float | None
    """Bytes a second to be let in; None: all."""
    delay_seconds: float
    """Until what is let in now can be read, as far as is known."""


class LagControl:
    """Of one process. `limit_seconds` 0: never limits by lag; `retention_ratio` 1: never by retention."""

    def __init__(self, limit_seconds: float, retention_ratio: float) -> None:
        self._limit = limit_seconds
        self._retention_ratio = retention_ratio
        self._served: deque[tuple[float, float, int]] = deque()
        """(from, until, bytes) of each look in which something was stored, and of those between."""
        self._looked_at: float | None = None
        self._served_at: float | None = None
        self._calm_since: float | None = None
        self._limiting = False
        self._rate = self._floor = 0.0

    def look(self, tick: Tick) -> Decision:
        """To be called about once a second."""
        service = self._measure_service(tick)
        delay = max(tick.waiting_bytes / service if service else 0.0, tick.oldest_seconds)
        decision = self._by_lag(tick, service, delay)
        return self._by_retention(tick, decision)

    def _measure_service(self, tick: Tick) -> float:
        """Bytes stored a second, while anything is; 0: nothing was for SERVICE_SECONDS."""
        began, self._looked_at = self._looked_at, tick.now
        if tick.served_bytes:
            if self._served_at is not None and tick.now - self._served_at > STILL_SECONDS:
                self._served.clear()  # a pause says nothing of how fast it goes
            self._served_at = tick.now
        if began is not None and (tick.served_bytes or self._served):
            self._served.append((began, tick.now, tick.served_bytes))
        while self._served and (self._served[0][1] < tick.now - SERVICE_SECONDS or not self._served[0][2]):
            self._served.popleft()
        if not self._served:
            return 0.0
        return sum(size for _, _, size in self._served) / max(1e-3, tick.now - self._served[0][0])

    def _by_lag(self, tick: Tick, service: float, delay: float) -> Decision:
        still = tick.now - self._served_at if self._served_at is not None else float("inf")
        if not self._limit:
            return self._open("open", delay)
        if tick.now - tick.heard_at > SIGNAL_SECONDS:
            return self._open("signal_missing", delay)
        if tick.waiting_bytes and still > STALLED_SECONDS and tick.oldest_seconds > STALLED_SECONDS:
            return self._open("stalled", delay)
        if not self._limiting:
            begins = still <= STILL_SECONDS and tick.oldest_seconds >= self._limit / 2 and delay >= self._limit
            if not begins:
                return self._open("open", delay)
            self._limiting, self._floor = True, service * FLOOR_SHARE
        if delay >= self._limit / 4:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = tick.now
        elif tick.now - self._calm_since >= CALM_SECONDS:
            return self._open("open", delay)
        if service:
            share = min(LARGEST_SHARE, max(LEAST_SHARE, 1.5 - delay / self._limit))
            self._rate = max(self._floor, service * share)
        return Decision("limiting", self._rate, delay)

    def _open(self, state: State, delay: float) -> Decision:
        self._limiting = False
        self._calm_since = None
        return Decision(state, None, delay)

    def _by_retention(self, tick: Tick, decision: Decision) -> Decision:
        begins = self._retention_ratio
        if begins >= 1 or tick.retention_used < begins:
            return decision
        left = max(0.0, RETENTION_CLOSED - tick.retention_used) / max(1e-9, RETENTION_CLOSED - begins)
        rate = tick.offered_bytes_per_second * left
        return Decision(
            "retention", rate if decision.rate is None else min(rate, decision.rate), decision.delay_seconds
        )
