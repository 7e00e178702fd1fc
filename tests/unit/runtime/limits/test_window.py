from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockupaws.runtime.limits.window import Window
from mockupaws.schemas.limits import seconds_until_used_up

LIMIT = 100


@given(st.lists(st.floats(0.001, 90), min_size=1, max_size=200))
def test_a_sliding_minute_admits_at_most_its_limit_a_minute_under_steady_demand(gaps: list[float]) -> None:
    """And never twice the limit across a boundary, which a fixed minute does."""
    window, now = Window(60, True, 0), 0.0
    admitted: list[float] = []
    for gap in gaps:
        now += gap
        for _ in range(LIMIT):
            if window.used(now) + 1 <= LIMIT:
                window.add(1, now)
                admitted.append(now)
        counted = sum(at > now - 60 for at in admitted)
        assert window.used(now) <= LIMIT
        assert counted <= 2 * LIMIT


@given(st.lists(st.tuples(st.floats(0.01, 80), st.integers(1, 100)), min_size=1, max_size=50), st.booleans())
def test_what_waits_as_long_as_it_is_told_fits_then_and_not_before(
    steps: list[tuple[float, int]], slides: bool
) -> None:
    window, now = Window(60, slides, 0), 0.0
    for gap, need in steps:
        now += gap
        wait = window.wait(need, LIMIT, now)
        if wait:
            assert window.used(now) + need > LIMIT
            early = Window(60, slides, window.started, window.count, window.previous)
            assert early.used(now + wait * 0.9) + need > LIMIT - 1e-6
            now += wait + 1e-6
        assert window.used(now) + need <= LIMIT + 1e-6
        window.add(need, now)


def test_a_day_begins_anew_and_a_long_silence_leaves_nothing() -> None:
    day, minute = Window(86_400, False, 0), Window(60, True, 0)
    for window in (day, minute):
        window.add(LIMIT, 10)
    assert (day.used(86_399), day.used(86_401)) == (LIMIT, 0)
    assert (minute.used(59), minute.used(90), minute.used(400)) == (LIMIT, LIMIT / 2, 0)


@pytest.mark.parametrize(
    ("used", "rate", "resets_in", "seconds"),
    [(50, 1, 100, 50), (50, 1, 50, None), (50, 0, 100, None), (100, 0, 100, 0), (120, 5, 100, 0), (0, 0.5, 300, 200)],
)
def test_forecast(used: int, rate: float, resets_in: float, seconds: float | None) -> None:
    assert seconds_until_used_up(used, LIMIT, rate, resets_in) == seconds
