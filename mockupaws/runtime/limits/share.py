"""What one process knows and holds of one limit of one subject. Pure, on a clock it is given that doesn't go back."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mockupaws.runtime.limits.counters import Ask, Counted
from mockupaws.runtime.limits.verdict import Verdict
from mockupaws.runtime.limits.window import Window, seconds_until_fits
from mockupaws.schemas.limits import DAY_SECONDS, Limit

LEASE_SECONDS = 0.1
"""How long units leased from Redis may be given out without asking it, and a refusal repeated."""
_LEASES_IN_MINUTE_LIMIT = 100
_LEASES_IN_DAY_LIMIT = 1000


@dataclass(slots=True)
class Share:
    limit: Limit
    allowance: int = 0
    """Units counted in Redis and not yet given out."""
    leased_until: float = 0.0
    debt: int = 0
    """Units given out and not yet counted in Redis."""
    owed_since: float = 0.0
    settling: bool = False
    """A call that tells Redis of the debt is on its way."""
    seen: Counted | None = None
    """Redis' last answer."""
    started: float = 0.0
    """When the window it was about began."""
    room: float = 0.0
    refused_until: float = 0.0
    refused_cost: int = 0
    refusals: int = 0
    """Given without asking, and not yet told."""
    alone: Window | None = None
    """What is counted here while Redis is away."""
    used_alone: Window | None = None
    """The part of it that Redis has to be told of."""

    def change_limit(self, limit: Limit) -> None:
        """An operator changed the number: what the old one allowed or refused says nothing any more."""
        self.limit = limit
        self.leased_until = self.refused_until = 0.0

    def repeats_refusal(self, cost: int, now: float) -> bool:
        return now < self.refused_until and cost >= self.refused_cost

    def covers(self, cost: int, now: float) -> bool:
        return now < self.leased_until and cost <= self.allowance

    def charge(self, units: int, now: float) -> None:
        """Counts units without asking: negative ones were counted before, and not used."""
        if units > 0:
            taken = min(units, self.allowance)
            self.allowance -= taken
            self._owe(units - taken, now)
        else:
            paid = min(-units, self.debt)
            self.debt -= paid
            self.allowance += -units - paid

    def ask(self, cost: int, now: float, *, trusting: bool) -> Ask:
        """What to ask Redis for; `answered` or `unanswered` follows.

        `trusting` is False after a call without an answer. A server that hangs may still do all it was asked for, much
        later: then it is asked for no more than the cost, and told of nothing.
        """
        settle, debt, alone = 0, 0, 0
        if trusting and not self.settling:
            debt, alone = self._owed(now), self._counted_alone(now)
            settle, self.allowance = debt + alone - self.allowance, 0
            self.settling = debt + alone > 0
        owes = debt + alone > 0
        seen, refusals, self.refusals = self.seen, self.refusals, 0
        parts = _LEASES_IN_MINUTE_LIMIT if self.limit.slides else _LEASES_IN_DAY_LIMIT
        lease = max(0, self.limit.maximum // parts - self.allowance) if trusting else 0
        if seen is None:
            return Ask(self.limit, cost, lease, settle, refusals=refusals, debt=debt, owes=owes)
        return Ask(
            self.limit, cost, lease, settle, seen.window, seen.epoch, seen.count, seen.previous, refusals, debt, owes
        )

    def answered(self, ask: Ask, counted: Counted, admitted: bool, now: float) -> None:
        if ask.owes:
            self.settling = False
            self.debt = max(0, self.debt - ask.debt)
            self.used_alone = None
        self.alone = None
        self.seen = counted
        self.started = now - counted.elapsed
        self.room = counted.room
        if admitted:
            self.allowance += counted.leased
            self.leased_until = now + LEASE_SECONDS
        elif counted.refuses:
            self.refused_cost = ask.cost
            self.refused_until = now + min(LEASE_SECONDS, self._wait(ask.cost, counted))

    def unanswered(self, ask: Ask) -> None:
        self.refusals += ask.refusals
        if ask.owes:
            self.settling = False

    def verdict(self, admitted: bool, cost: int, now: float) -> Verdict:
        """As far as this process knows what Redis holds."""
        assert self.seen is not None
        resets_in = max(0.0, self.started + self.limit.seconds - now)
        if admitted:
            return Verdict(True, self.limit, self.room + self.allowance - self.debt, resets_in)
        wait = max(self.refused_until - now, self._wait(cost, self.seen))
        return Verdict(False, self.limit, self.room, resets_in, wait)

    def window_alone(self, parts: int, now: float, seconds_of_day: float) -> Window:
        """The window counted here: begins with this process's part of what Redis last said."""
        if self.alone is None:
            limit, seen = self.limit, self.seen
            if seen is not None:
                self.alone = Window(
                    limit.seconds, limit.slides, self.started, seen.count / parts, seen.previous / parts
                )
            else:
                started = now - seconds_of_day if limit.seconds == DAY_SECONDS else now
                self.alone = Window(limit.seconds, limit.slides, started)
            # What Redis hasn't been told yet isn't in what it last said: otherwise each new outage would allow it anew.
            self.alone.add(self.debt + self._counted_alone(now), now)
        return self.alone

    def use_alone(self, units: int, now: float) -> None:
        assert self.alone is not None
        self.alone.add(units, now)
        if self.used_alone is None:
            self.used_alone = Window(self.limit.seconds, self.limit.slides, self.alone.started)
        self.used_alone.add(units, now)

    def _owe(self, units: int, now: float) -> None:
        if not self.debt:
            self.owed_since = now
        self.debt += units
        if self.alone is not None:
            self.alone.add(units, now)

    def _owed(self, now: float) -> int:
        if now - self.owed_since > self.limit.seconds:
            self.debt = 0  # of a window that has ended
        return self.debt

    def _counted_alone(self, now: float) -> int:
        return math.ceil(self.used_alone.used(now)) if self.used_alone is not None else 0

    def _wait(self, cost: int, counted: Counted) -> float:
        limit = self.limit
        need = min(cost, limit.maximum)
        return seconds_until_fits(
            counted.count, counted.previous, counted.elapsed, limit.seconds, limit.slides, need, limit.maximum
        )
