"""How near to expiry a backlog is."""

from __future__ import annotations

import dataclasses

from mockupaws.sinks.retention import Backlog, used_ratio

DAY_MS, MIB = 24 * 3600 * 1000, 1024 * 1024
NOW_MS = 1_800_000_000_000
BACKLOG = Backlog(start=0, position=500, end=1000, oldest_ms=NOW_MS - 2 * DAY_MS, log_bytes=400 * MIB)


def test_age_and_size_are_compared_with_their_limits_and_the_worse_counts() -> None:
    assert used_ratio(BACKLOG, NOW_MS, 8 * DAY_MS, -1) == 0.25
    assert used_ratio(BACKLOG, NOW_MS, -1, 400 * MIB) == 0.5
    assert used_ratio(BACKLOG, NOW_MS, 8 * DAY_MS, 400 * MIB) == 0.5
    assert used_ratio(BACKLOG, NOW_MS, 2 * DAY_MS, 400 * MIB) == 1.0


def test_only_what_is_unread_counts() -> None:
    assert used_ratio(dataclasses.replace(BACKLOG, position=1000), NOW_MS, DAY_MS, MIB) == 0.0
    assert used_ratio(dataclasses.replace(BACKLOG, position=900), NOW_MS, -1, 400 * MIB) == 0.1
    assert used_ratio(dataclasses.replace(BACKLOG, start=500), NOW_MS, -1, 400 * MIB) == 1.0
    assert used_ratio(dataclasses.replace(BACKLOG, start=800), NOW_MS, -1, 400 * MIB) == 1.0, "some expired already"


def test_topics_without_limits_and_brokers_that_tell_nothing_raise_nothing() -> None:
    assert used_ratio(BACKLOG, NOW_MS, -1, -1) == 0.0
    assert used_ratio(dataclasses.replace(BACKLOG, log_bytes=None, oldest_ms=None), NOW_MS, DAY_MS, MIB) == 0.0
