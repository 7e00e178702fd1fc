"""How far a sink is: lag in messages and seconds, and whether it is stuck."""

from __future__ import annotations

from dataclasses import dataclass

STUCK_AFTER_SECONDS = 30.0


@dataclass(slots=True)
class Progress:
    """Written by the consuming loop, read by the watchdog and the health server. Times are monotonic seconds."""

    active_at: float
    """When the sink last did something: received, began or ended a transaction, tried again."""
    writing: bool = False
    """A transaction is running; it has its own limit."""
    retrying: str | None = None
    """Class of the error the last attempt failed with; None after a success."""
    settled: bool = False
    """All assigned partitions have their offset from Postgres."""
    lag_messages: int | None = None
    """Records between what is committed and the ends of the logs; None until known."""
    committed_timestamp_ms: int | None = None
    """Time of the newest committed record."""
    oldest_pending_ms: int | None = None
    """Time of the oldest record read and not yet committed."""

    def is_stuck(self, now: float) -> bool:
        """There is something to read, nothing is being written, and nothing has happened for too long."""
        return bool(self.lag_messages) and not self.writing and now - self.active_at > STUCK_AFTER_SECONDS

    def lag_seconds(self, now_ms: int) -> float | None:
        """Age of the oldest record that isn't committed, as far as it can be told without reading it."""
        if self.lag_messages == 0:
            return 0.0
        since = self.oldest_pending_ms or self.committed_timestamp_ms
        if self.lag_messages is None or since is None:
            return None
        return max(0.0, (now_ms - since) / 1000)
