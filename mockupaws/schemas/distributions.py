"""Distributions kept beside a rollup's sum: counts by key, added key by key, so that they merge in any order.

Sizes and token counts are kept as a sketch: values fall into buckets 1/16 as wide as the power of two below them.
A value read back from its bucket is off by at most `RELATIVE_ERROR`; below 32 it is exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from fractions import Fraction
from operator import itemgetter
from typing import TypeVar

_Group = TypeVar("_Group", bound=Hashable)
_SMALL = 1 << 14

Counts = Mapping[int, int]
"""How often each key was seen; keys never seen are missing."""

BUCKETS_PER_OCTAVE = 16
RELATIVE_ERROR = Fraction(1, 2 * BUCKETS_PER_OCTAVE)
"""Of a value read back, at most."""
_MANTISSA_BITS = BUCKETS_PER_OCTAVE.bit_length()


def bucket_of(value: int) -> int:
    """The bucket of a value from 0 on. Buckets are numbered in the order of their values."""
    shift = max(value.bit_length() - _MANTISSA_BITS, 0)
    return BUCKETS_PER_OCTAVE * shift + (value >> shift)


def counting_by(group_of: Callable[[int], _Group]) -> Callable[[Sequence[int]], dict[_Group, int]]:
    """Counts how many of the values it is given, from 0 on, fall into each group, in the order they are met."""
    # Nearly all sizes and token counts of lines are small; a look into a list costs a tenth of the arithmetic.
    group_of_small = list(map(group_of, range(_SMALL)))

    def count(values: Sequence[int]) -> dict[_Group, int]:
        if len(values) < 2:  # a request of one line is as usual as one of a hundred
            return {group_of_small[value] if value < _SMALL else group_of(value): 1 for value in values}
        try:
            return dict(Counter(itemgetter(*values)(group_of_small)))
        except IndexError:
            return dict(Counter(map(group_of, values)))

    return count


sketch_of = counting_by(bucket_of)
"""How many of the values fall into each bucket."""


def bounds_of(bucket: int) -> tuple[int, int]:
    """The least and the greatest value of a bucket."""
    shift = max(bucket // BUCKETS_PER_OCTAVE - 1, 0)
    least = (bucket - BUCKETS_PER_OCTAVE * shift) << shift
    return least, least + (1 << shift) - 1


def value_of(bucket: int) -> int:
    """The middle of a bucket, which stands for all its values."""
    least, greatest = bounds_of(bucket)
    return (least + greatest) // 2


def add_counts(parts: Iterable[Counts]) -> dict[int, int]:
    """The sum of distributions, key by key, in the order of the keys."""
    sums: Counter[int] = Counter()
    for part in parts:
        sums.update(part)
    return {key: sums[key] for key in sorted(sums) if sums[key]}


def percentile(counts: Counts, share: Fraction) -> int:
    """The least key that at least `share` of what was counted is at or below (nearest rank); 0 where nothing was."""
    rank = -(-sum(counts.values()) * share.numerator // share.denominator)
    seen = 0
    for key in sorted(counts):
        seen += counts[key]
        if seen >= rank:
            return key
    return 0
