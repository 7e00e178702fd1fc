"""Cursors: where a page ended, signed, and bound to the tenant and the query it belongs to. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAC_BYTES = 16


class Position(NamedTuple):
    """The last row of a page: the keyset (received_at, id)."""

    received_at: datetime
    id: UUID


def encode_cursor(secret: str, binding: str, position: Position) -> str:
    """`binding` names all that the cursor may not outlive: tenant, scenario, filters, order."""
    micros = (position.received_at - _EPOCH) // timedelta(microseconds=1)
    payload = micros.to_bytes(8, "big", signed=True) + position.id.bytes
    return base64.urlsafe_b64encode(payload + _mac(secret, binding, payload)).decode().rstrip("=")


def decode_cursor(secret: str, binding: str, cursor: str) -> Position | None:
    """None where it was altered, or made for another binding or under another secret."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    payload, mac = raw[:24], raw[24:]
    if not hmac.compare_digest(_mac(secret, binding, payload), mac):
        return None
    return Position(
        _EPOCH + timedelta(microseconds=int.from_bytes(payload[:8], "big", signed=True)), UUID(bytes=payload[8:])
    )


def _mac(secret: str, binding: str, payload: bytes) -> bytes:
    message = b"cursor\0" + binding.encode() + b"\0" + payload
    return hmac.digest(secret.encode(), message, hashlib.sha256)[:_MAC_BYTES]
