"""Reads the value that follows `name=` or `"name":` in logfmt, JSON, URL queries, SQL, headers, XML and code."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.detector import Span

CLOSING = r"[\"'\\`\])*]{0,4}"
"""For expressions: what may close a name before its sign: quotes, their escapes, brackets, Markdown."""
SIGN = r"(?:=>|:=|->|==?|:\*{0,2}|\xef\xbc[\x9a\x9d]|\xe2\x86\x92)"
"""What stands between a name and its value; in CJK text a full-width one."""
OF_PAIR = (
    r"(?:[\"'\\\n ]{1,12},?\s{0,8}[\"'\\]{0,3}value[\"'\\]{0,3}[ ]?[:=](?:[ ]?\{[ ]?[\"'\\]{1,3}string_?value[\"'\\]{1,3}[ ]?:)?"
    r"|[\]\"'\\]{1,4}\r?\n\r?\n)"
)
"""`"name":"x","value":` as of Kubernetes, HAR and OTLP, and the head of a part of a form (RFC 7578)."""
_LONGEST = 512
_VALUE = re.compile(
    rb"[ \t]{0,3}(?:\[{1,2}[ ]?(?=\\{0,3}[\"']))?(?:"
    rb"(?P<escape>\\{1,3})(?P<mark>[\"'])(?P<escaped>[^\x00]{0,%d}?)(?=(?P=escape)(?P=mark))"
    rb"|[ubrf]{0,2}\"(?P<double>(?:[^\"\\\x00]|\\[^\x00]){0,%d})"
    rb"|[ubrf]{0,2}'(?P<single>(?:[^'\\\x00]|\\[^\x00]|''){0,%d})"
    rb"|`(?P<ticks>[^`\x00]{0,%d})"
    rb"|(?:\xe3\x80[\x8c\x8e]|\xe2\x80[\x9c\x9e]|\xc2\xab ?)(?P<typographic>[^\x00\n]{0,%d}?)(?=\xe3\x80[\x8d\x8f]|\xe2\x80[\x9c\x9d]| ?\xc2\xbb)"
    rb"|(?P<bare>[^\s&;,\"'`<>()\[\]{}|\\\x00\xe3-\xf4]{1,%d})"
    rb")" % ((_LONGEST,) * 6)
)
_WORDS = (
    rb"redacted|masked|hidden|filtered|removed|secret|omitted|protected|sensitive|null|nil|none|undefined"
    rb"|empty|true|false|yes|no|n/a|unset|required|invalid|missing|string|password|passwd|token|not[ _-]set|unknown"
    rb"|your[ _-].{0,40}|my[_-]?(?:password|secret|token)|example|placeholder|dummy|todo|tbd|default|enabled|disabled|optional"
    rb"|value|bytes|text|char|varchar.{0,6}|str|int|object|expired|incorrect|wrong|changed|reset|ok|failed|failure|success"
)
_MASK_CHARACTERS = rb"(?:[*xX.#_-]|\xe2\x80\xa2|\xe2\x97\x8f)"
_MASKED = re.compile(
    rb"%b{2,512}[A-Za-z0-9]{0,4}|.{0,4}\*{3,512}.{0,4}|.{0,3}\[[A-Z0-9_]{1,40}(?::[^\]]{1,400})?\].{0,512}"
    rb"|[\[<({%%]{0,4}\s{0,8}(?:%b)\s{0,8}[\])>}%%]{0,4}"
    rb"|\$(?:\{?[A-Za-z_][A-Za-z0-9_.:-]{0,512}\}?|[({].{0,512}|[0-9])?|!(?:vault|ref|sub|getatt|importvalue|secret|env|env_var|reference|include|join|!str|!binary)(?:[ |].{0,512})?|\{\{.{0,512}|%%[sdv(].{0,512}|<[^>]{0,512}>?|\?|:[a-z_]{1,64}|@[a-z_]{1,64}|#\{.{0,512}|"
    % (_MASK_CHARACTERS, _WORDS),
    re.IGNORECASE | re.DOTALL,
)
_HEADS_OF_WORDS = frozenset(word[:2] for word in _WORDS.split(b"|"))
_SIGNS_OF_MASKS = frozenset(b"*xX.#_-\xe2[<({%$!?:@")


def value_after(data: bytes, end: int) -> Span | None:
    """The span of the value, without quotes, that starts at `end`; None where there is none or it is masked."""
    value = _VALUE.match(data, end)
    if value is None:
        return None
    start, stop = value.span(value.lastgroup or 0)
    if value.lastgroup == "bare":
        while stop > start and data[stop - 1] in b".:!?" and not data[stop : stop + 1].strip(b" \t\r\n\0"):
            stop -= 1
            if data[stop] in b"!?":  # a password may end so; a sentence after it goes on
                stop += 1
                break
    return None if is_masked(data[start:stop]) else (start, stop)


_STRONG = re.compile(rb"(?:(?=[^\x00]{0,512}[0-9!@#$%^&*?_+=-])|(?=[^\x00]{0,512}[a-z][A-Z]))[^\x00]{6,512}\Z")
_SPOKEN = re.compile(rb"[\"'`]?([^\s\"'`<>\x00]{6,64})")


def is_strong(value: bytes) -> bool:
    """Whether it looks like a password, and like no word."""
    return _STRONG.match(value) is not None


def spoken_after(data: bytes, end: int) -> Span | None:
    """The word at `end`, without what ends a sentence, where it looks like a password: `the password is X.`"""
    word = _SPOKEN.match(data, end)
    if word is None:
        return None
    start, stop = word.span(1)
    while stop > start and data[stop - 1] in b".,;:)":
        stop -= 1
    value = data[start:stop]
    return (start, stop) if is_strong(value.rstrip(b"!?")) and not is_masked(value) else None


_MARK_BEFORE = re.compile(rb"\[[A-Z0-9_]{3,20}\][^A-Za-z0-9\x00]{0,6}\Z")
_LONGEST_MARK = 28


def follows_mark(data: bytes, end: int) -> bool:
    """Whether the name before the sign that ends at `end` is the mark of a redacted value: `[PASSWORD]=`."""
    return (
        b"]" in data[max(0, end - 8) : end] and _MARK_BEFORE.search(data, max(0, end - _LONGEST_MARK), end) is not None
    )


def is_masked(value: bytes) -> bool:
    """Whether somebody already hid the value, or it is a placeholder or a word that is no secret."""
    value = value.strip()
    if (
        value
        and value[0] not in _SIGNS_OF_MASKS
        and value[:2].lower() not in _HEADS_OF_WORDS
        and b"***" not in value[:7]
        and b"[" not in value[:4]
    ):
        return False  # as nearly all secrets are told, at a fifth of the cost
    return _MASKED.fullmatch(value) is not None
