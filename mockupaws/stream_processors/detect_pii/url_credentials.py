"""URL_CREDENTIALS: `user:password` between `://` and `@`."""

from __future__ import annotations

from mockupaws.stream_processors.detect_pii.assigned_value import is_masked
from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_LONGEST = 400


def check_user_information(data: bytes, end: int) -> Span | None:
    scheme_end = data.rfind(b"://", max(0, end - _LONGEST), end)
    if scheme_end < 0:
        return None
    start = scheme_end + 3
    _, _, password = data[start : end - 1].partition(b":")
    return None if is_masked(password) else (start, end - 1)


URL_CREDENTIALS = Detector(
    pii_type="URL_CREDENTIALS",
    why="Gives access to the database or service the URL names. A user alone, or a masked password, is none.",
    expressions=(
        Expression(
            "url.user_information", r"://[^\s/?#@:\"'<>\x00]*:[^\s/?#@\"'<>\x00]+@", check_user_information, 1.0
        ),
    ),
    positives=(
        ("postgres://app:s3cr3t@db.internal:5432/shop refused", "app:s3cr3t"),
        ("redis://:hunter2@cache:6379/0", ":hunter2"),
        ('{"url":"https://bob:pa%24s@example.com/x"}', "bob:pa%24s"),
    ),
    negatives=(
        "postgres://app:***@db.internal:5432/shop",
        "https://example.com:8443/@scope/pkg",
        "ssh://git@github.com/team/repo.git",
        "https://[URL_CREDENTIALS]@example.com/x",
    ),
)
