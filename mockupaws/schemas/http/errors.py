"""The body of every HTTP error of gateway and API: `{"error": {"code", "message", "retryable", "request_id"}}`.

Each service keeps its own table of codes as `ErrorKind` rows; the shape is one.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """A row of a service's error table."""

    code: str
    status: int
    retryable: bool
    """Whether the same request may succeed later: true only for 408, 429 and 503."""
    meaning: str


class ErrorBody(msgspec.Struct, frozen=True):
    code: str
    message: str
    """What happened and what to do about it; never quotes a payload, key or token."""
    retryable: bool
    request_id: str


class ErrorAnswer(msgspec.Struct, frozen=True):
    error: ErrorBody


_encoder = msgspec.json.Encoder()


def encode_error(kind: ErrorKind, message: str, request_id: str) -> bytes:
    return _encoder.encode(ErrorAnswer(ErrorBody(kind.code, message, kind.retryable, request_id)))
