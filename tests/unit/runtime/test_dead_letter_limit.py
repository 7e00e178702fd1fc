"""When a process holds, and that looking at an outcome doesn't count it."""

from __future__ import annotations

import pytest

from mockupaws.runtime.dead_letter_limit import DeadLetterLimit, DeadLetterLimitError
from mockupaws.runtime.settings import Settings

BAD, GOOD = "analysis_failed", None


def limit_of(max_share: float = 0.5, min_count: int = 4, max_consecutive: int = 0, window: int = 10) -> DeadLetterLimit:
    return DeadLetterLimit(window=window, min_count=min_count, max_share=max_share, max_consecutive=max_consecutive)


def test_so_many_in_a_row_over_any_number_of_records() -> None:
    limit = limit_of(max_share=1, max_consecutive=5)
    for outcomes in ([BAD, BAD], [GOOD, BAD, BAD], [BAD, BAD]):
        limit.check(outcomes)
        limit.count(outcomes)
    with pytest.raises(DeadLetterLimitError, match=r"5 requests in a row .* \(analysis_failed\)"):
        limit.check([BAD])
    limit.check([GOOD, BAD, BAD, BAD, BAD])


def test_a_row_within_one_record_reaches_the_limit_too() -> None:
    with pytest.raises(DeadLetterLimitError, match="3 requests in a row"):
        limit_of(max_share=1, max_consecutive=3).check([GOOD, BAD, BAD, BAD, GOOD])


def test_the_share_counts_from_a_number_on_and_among_the_last_only() -> None:
    limit = limit_of()
    limit.count([BAD, BAD, BAD])
    limit.check([GOOD])
    with pytest.raises(DeadLetterLimitError, match="4 of the last 4"):
        limit.check([BAD])
    limit.count([GOOD] * 6)  # 3 of 9
    limit.check([BAD, GOOD, GOOD, GOOD])  # the oldest fall out
    limit.count([BAD] * 4)
    with pytest.raises(DeadLetterLimitError, match="6 of the last 10"):
        limit.check([BAD, BAD])


def test_what_is_checked_again_and_again_counts_once() -> None:
    limit = limit_of(max_share=1, max_consecutive=3)
    for _ in range(10):
        limit.check([BAD, BAD])
    limit.count([BAD, BAD])
    with pytest.raises(DeadLetterLimitError):
        limit.check([BAD])


def test_limits_can_be_turned_off() -> None:
    limit_of(max_share=1, max_consecutive=0).check([BAD] * 1000)


def test_a_tenth_of_bad_requests_is_no_reason_to_hold() -> None:
    limit = DeadLetterLimit.of(Settings())
    for _ in range(1000):
        outcomes = [GOOD] * 9 + [BAD]
        limit.check(outcomes)
        limit.count(outcomes)
