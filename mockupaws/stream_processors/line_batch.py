"""The messages of a request in the forms that the steps of the analysis need, made for all of them at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from mockupaws.stream_processors.detect_pii.scan import SEPARATOR
from mockupaws.stream_processors.redact import without_half_pairs, without_nul

_SEPARATOR_TEXT = SEPARATOR.decode()

encode_json = msgspec.json.Encoder().encode


class LineBatch(NamedTuple):
    sent: list[str]
    """As sent, but for half surrogate pairs, which no encoding can hold."""
    sizes: list[int]
    """UTF-8 bytes of `sent`."""
    messages: list[str]
    """`sent` without NUL: a copy, to be redacted."""
    texts: list[bytes]
    """`messages` in UTF-8."""
    joined: bytes
    """`texts` joined by SEPARATOR."""

    @classmethod
    def of(cls, messages: list[str]) -> LineBatch:
        try:
            joined = _SEPARATOR_TEXT.join(messages).encode()
        except UnicodeEncodeError:
            return cls.of([without_half_pairs(message) for message in messages])
        texts = joined.split(SEPARATOR)
        if len(texts) == len(messages):
            return cls(messages, list(map(len, texts)), messages.copy(), texts, joined)
        shown = [without_nul(message) for message in messages]
        texts = [message.encode() for message in shown]
        return cls(messages, [len(message.encode()) for message in messages], shown, texts, SEPARATOR.join(texts))


class AttributeBatch(NamedTuple):
    """The attributes of those entries of a batch that have any."""

    positions: list[int]
    """The entry of each."""
    texts: list[bytes]
    """As JSON."""
    joined: bytes
    """`texts` joined by SEPARATOR."""

    @classmethod
    def of(cls, attributes: Sequence[dict[str, Any] | None]) -> AttributeBatch:
        positions = [position for position, values in enumerate(attributes) if values]
        texts = [encode_json(attributes[position]) for position in positions]
        return cls(positions, texts, SEPARATOR.join(texts))
