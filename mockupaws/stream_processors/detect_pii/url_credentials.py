"""URL_CREDENTIALS: `user:password` between `://` and `@`."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.assigned_value import is_masked
from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_LONGEST = 400
_ORACLE = re.compile(rb"jdbc:oracle:[a-z0-9]{2,6}:([^\s/@:\"'<>\x00]{1,64}/[^\s/@\"'<>\x00]{1,128})@\Z", re.IGNORECASE)


def check_user_information(data: bytes, end: int) -> Span | None:
    scheme_end = data.rfind(b"://", max(0, end - _LONGEST), end)
    if scheme_end < 0:
        return None
    start = scheme_end + 3
    if data[scheme_end - 1 : scheme_end].isalnum() is False:
        return None
    _, _, password = data[start : end - 1].rpartition(b":")
    return None if is_masked(password) else (start, end - 1)


def check_oracle(data: bytes, end: int) -> Span | None:
    found = _ORACLE.search(data, max(0, end - 230), end)
    return None if found is None or is_masked(found[1].partition(b"/")[2]) else found.span(1)


URL_CREDENTIALS = Detector(
    pii_type="URL_CREDENTIALS",
    why="Gives access to the database or service the URL names. A user alone, or a masked password, is none.",
    expressions=(
        Expression(
            "url.user_information",
            r"://[^\s/?#:\"'<>\x00]*:[^\s/?#\"'<>\x00]+@",
            check_user_information,
            1.0,
            version=2,
        ),
        Expression(
            "url.oracle",
            r"jdbc:oracle:[a-z0-9]{2,6}:[^\s/@:\"'<>\x00]{1,64}/[^\s/@\"'<>\x00]{1,128}@",
            check_oracle,
            0.95,
            caseless=True,
        ),
    ),
    positives=(
        ("postgres://app:s3cr3t@db.internal:5432/shop refused", "app:s3cr3t"),
        ("redis://:hunter2@cache:6379/0", ":hunter2"),
        ('{"url":"https://bob:pa%24s@example.com/x"}', "bob:pa%24s"),
        (r'{"url":"mysql:\/\/app:s3cr3t@db\/x"}', "app:s3cr3t"),
        ("to=postgres%3A%2F%2Fapp%3As3cr3t%40db%2Fx", "app%3As3cr3t"),
        ("jdbc:oracle:thin:scott/tiger9@//db:1521/x", "scott/tiger9"),
    ),
    negatives=(
        "postgres://app:***@db.internal:5432/shop",
        "https://example.com:8443/@scope/pkg",
        "ssh://git@github.com/team/repo.git",
        "https://[URL_CREDENTIALS]@example.com/x",
    ),
)
