"""EMAIL: anchored at the `@`, then read in both directions."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.detector import Detector, Expression, Span

_MAX_LOCAL = 64
_MAX_DOMAIN = 255
_LOCAL_ASCII = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-%'"
_LOCAL_REVERSED = re.compile(rb"(?:[A-Za-z0-9._+\-%']|[\x80-\xbf]\xc3){0,64}")
_LETTER = rb"(?:[A-Za-z0-9]|\xc3[\x80-\xbf])"
_TOP_LEVEL = rb"([A-Za-z]{2,24}|xn--[A-Za-z0-9-]{2,59})(?![A-Za-z0-9_-])"
_ASCII_DOMAIN = re.compile(rb"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,16}" + _TOP_LEVEL)
_DOMAIN = re.compile(rb"(?:%b(?:(?:%b|-){0,61}%b)?\.){1,16}" % ((_LETTER,) * 3) + _TOP_LEVEL)
"""With the letters of Latin-1; twice as dear."""
_ENCODED_DELIMITER = re.compile(rb"%(?:25){0,4}(?:2[0267CF]|3[ABCDEF]|5B|7B|0[AD])", re.IGNORECASE)
_ESCAPE_BEFORE = re.compile(rb"(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[nrtbf])")
"""The rest of an escape (`\\n`, `\\u003e`) that the address was read with."""
_NO_TOP_LEVEL_DOMAIN = frozenset(
    b"png jpg jpeg gif svg webp ico css js mjs cjs ts tsx jsx json html htm xml yaml yml md txt py so dll jar gz zip exe "
    b"log conf cfg ini tgz war class java go rs php rb sh bat service socket timer target mount slice scope device path swap "
    b"automount local internal lan svc pdf csv map woff ttf whl lock toml patch diff".split()
)
_VERSION_CONTROL_USERS = frozenset((b"git", b"hg", b"svn"))
_MESSAGE_ID = re.compile(
    rb"(?:message-id|in-reply-to|references|msgid|message_id|content-id)[\"']?\s?[:=]\s?[\"']?<?\Z", re.IGNORECASE
)
_MACHINE_ID = re.compile(rb"\bid=\Z", re.IGNORECASE)
_MADE_BY_MACHINE = re.compile(
    rb"[0-9a-fA-F]{12,64}|E?[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4}|[0-9]{8}[0-9A-Fa-f.]{0,56}"
)
"""What mail servers put before the `@` of a message's id; people have other names."""
_NOT_MAIL = re.compile(rb"(?:sips?:|xmpp:|://|@)\+?\Z", re.IGNORECASE)


def check_at_sign(data: bytes, end: int) -> Span | None:
    """The hit ends one character after the `@`."""
    sign = end - 2
    furthest = sign + 1 + _MAX_DOMAIN
    form = _ASCII_DOMAIN if data.find(b"\xc3", sign, furthest) < 0 else _DOMAIN
    domain = form.match(data, sign + 1, furthest)
    if domain is None or domain[1].lower() in _NO_TOP_LEVEL_DOMAIN:
        return None
    before = data[max(0, sign - _MAX_LOCAL) : sign]
    rest = before.rstrip(_LOCAL_ASCII)
    if rest and rest[-1] >= 0x80:
        reversed_local = _LOCAL_REVERSED.match(before[::-1])
        start = sign - (reversed_local.end() if reversed_local else 0)
    else:
        start = sign - len(before) + len(rest)
    if b"%" in before:
        for delimiter in _ENCODED_DELIMITER.finditer(data, start, sign):
            start = delimiter.end()
    previous = data[start - 1 : start]
    if previous == b"\\" and (escape := _ESCAPE_BEFORE.match(data, start, sign)):
        start = escape.end()
    while start < sign and data[start] in b".'%-+":
        start += 1
    local = data[start:sign]
    if not local or local.endswith(b"."):
        return None
    if data[domain.end() : domain.end() + 1] == b"(":  # `Object@1b6d3586.run(`
        return None
    if local in _VERSION_CONTROL_USERS and data[domain.end() : domain.end() + 1] in (b":", b"/"):
        return None
    if previous in (b":", b"/", b"@") and _NOT_MAIL.search(data, max(0, start - 8), start):
        return None
    if previous in (b"<", b"=") and _MESSAGE_ID.search(data, max(0, start - 20), start):
        return None
    if previous == b"=" and _MADE_BY_MACHINE.fullmatch(local) and _MACHINE_ID.search(data, max(0, start - 4), start):
        return None
    return start, domain.end()


EMAIL = Detector(
    pii_type="EMAIL",
    why="Names a person. The domain must end in letters that are no file or unit suffix; a version control login "
    "(`git@host:path`), a SIP address and a message id are no mail address.",
    expressions=(
        Expression("email.at_sign", r"[A-Za-z0-9_+%'\x80-\xbf-]@[A-Za-z0-9\xc3]", check_at_sign, 1.0, version=3),
    ),
    positives=(
        ("login of mario.rossi@example.com accepted", "mario.rossi@example.com"),
        ('{"to":"a.b+tag@mail.example.co.uk","n":1}', "a.b+tag@mail.example.co.uk"),
        ("GET /u?email=bob%40example.org&x=1", "bob%40example.org"),
        (r"{\"mail\":\"bob\u0040example.org\"}", r"bob\u0040example.org"),
        ("write to bob&#64;example.org", "bob&#64;example.org"),
        ("von jürgen@müller.de", "jürgen@müller.de"),
        ("<o'neill@example.ie> bounced.", "o'neill@example.ie"),
        ("redirect=%2Flogin%3Fuser%3Dzoe%40example.net", "zoe%40example.net"),
        (r"first line\nann@example.com", "ann@example.com"),
        (r'"\u003cb\u003eann@example.com\u003c/b\u003e"', "ann@example.com"),
    ),
    negatives=(
        "cloning git@github.com:team/repo.git",
        "install @scope/pkg@1.2.3",
        "asset logo@2x.png served",
        "Started user@1000.service",
        "mail of m***@example.com masked",
        "[EMAIL] logged in",
        "java.lang.Object@1b6d3586",
        "at com.example.Job@1b6d3586.run(Job.java:7)",
        "message-id=<20261123.4F2A@mx.example.com>",
        "<= bounce id=8cc2b810d4343136@mx.example.com",
    ),
)
