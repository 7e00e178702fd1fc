"""The profile of known lines: percentiles, rates with their empty seconds, and files read in parts."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockupaws.cost_model import profile as profiles
from mockupaws.cost_model.profile import Arrivals, profile_of
from mockupaws.cost_model.quantities import Quantities
from mockupaws.schemas.distributions import sketch_of

D = Decimal


def test_percentiles_of_a_hundred_known_lines() -> None:
    sizes = [100] * 90 + [1000] * 9 + [100_000]
    quantities = Quantities(
        entries=100, size_bytes=sum(sizes), tokens=700, sqs_blocks=101, sqs_batched={10: 11, 2: 51}, active_minutes=1
    )
    profile = profile_of(quantities, sketch_of(sizes), {7: 100}, {10: 4, 60: 1})
    assert profile.size_bytes.sum == sum(sizes)
    for found, exact in (
        (profile.size_bytes.p50, 100),
        (profile.size_bytes.p99, 1000),
        (profile.size_bytes.max, 10**5),
    ):
        assert abs(found - exact) <= profile.size_bytes.relative_error * exact
    assert (profile.tokens.p50, profile.tokens.p99, profile.tokens.mean) == (7, 7, D(7))
    assert sum(bucket.entries for bucket in profile.size_bytes.buckets) == 100
    assert profile.sqs_requests == {1: 101, 2: 51, 10: 11}
    rate = profile.lines_per_second
    assert (rate.seconds, rate.p50, rate.p95, rate.p99, rate.max) == (60, 0, 10, 60, 60)
    assert (rate.mean, rate.peak_to_mean) == (D("1.667"), D(36))


def test_no_line_has_no_spread() -> None:
    profile = profile_of(Quantities(), {}, {}, {})
    assert (profile.size_bytes.p99, profile.tokens.mean, profile.lines_per_second.peak_to_mean) == (0, D(0), D(0))
    assert profile.sqs_requests == {1: 0}


@given(st.lists(st.lists(st.integers(0, 50)), max_size=5))
def test_seconds_read_in_parts_are_those_of_the_whole(parts: list[list[int]]) -> None:
    arrivals = Arrivals()
    for part in parts:
        arrivals.add(Arrivals(Counter(part)))
    assert arrivals.rates() == Counter(Counter(second for part in parts for second in part).values())


def test_the_oldest_seconds_are_closed_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "MAX_OPEN_SECONDS", 10)
    arrivals = Arrivals()
    for second in range(1000):
        arrivals.add(Arrivals(Counter({second: 3})))
        assert len(arrivals.open) <= 10
    assert arrivals.rates() == {3: 1000}
