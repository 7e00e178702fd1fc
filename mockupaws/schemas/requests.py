"""Records of `ingest.requests`: bundles of accepted HTTP requests, as msgpack arrays.

A bundle is a msgpack array of `IngestRequest`; the gateway encodes each request once and joins the pieces.
Structs are arrays on the wire: a new field goes to the end, with a default, and older readers skip it.
"""

from __future__ import annotations

from typing import Any

import msgspec

SCHEMA_VERSION = 1
"""Sent as the header `schema_version` of each record; readers refuse (dead-letter) a version they don't know."""

MAX_ENTRIES = 10_000


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """One log line as its producer sent it."""

    message: str
    timestamp_us: int | None = None
    """The producer's clock, epoch µs; None where it sent none."""
    source: str = ""
    level: str = ""
    attributes: dict[str, Any] | None = None


class IngestRequest(msgspec.Struct, array_like=True, frozen=True):
    """One accepted HTTP request: everything later steps need to know of it."""

    request_id: bytes
    tenant_id: bytes
    scenario_id: bytes
    received_at_us: int
    """The gateway's clock, epoch µs: the time axis of rows, rollups and archive."""
    body_hash: bytes
    entries: list[Entry]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[IngestRequest])


def encode_request(request: IngestRequest) -> bytes:
    return _encoder.encode(request)


def join_bundle(encoded: list[bytes]) -> bytes:
    """A record value from requests that `encode_request` made (1 to 65,535 of them)."""
    count = len(encoded)
    head = bytes([0x90 | count]) if count < 16 else b"\xdc" + count.to_bytes(2, "big")
    return head + b"".join(encoded)


def decode_bundle(value: bytes) -> list[IngestRequest]:
    """Raises msgspec.DecodeError (with ValidationError below it) on anything but a bundle."""
    return _decoder.decode(value)
