"""Reads the value that follows `name=` or `"name":` in logfmt, JSON, URL queries, SQL, headers and code."""

from __future__ import annotations

import re

from mockupaws.stream_processors.detect_pii.detector import Span

_LONGEST = 512
_VALUE = re.compile(
    rb"[ \t]{0,3}(?:"
    rb"(?P<escape>\\{1,3})(?P<mark>[\"'])(?P<escaped>[^\x00]{0,%d}?)(?=(?P=escape)(?P=mark))"
    rb"|\"(?P<double>(?:[^\"\\\x00]|\\[^\x00]){0,%d})"
    rb"|'(?P<single>(?:[^'\\\x00]|\\[^\x00]|''){0,%d})"
    rb"|(?P<bare>[^\s&;,\"'<>()\[\]{}|\\\x00]{1,%d})"
    rb")" % (_LONGEST, _LONGEST, _LONGEST, _LONGEST)
)
_MASKED = re.compile(
    rb"(?:[*xX.#_-]|\xe2\x80\xa2){2,}[A-Za-z0-9]{0,4}|.{0,4}\*{3,}.{0,4}|.{0,3}\[[A-Z0-9_]+(?::[0-9]{4})?\].*"
    rb"|[\[<({%]*\s*(?:redacted|masked|hidden|filtered|removed|secret|omitted|protected|sensitive|null|nil|none|undefined"
    rb"|empty|true|false|yes|no|n/a|unset|required|invalid|missing|string|password)\s*[\])>}%]*"
    rb"|\$(?:\{?[A-Za-z_][A-Za-z0-9_.:-]*\}?)?|\{\{.*|%[sdv]|<[^>]*>|\?|",
    re.IGNORECASE | re.DOTALL,
)


def value_after(data: bytes, end: int) -> Span | None:
    """The span of the value, without quotes, that starts at `end`; None where there is none or it is masked."""
    value = _VALUE.match(data, end)
    if value is None:
        return None
    start, stop = value.span(value.lastgroup or 0)
    return None if is_masked(data[start:stop]) else (start, stop)


def is_masked(value: bytes) -> bool:
    """Whether somebody already hid the value, or it is a placeholder or a word that is no secret."""
    return _MASKED.fullmatch(value.strip()) is not None
