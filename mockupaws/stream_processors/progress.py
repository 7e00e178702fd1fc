"""Whether the processor moves, and if not, whose fault it is. Pure: times are monotonic seconds, handed in.

Three things look alike from outside: the brokers are away (wait: a restart would mend nothing), the process holds at
the dead-letter limit (wait for an operator), and its consumer or producer is wedged (only a restart mends it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

STALLED_SECONDS = 30.0
"""There is lag, the brokers answer, and no record was read or acknowledged for so long."""
STUCK_SECONDS = 60.0
"""One record waits for its acknowledgement for so long, though others may move: a wedged idempotent producer
(aiokafka #1017)."""
UNASSIGNED_SECONDS = 120.0
"""Nobody moves the topic, and this process has no partition of it for so long: its membership may be wedged."""
AWAY_SECONDS = 300.0
"""The brokers answer nothing for so long: clients made anew look at the brokers' addresses again."""

Failure = Literal["consumer_stalled", "producer_stuck", "membership_stuck", "brokers_away"]


@dataclass(slots=True)
class ProcessorProgress:
    """Written by the watching timer, read by the health server's thread."""

    moved_at: float
    """When something was last seen to move; also when the brokers came back."""
    answered_at: float
    """When the brokers last answered."""
    back_at: float
    """When they last came back."""
    lag_messages: int | None = None
    """Records behind what is acknowledged; None until the brokers were asked."""
    brokers_answer: bool = True
    _seen: tuple[int, ...] = ()

    @classmethod
    def begin(cls, now: float) -> ProcessorProgress:
        return cls(moved_at=now, answered_at=now, back_at=now)

    def note_lag(self, now: float, lag_messages: int, seen: tuple[int, ...]) -> None:
        """The brokers answered. `seen`: what grows, or changes, with each step forward."""
        if not self.brokers_answer:
            self.brokers_answer = True
            self.back_at = self.moved_at = now
        self.answered_at = now
        if seen != self._seen or lag_messages == 0:
            self.moved_at = now
            self._seen = seen
        self.lag_messages = lag_messages

    def note_silence(self) -> None:
        """The brokers did not answer in time."""
        self.brokers_answer = False

    def failure(self, now: float, *, held: bool, assigned: bool, longest_wait_seconds: float) -> Failure | None:
        """What only a restart mends. `held`: it waits of its own accord, for an operator or for policies."""
        if not self.brokers_answer:
            return "brokers_away" if now - self.answered_at > AWAY_SECONDS else None
        if min(longest_wait_seconds, now - self.back_at) > STUCK_SECONDS:
            return "producer_stuck"
        if held or not self.lag_messages:
            return None
        still = now - self.moved_at
        if assigned:
            return "consumer_stalled" if still > STALLED_SECONDS else None
        return "membership_stuck" if still > UNASSIGNED_SECONDS else None

    def still_seconds(self, now: float) -> float:
        """For how long nothing has moved though there is lag."""
        return now - self.moved_at if self.lag_messages else 0.0
