"""When a line of a log file was written, as its text says: for the span that `estimate` makes a month of. Pure.

Read are the forms that loggers put in front: ISO 8601 (`2026-11-25T10:00:00,123+01:00`, `[2026-11-25 10:00:00]`,
`time=2026-11-25T10:00:00Z`), nginx's and Apache's (`[25/Nov/2026:10:00:00 +0100]`, `2026/11/25 10:00:00`) and syslog's
(`Nov 25 10:00:00`, without a year: the latest that isn't ahead). A time without a zone is UTC, as everywhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone

from mockupaws.ingest_gateway.timestamps import TimestampError, TimestampRange
from mockupaws.schemas.requests import Entry

_LOOKED_AT = 256
"""Characters from the line's beginning: addresses, names and levels may stand before the time."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = "(?P<name>" + "|".join(_MONTHS) + ")"
_CLOCK = r"(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d):(?P<second>[0-5]\d)"
_ISO = (
    r"(?P<year>\d{4})(?P<dash>[-/])(?P<month>\d\d)(?P=dash)(?P<day>\d\d)[T ]"
    + _CLOCK
    + r"(?:[.,]\d{1,9})?\s?(?P<zone>Z|[+-]\d\d:?\d\d\b)?"
)
_IN_FRONT = re.compile(r"(?:<\d{1,3}>)?[\"'\[(]?" + _ISO)
_OF_SYSLOG = re.compile(rf"(?:<\d{{1,3}}>)?{_NAME} (?P<day>[ \d]\d) {_CLOCK}\s", re.IGNORECASE)
_OF_ACCESS = re.compile(rf"\[(?P<day>\d\d)/{_NAME}/(?P<year>\d{{4}}):{_CLOCK} (?P<zone>[+-]\d{{4}})\]", re.IGNORECASE)
_NAMED = re.compile(r"\b(?:time|ts|timestamp)[\"']?[=:]\s?[\"']?" + _ISO)
_SECOND_US = 1_000_000


def seconds_of_lines(entries: Iterable[Entry], times: TimestampRange) -> Counter[int]:
    """Lines by epoch second. What names no time (the rest of a stack trace) came with the line before it, or, at the
    beginning, with the one after; empty where no line names one."""
    seconds: Counter[int] = Counter()
    last, before = None, 0
    for entry in entries:
        at = (
            entry.timestamp_us // _SECOND_US if entry.timestamp_us is not None else second_of_text(entry.message, times)
        )
        if at is not None and last is None:
            seconds[at] += before
        last = last if at is None else at
        if last is None:
            before += 1
        else:
            seconds[last] += 1
    return +seconds


def second_of_text(text: str, times: TimestampRange) -> int | None:
    """Epoch seconds; None where the text doesn't begin as a dated line does, or its time is out of range."""
    head = text[:_LOOKED_AT]
    found = _IN_FRONT.match(head) or _OF_SYSLOG.match(head)
    if found is None and "[" in head:
        found = _OF_ACCESS.search(head)
    if found is None and ("time" in head or "ts" in head):
        found = _NAMED.search(head)
    if found is None:
        return None
    try:
        return times.check(_moment(found.groupdict(), times)) // _SECOND_US
    except (ValueError, OverflowError, TimestampError):
        return None


def _moment(found: dict[str, str | None], times: TimestampRange) -> datetime:
    """Raises ValueError for a day that isn't in the calendar."""
    day, hour, minute, second = (int(found[name] or 0) for name in ("day", "hour", "minute", "second"))
    month = int(found.get("month") or 0) or _month(found["name"] or "")
    zone = _zone(found.get("zone"))
    if year := found.get("year"):
        return datetime(int(year), month, day, hour, minute, second, tzinfo=zone)
    newest = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=times.newest_us)
    moment = datetime(newest.year, month, day, hour, minute, second, tzinfo=zone)
    return moment if moment <= newest else moment.replace(year=newest.year - 1)


def _month(name: str) -> int:
    return _MONTHS.index(name.lower()) + 1


def _zone(text: str | None) -> timezone:
    if not text or text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    return timezone((1 if text[0] == "+" else -1) * timedelta(hours=hours, minutes=minutes))
