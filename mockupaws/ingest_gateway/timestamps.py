"""A producer's timestamp → epoch µs. A naive time is UTC; a number's magnitude tells its unit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Self

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_US = 1_000_000
_MICROSECOND = timedelta(microseconds=1)


class TimestampError(ValueError):
    """The timestamp lies outside the range; the message says which."""


class TimestampRange(msgspec.Struct, frozen=True):
    oldest_us: int
    newest_us: int

    @classmethod
    def at(cls, now_us: int, oldest_year: int, newest_seconds: int) -> Self:
        return cls(_begin_of(oldest_year), now_us + newest_seconds * _SECOND_US)

    def check(self, value: datetime | int | float) -> int:
        """Epoch µs of `value`. Raises TimestampError."""
        micros = _micros(value) if isinstance(value, datetime) else epoch_us(value)
        if micros < self.oldest_us:
            raise TimestampError("timestamp: before the oldest one accepted")
        if micros > self.newest_us:
            raise TimestampError("timestamp: too far in the future")
        return micros


@cache
def _begin_of(year: int) -> int:
    return _micros(datetime(year, 1, 1, tzinfo=UTC))


def epoch_us(number: int | float) -> int:
    """Seconds below 10¹¹ (the year 5138), then ms, µs, ns a thousandfold each; fractions are kept down to 1 µs."""
    size = abs(number)
    if size < 100_000_000_000:
        return round(number * _SECOND_US)
    if size < 100_000_000_000_000:
        return round(number * 1000)
    if size < 100_000_000_000_000_000:
        return round(number)
    return int(number) // 1000


def _micros(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND
