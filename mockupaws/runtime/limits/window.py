"""Counts units in a window, on a clock it is given: what `count.lua` does in Redis, for a process alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Window:
    """Minutes slide: of the window before, the share that still lies within the last `seconds` is taken as used."""

    seconds: float
    slides: bool
    started: float
    """Seconds of a clock that doesn't go back."""
    count: float = 0.0
    previous: float = 0.0

    def used(self, now: float) -> float:
        self._roll(now)
        fading = self.previous * (1 - (now - self.started) / self.seconds) if self.slides else 0.0
        return self.count + fading

    def add(self, units: float, now: float) -> None:
        self._roll(now)
        self.count = max(0.0, self.count + units)

    def resets_in(self, now: float) -> float:
        self._roll(now)
        return self.started + self.seconds - now

    def wait(self, need: float, maximum: float, now: float) -> float:
        """Seconds until `need` units fit, if nobody uses more meanwhile; `need` is at most `maximum`."""
        self._roll(now)
        return seconds_until_fits(
            self.count, self.previous, now - self.started, self.seconds, self.slides, need, maximum
        )

    def _roll(self, now: float) -> None:
        passed = int((now - self.started) // self.seconds)
        if passed > 0:
            self.previous = self.count if passed == 1 else 0.0
            self.count = 0.0
            self.started += passed * self.seconds


def seconds_until_fits(
    count: float, previous: float, elapsed: float, seconds: float, slides: bool, need: float, maximum: float
) -> float:
    """`elapsed`: seconds since the window began."""
    fading = previous * (1 - elapsed / seconds) if slides else 0.0
    if count + fading + need <= maximum:
        return 0.0
    if not slides:
        return seconds - elapsed
    if count + need <= maximum:  # enough of the window before fades out within this one
        return max(0.0, (1 - (maximum - need - count) / previous) * seconds - elapsed)
    return seconds - elapsed + max(0.0, (1 - (maximum - need) / count) * seconds)
