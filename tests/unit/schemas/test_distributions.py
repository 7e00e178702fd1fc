"""The sketch: buckets in order, without gaps, as narrow as promised; sums and percentiles of what fell into them."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from mockupaws.schemas.distributions import (
    RELATIVE_ERROR,
    add_counts,
    bounds_of,
    bucket_of,
    percentile,
    sketch_of,
    value_of,
)

_VALUES = st.integers(0, 100) | st.integers(0, 2**21) | st.integers(0, 2**40)
_COUNTS = st.dictionaries(st.integers(0, 600), st.integers(1, 10**12), max_size=8)


@given(_VALUES)
def test_a_value_read_back_is_within_the_stated_error(value: int) -> None:
    least, greatest = bounds_of(bucket_of(value))
    assert least <= value <= greatest
    assert bucket_of(greatest + 1) == bucket_of(value) + 1
    assert abs(value_of(bucket_of(value)) - value) <= RELATIVE_ERROR * value


def test_small_values_are_exact() -> None:
    assert [value_of(bucket_of(value)) for value in range(32)] == list(range(32))


@given(st.lists(_VALUES, max_size=50))
def test_the_sketch_counts_each_value_in_its_bucket_in_the_order_met(values: list[int]) -> None:
    expected: dict[int, int] = {}
    for value in values:
        expected[bucket_of(value)] = expected.get(bucket_of(value), 0) + 1
    assert list(sketch_of(values).items()) == list(expected.items())


@given(st.lists(_VALUES, max_size=50), st.lists(_VALUES, max_size=50))
def test_the_sketch_of_all_is_the_sum_of_the_parts(one: list[int], other: list[int]) -> None:
    assert add_counts([sketch_of(one), sketch_of(other)]) == dict(sorted(sketch_of(one + other).items()))


@given(_COUNTS, _COUNTS, _COUNTS)
def test_adding_is_associative_and_commutative(a: dict[int, int], b: dict[int, int], c: dict[int, int]) -> None:
    assert add_counts([add_counts([a, b]), c]) == add_counts([a, add_counts([c, b])]) == add_counts([c, a, b])


@given(st.lists(_VALUES, min_size=1, max_size=200), st.integers(1, 100))
def test_a_percentile_is_that_of_the_sorted_values(values: list[int], percent: int) -> None:
    exact = sorted(values)[-(-len(values) * percent // 100) - 1]
    found = percentile(sketch_of(values), Fraction(percent, 100))
    assert found == bucket_of(exact)
    assert abs(value_of(found) - exact) <= RELATIVE_ERROR * exact


def test_of_nothing_the_percentile_is_0() -> None:
    assert percentile({}, Fraction(1, 2)) == 0
