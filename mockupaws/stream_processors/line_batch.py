"""The messages of a request in the forms that the steps of the analysis need, made for all of them at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from mockupaws.stream_processors.detect_pii.scan import SEPARATOR
from mockupaws.stream_processors.redact import without_half_pairs, without_nul

SEPARATOR_TEXT = SEPARATOR.decode()

_json_encoder = msgspec.json.Encoder()
encode_json = _json_encoder.encode
_encode_json_lines = _json_encoder.encode_lines


def shared(labels: list[str]) -> list[str]:
    """The same labels, one object for all that are equal: so many that repeat would leave the caches between steps."""
    known: dict[str, str] = {}
    return list(map(known.setdefault, labels, labels))


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
            joined = SEPARATOR_TEXT.join(messages).encode()
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

    positions: Sequence[int]
    """The entry of each."""
    texts: list[bytes]
    """As JSON."""
    joined: bytes
    """`texts` joined by SEPARATOR."""

    @classmethod
    def of(cls, attributes: Sequence[dict[str, Any] | None]) -> AttributeBatch:
        given = [values for values in attributes if values]
        positions: Sequence[int] = range(len(given))
        if len(given) < len(attributes):
            positions = [position for position, values in enumerate(attributes) if values]
        # JSON holds neither a bare line break nor a bare NUL, so one call serves them all
        joined = _encode_json_lines(given)[:-1].replace(b"\n", SEPARATOR)
        return cls(positions, joined.split(SEPARATOR), joined)
