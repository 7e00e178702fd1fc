"""EMAIL: anchored at the `@` (or its percent, JSON or HTML form), then read in both directions."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_MAX_LOCAL = 64
_MAX_DOMAIN = 255
_ENCODED_AT = re.compile(rb"(?:%40|\\u0040|&#64;|&#x40;)[A-Za-z0-9]\Z", re.IGNORECASE)
_LOCAL_REVERSED = re.compile(rb"[A-Za-z0-9_+\-%'][A-Za-z0-9._+\-%']*")
_DOMAIN = re.compile(
    rb"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9-]{2,59})(?![A-Za-z0-9_])"
)
_ENCODED_DELIMITER = re.compile(rb"%(?:2[0267CF]|3[ABCDE]|5B|7B)", re.IGNORECASE)
_ESCAPE_LETTERS = b"nrtbf"
_NO_TOP_LEVEL_DOMAIN = frozenset(
    b"png jpg jpeg gif svg webp ico css js mjs ts json html htm xml yaml yml md txt py so dll jar gz zip "
    b"service socket timer target mount slice scope device path swap automount".split()
)
_VERSION_CONTROL_USERS = frozenset((b"git", b"hg", b"svn"))


def check_at_sign(data: bytes, end: int) -> Span | None:
    """The hit ends one character after the `@`."""
    return _address_around(data, end - 2, end - 1, encoded=False)


def check_encoded_at_sign(data: bytes, end: int) -> Span | None:
    """The hit ends one character after `%40`, `\\u0040`, `&#64;` or `&#x40;`."""
    sign = _ENCODED_AT.search(data, max(0, end - 7), end)
    return None if sign is None else _address_around(data, sign.start(), end - 1, encoded=True)


def _address_around(data: bytes, sign_start: int, sign_end: int, *, encoded: bool) -> Span | None:
    domain = _DOMAIN.match(data, sign_end, sign_end + _MAX_DOMAIN)
    local = _LOCAL_REVERSED.match(data[max(0, sign_start - _MAX_LOCAL) : sign_start][::-1])
    if domain is None or local is None:
        return None
    start = sign_start - local.end()
    if encoded:
        for delimiter in _ENCODED_DELIMITER.finditer(data, start, sign_start):
            start = delimiter.end()
    if data[start - 1 : start] == b"\\" and data[start] in _ESCAPE_LETTERS:
        start += 1
    while start < sign_start and data[start] in b".'%-+":
        start += 1
    if start == sign_start or domain[0].rpartition(b".")[2].lower() in _NO_TOP_LEVEL_DOMAIN:
        return None
    if data[start:sign_start] in _VERSION_CONTROL_USERS and data[domain.end() : domain.end() + 1] in (b":", b"/"):
        return None
    return start, domain.end()


EMAIL = Detector(
    pii_type="EMAIL",
    why="Names a person. The domain must end in letters that are no file or unit suffix; a version control login "
    "(`git@host:path`) is no address.",
    expressions=(
        Expression("email.at_sign", r"[A-Za-z0-9_+%'-]@[A-Za-z0-9]", check_at_sign, 1.0),
        Expression(
            "email.encoded_at_sign",
            r"[A-Za-z0-9_+'-](%40|\\u0040|&#64;|&#x40;)[A-Za-z0-9]",
            check_encoded_at_sign,
            1.0,
            caseless=True,
        ),
    ),
    positives=(
        ("login of mario.rossi@example.com accepted", "mario.rossi@example.com"),
        ('{"to":"a.b+tag@mail.example.co.uk","n":1}', "a.b+tag@mail.example.co.uk"),
        ("GET /u?email=bob%40example.org&x=1", "bob%40example.org"),
        (r"{\"mail\":\"bob\u0040example.org\"}", r"bob\u0040example.org"),
        ("<o'neill@example.ie> bounced.", "o'neill@example.ie"),
        ("redirect=%2Flogin%3Fuser%3Dzoe%40example.net", "zoe%40example.net"),
        (r"first line\nann@example.com", "ann@example.com"),
    ),
    negatives=(
        "cloning git@github.com:team/repo.git",
        "install @scope/pkg@1.2.3",
        "asset logo@2x.png served",
        "Started user@1000.service",
        "mail of m***@example.com masked",
        "[EMAIL] logged in",
        "java.lang.Object@1b6d3586",
    ),
)
