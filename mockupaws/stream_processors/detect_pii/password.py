"""PASSWORD: what is assigned to a name such as `password` or `client_secret`."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.assigned_value import is_masked, value_after
from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_NAMES = r"(?:passw(?:or)?d|passphrase|passwort|contrase(?:n|\xc3\xb1)a|pwd|\bpass|[_.-]pass|secret(?:[_-]?key)?)"
_NAME_AT_END = re.compile(rf"{_NAMES}[0-9]?\Z".encode("latin-1"), re.IGNORECASE)
_PROSE = re.compile(rb"[a-z]+\Z")
_FOLDER = b"/"


def check_assignment(data: bytes, end: int) -> Span | None:
    span = value_after(data, end)
    if span is None or data[span[0] : span[0] + 1] == _FOLDER:
        return None
    prose = data[end - 1] == 58 and data[end : end + 1] == b" " and span[0] - end == 1
    return None if prose and _PROSE.match(data[span[0] : span[1]]) else span


def check_statement(data: bytes, end: int) -> Span | None:
    """The hit ends with the quote that opens the value."""
    return value_after(data, end - 1)


def is_password(name: str, value: str) -> bool:
    """Whether an attribute of this name holds a password."""
    return _NAME_AT_END.search(name.encode("utf-8", "replace")) is not None and not is_masked(
        value.encode("utf-8", "replace")
    )


PASSWORD = Detector(
    pii_type="PASSWORD",
    why="Opens an account. Told by the name it is assigned to; masked values, placeholders, variables, folders "
    "(`PWD=/x`) and lower-case prose after `password: ` are none.",
    expressions=(
        Expression(
            "password.assignment",
            rf"{_NAMES}[0-9]?[\"'\\]{{0,3}}[ \t]{{0,2}}(=>|:=|[:=]|%3d)",
            check_assignment,
            0.9,
            caseless=True,
        ),
        Expression(
            "password.statement",
            r"(identified[ ]{1,2}(with[ ]{1,2}[a-z0-9_]{1,40}[ ]{1,2})?by|password)[ ]{1,3}'",
            check_statement,
            0.9,
            caseless=True,
        ),
        Expression("password.option", r"[ ]--pass(word|wd|phrase)?[ ]", value_after, 0.85),
    ),
    positives=(
        ('{"user":"bob","password":"hunter2!"}', "hunter2!"),
        ("login user=bob db_password=hunter2 ok", "hunter2"),
        ("POST /login?user=bob&pwd=hun%21ter&x=1", "hun%21ter"),
        ("ALTER USER bob IDENTIFIED BY 'hunter 2'", "hunter 2"),
        ("CREATE ROLE bob PASSWORD 'hunter2'", "hunter2"),
        (r"body={\"password\":\"hunter2\"}", "hunter2"),
        ("client_secret: 'S3cr3tValue'", "S3cr3tValue"),
        ("run --password hunter2 --user bob", "hunter2"),
    ),
    negatives=(
        "Failed password for root from console",
        "password=****** ok",
        '{"password":null,"secret":""}',
        "PWD=/home/bob SHELL=/bin/sh",
        "bypass=1 compass=2",
        "password: must have eight characters",
        "password=${DB_PASSWORD}",
        "password=[PASSWORD]",
    ),
)
