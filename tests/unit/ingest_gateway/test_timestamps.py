from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockupaws.ingest_gateway.timestamps import TimestampError, TimestampRange, epoch_us

MOMENT_US = 1_790_000_000_123_456
RANGE = TimestampRange.at(MOMENT_US, 2000, 60)


@pytest.mark.parametrize(
    ("number", "micros"),
    [
        (1_790_000_000, 1_790_000_000_000_000),
        (1_790_000_000.5, 1_790_000_000_500_000),
        (1_790_000_000_123, 1_790_000_000_123_000),
        (1_790_000_000_123_456, MOMENT_US),
        (1_790_000_000_123_456_789, MOMENT_US),
    ],
)
def test_the_magnitude_tells_the_unit(number: float, micros: int) -> None:
    assert epoch_us(number) == micros


def test_range() -> None:
    assert RANGE.check(datetime(2000, 1, 1)) == 946_684_800_000_000  # noqa: DTZ001 - a naive time is UTC
    assert RANGE.check(datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == 1_767_222_000_000_000
    assert RANGE.check(MOMENT_US + 60_000_000) == MOMENT_US + 60_000_000
    for outside in (datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC), 0, -1, 1e300, -1e300, 2**64, 4_102_444_800):
        with pytest.raises(TimestampError):
            RANGE.check(outside)


@given(st.datetimes(min_value=datetime(2001, 1, 1), max_value=datetime(2026, 1, 1)))  # noqa: DTZ001
def test_datetime_and_epoch_agree(moment: datetime) -> None:
    utc = moment.replace(tzinfo=UTC)
    assert RANGE.check(utc) == RANGE.check((utc - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
