"""What a check comes to, and how it is told: the same words and headers from gateway and API. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from mockupaws.schemas.limits import Limit


@dataclass(frozen=True, slots=True)
class Verdict:
    admitted: bool
    limit: Limit | None = None
    """The one that refused, or the first that was asked; None: nothing is limited."""
    remaining: float = 0.0
    resets_in: float = 0.0
    """Seconds until the window ends."""
    wait: float = 0.0
    """Seconds until the same would be admitted, if nothing else comes meanwhile."""

    @property
    def retry_after(self) -> int:
        return max(1, math.ceil(self.wait))

    @property
    def headers(self) -> dict[str, str]:
        if self.limit is None:
            return {}
        reset = self.resets_in if self.admitted else self.wait
        return {
            "RateLimit-Limit": str(self.limit.maximum),
            "RateLimit-Remaining": str(max(0, math.floor(self.remaining))),
            "RateLimit-Reset": str(max(1, math.ceil(reset))),
        }

    @property
    def reason(self) -> str:
        """Of a refusal: what is used up, when to come again, where to look."""
        assert self.limit is not None
        limit = self.limit
        when = f"{self.retry_after} s" if self.retry_after < 120 else str(timedelta(seconds=self.retry_after))
        what = f"{limit.maximum:,} {limit.unit} a {limit.period} ({limit.name})"
        return f"the tenant's {what} are used up: come again in {when}; GET /api/v1/limits shows each limit and its use"


UNLIMITED = Verdict(admitted=True)
