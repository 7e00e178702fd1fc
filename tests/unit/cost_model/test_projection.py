"""A month from a part of one: hours of the day by their own mean, and bounds from how the traffic varied."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mockupaws.cost_model.architecture import Growth
from mockupaws.cost_model.projection import project_month
from mockupaws.cost_model.quantities import MONTH_SECONDS, Quantities, volume_step, volumes_of_minutes

DAY = 86_400
HOUR = 3600
MIDNIGHT = 1_795_564_800


def measured(by_minute: dict[int, int], first: int | None = None, last: int | None = None) -> Quantities:
    first, last = (min(by_minute) if first is None else first), (max(by_minute) if last is None else last)
    step = volume_step(first, last)
    return Quantities(
        requests=1,
        entries=sum(by_minute.values()),
        first_minute=first,
        last_minute=last,
        active_minutes=len(by_minute),
        volumes=volumes_of_minutes(by_minute, step),
        volume_seconds=step,
    )


def day(start: int, lines_by_day: int, lines_by_night: int) -> dict[int, int]:
    """Lines a minute from 8 to 20 o'clock and in the other half of a day."""
    return {
        minute: lines_by_day if 8 <= minute % DAY // HOUR < 20 else lines_by_night
        for minute in range(start, start + DAY, 60)
    }


def test_an_even_day_goes_on_as_it_was() -> None:
    factors, projection = project_month(measured(day(MIDNIGHT, 10, 10)), Growth())
    assert factors.low == factors.likely == factors.high
    assert projection.lines_likely == 14_400 * MONTH_SECONDS // DAY
    assert (projection.stretch, projection.stretches, projection.relative_error) == ("hours", 24, Decimal(0))
    assert projection.by_hour_of_day
    assert set(projection.hour_shares) == {Decimal("0.0417")}


def test_hours_measured_twice_do_not_count_twice() -> None:
    noon_to_midnight = {m: n for m, n in day(MIDNIGHT, 20, 2).items() if m % DAY >= 12 * HOUR}
    both = measured(noon_to_midnight | day(MIDNIGHT + DAY, 20, 2))
    _, projection = project_month(both, Growth())
    a_day = 12 * 60 * (20 + 2)
    assert projection.lines_likely == a_day * MONTH_SECONDS // DAY
    plain = both.entries * MONTH_SECONDS // both.span_seconds
    assert plain > projection.lines_likely, "the span has more afternoon than a day has"


def test_three_days_are_compared_as_days_and_not_by_their_nights() -> None:
    busy = [100, 110, 120]
    lines = {m: n for number, rate in enumerate(busy) for m, n in day(MIDNIGHT + number * DAY, rate, 1).items()}
    _, projection = project_month(measured(lines), Growth())
    assert (projection.stretch, projection.stretches) == ("days", 3)
    daily = [720 * (rate + 1) for rate in busy]
    mean = sum(daily) / 3
    s = (sum((d - mean) ** 2 for d in daily) / 2) ** 0.5
    assert float(projection.relative_error) == pytest.approx(4.303 * s / 3**0.5 / mean, abs=1e-4)
    assert projection.lines_low < projection.lines_likely < projection.lines_high


def test_a_short_span_is_looked_at_by_the_minute() -> None:
    lines = {MIDNIGHT + 60 * minute: 10 + minute % 3 for minute in range(60)}
    _, projection = project_month(measured(lines), Growth())
    assert (projection.stretch, projection.stretches) == ("minutes", 60)
    assert Decimal(0) < projection.relative_error < Decimal("0.03")


def test_stretches_without_a_line_count() -> None:
    burst = measured({MIDNIGHT: 600, MIDNIGHT + 60: 600}, MIDNIGHT, MIDNIGHT + 59 * 60)
    _, projection = project_month(burst, Growth())
    assert projection.busiest_stretch_to_mean == 30
    assert projection.relative_error > 1
    assert projection.lines_low == 0


@pytest.mark.parametrize("minutes", [1, 2])
def test_too_little_tells_nothing_of_the_spread(minutes: int) -> None:
    _, projection = project_month(measured({MIDNIGHT + 60 * m: 5 + m for m in range(minutes)}), Growth())
    assert (projection.stretches, projection.stretch) == (0, "")
    assert projection.lines_low == projection.lines_likely == projection.lines_high


def test_nothing_and_volumes_that_are_not_known() -> None:
    factors, projection = project_month(Quantities(), Growth())
    assert factors.likely == 0
    assert projection.lines_high == 0
    unknown = Quantities(requests=1, entries=100, first_minute=MIDNIGHT, last_minute=MIDNIGHT + 2 * DAY)
    factors, projection = project_month(unknown, Growth())
    assert factors.low == factors.likely
    assert not projection.by_hour_of_day
    assert projection.stretches == 0
