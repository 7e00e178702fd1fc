"""When too much goes to the dead letters, the process that reads holds instead of emptying its topic into them.

A defect of a release, or of a migration, looks like a flood of bad requests. Letters written before the limit is
reached can be redriven; what stands behind it in Kafka needs nothing at all once the cause is gone. Pure.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from mockupaws.runtime.errors import PermanentError
from mockupaws.runtime.settings import Settings


class DeadLetterLimitError(PermanentError):
    """The limit is reached: hold with what was read, until somebody looks."""


class DeadLetterLimit:
    """Counts outcomes of requests in the order they are read: None, or why nothing of one could be processed."""

    def __init__(self, *, window: int, min_count: int, max_share: float, max_consecutive: int) -> None:
        self._min_count = min_count
        self._max_share = max_share
        self._max_consecutive = max_consecutive
        self._recent: deque[bool] = deque(maxlen=window)
        self._consecutive = 0

    @classmethod
    def of(cls, settings: Settings) -> DeadLetterLimit:
        return cls(
            window=settings.dead_letter_window_requests,
            min_count=settings.dead_letter_min_requests,
            max_share=settings.dead_letter_max_share,
            max_consecutive=settings.dead_letter_max_consecutive,
        )

    def check(self, outcomes: Sequence[str | None]) -> None:
        """Raises DeadLetterLimitError where these would reach the limit. Counts nothing: they may be tried again."""
        if not any(outcomes):
            return
        recent, consecutive = self._recent.copy(), self._consecutive
        for outcome in outcomes:
            recent.append(outcome is not None)
            consecutive = consecutive + 1 if outcome is not None else 0
            if 0 < self._max_consecutive <= consecutive:
                raise DeadLetterLimitError(
                    f"{consecutive} requests in a row would go to the dead letters ({_commonest(outcomes)})"
                )
        letters = sum(recent)
        if letters >= self._min_count and letters > self._max_share * len(recent):
            raise DeadLetterLimitError(
                f"{letters} of the last {len(recent)} requests would be in the dead letters ({_commonest(outcomes)})"
            )

    def count(self, outcomes: Sequence[str | None]) -> None:
        """These are through."""
        for outcome in outcomes:
            self._recent.append(outcome is not None)
            self._consecutive = self._consecutive + 1 if outcome is not None else 0


def _commonest(outcomes: Sequence[str | None]) -> str:
    return Counter(outcome for outcome in outcomes if outcome is not None).most_common(1)[0][0]
