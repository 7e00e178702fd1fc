"""The times that lines of usual loggers name, and what isn't one."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from mockupaws.cli.find_line_times import second_of_text, seconds_of_lines
from mockupaws.ingest_gateway.timestamps import TimestampRange
from mockupaws.schemas.requests import Entry

NOW = datetime(2026, 11, 26, 8, tzinfo=UTC)
TIMES = TimestampRange.at(int(NOW.timestamp()) * 1_000_000, 2000, 86_400)
TEN = int(datetime(2026, 11, 25, 10, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25T10:00:00Z START RequestId: 1",
        "2026-11-25 10:00:00,123 INFO shop order 1",
        "2026-11-25 10:00:00.123456 [main] INFO",
        "2026-11-25T11:00:00.5+01:00 x",
        "2026-11-25T11:00:00+0100 x",
        "[2026-11-25 10:00:00] local.ERROR: x",
        "(2026-11-25 10:00:00) x",
        '"2026-11-25 10:00:00.000","START"',
        "2026/11/25 10:00:00 [error] 7#7: *1 open() failed",
        '203.0.113.7 - bob [25/Nov/2026:11:00:00 +0100] "GET / HTTP/1.1" 200 5',
        '203.0.113.7 - - [25/nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5',
        "Nov 25 10:00:00 host sshd[7]: x",
        "<34>Nov 25 10:00:00 host su: x",
        "<34>2026-11-25T10:00:00Z host su: x",
        'level=info time="2026-11-25T10:00:00Z" msg=x',
        "ts=2026-11-25T10:00:00.1Z level=warn",
        'host app {"timestamp": "2026-11-25T10:00:00Z"}',
    ],
)
def test_times_of_usual_loggers(text: str) -> None:
    assert second_of_text(text, TIMES) == TEN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "    at shop.Order.place(Order.java:7)",
        "due on 2026-11-25 10:00:00",
        "2026-11-25",
        "2026-13-25 10:00:00 x",
        "2026-02-30 10:00:00 x",
        "2026-11-25 25:00:00 x",
        "1999-11-25 10:00:00 x",
        "2027-11-25 10:00:00 x",
        "x" * 300 + " time=2026-11-25T10:00:00Z",
        "[31/Feb/2026:10:00:00 +0000]",
        "[25/Nov/2026:10:00:00 +9999]",
        "Feb 30 10:00:00 host x",
        "Nova 25 10:00:00 host x",
    ],
)
def test_what_is_no_time_of_a_line(text: str) -> None:
    assert second_of_text(text, TIMES) is None


def test_a_year_that_is_not_said_is_the_latest_that_is_not_ahead() -> None:
    assert second_of_text("Dec  3 10:00:00 host x", TIMES) == int(datetime(2025, 12, 3, 10, tzinfo=UTC).timestamp())
    assert second_of_text("Nov 27 07:00:00 host x", TIMES) == int(datetime(2026, 11, 27, 7, tzinfo=UTC).timestamp())


def test_lines_without_a_time_came_with_their_neighbour() -> None:
    texts = ["begins", "2026-11-25 10:00:00 x", "  trace", "  trace", "2026-11-25 10:00:05 y", "  trace"]
    entries = [Entry(text) for text in texts] + [Entry("z", (TEN + 9) * 1_000_000)]
    assert seconds_of_lines(entries, TIMES) == Counter({TEN: 4, TEN + 5: 2, TEN + 9: 1})
    assert seconds_of_lines([Entry("a"), Entry("b")], TIMES) == Counter()
