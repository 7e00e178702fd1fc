"""Texts of log lines for a terminal. Pure."""

from __future__ import annotations

import re

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""All that a terminal obeys but tab and line end; and what turns the direction of the text around."""


def visible(text: str) -> str:
    """Control characters as escapes: who writes a log line mustn't clear, retitle or rewrite a reader's terminal."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
