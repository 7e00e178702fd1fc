"""Records of `ingest.requests`: bundles of accepted HTTP requests, as msgpack arrays.

A bundle is a msgpack array of `IngestRequest`; the gateway encodes each request once and joins the pieces.
Structs are arrays on the wire: a new field goes to the end, with a default, and older readers skip it.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from mockupaws.schemas.token_encodings import DEFAULT_ENCODING, TokenEncoding

SCHEMA_VERSION = 1
"""Sent as the header `schema_version` of each record; readers refuse (dead-letter) a version they don't know."""

MAX_ENTRIES = 10_000
EARLIEST_US = -62_135_596_800_000_000
LATEST_US = 253_402_300_799_999_999
"""Begin of the year 1 and end of the year 9999, outside which times can't be told."""

Identifier = Annotated[bytes, Meta(min_length=16, max_length=16)]
"""A UUID's bytes."""
ReceivedAt = Annotated[int, Meta(ge=0, le=LATEST_US)]

T = TypeVar("T")


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One log line as its producer sent it. No cycle can begin in one, so the collector needn't know of each."""

    message: str
    timestamp_us: Annotated[int, Meta(ge=EARLIEST_US, le=LATEST_US)] | None = None
    """The producer's clock, epoch µs; None where it sent none."""
    source: str = ""
    level: str = ""
    attributes: dict[str, Any] | None = None


class IngestRequest(msgspec.Struct, array_like=True, frozen=True):
    """One accepted HTTP request, or a part of one that is redriven: everything later steps need to know of it."""

    request_id: Identifier
    tenant_id: Identifier
    scenario_id: Identifier
    received_at_us: ReceivedAt
    """The gateway's clock, epoch µs: the time axis of rows, rollups and archive."""
    body_hash: bytes
    """Of a request with an Idempotency-Key, to tell another body under it; else the request's id."""
    entries: list[Entry]
    entry_indexes: list[int] | None = None
    """Of a part: the positions of `entries` in the request. None: the request is whole."""
    whole_entries: int | None = None
    """Of a part: how many entries the request had."""
    token_encoding: TokenEncoding = DEFAULT_ENCODING
    """What the scenario's model counts tokens with, when the request was accepted."""

    @property
    def accepted(self) -> int:
        """Entries of the whole request."""
        return len(self.entries) if self.whole_entries is None else self.whole_entries

    @property
    def indexes(self) -> list[int]:
        """The position of each entry in the whole request."""
        return list(range(len(self.entries))) if self.entry_indexes is None else self.entry_indexes


class RequestHead(NamedTuple):
    """What can be told of a request whose entries can't be read."""

    request_id: bytes
    tenant_id: bytes
    scenario_id: bytes
    received_at_us: int
    indexes: list[int]
    accepted: int


class _Opaque(msgspec.Struct, array_like=True, frozen=True):
    """An IngestRequest with its entries unread."""

    request_id: Identifier
    tenant_id: Identifier
    scenario_id: Identifier
    received_at_us: ReceivedAt
    body_hash: bytes
    entries: list[msgspec.Raw]
    entry_indexes: list[int] | None = None
    whole_entries: int | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[IngestRequest])
_request_decoder = msgspec.msgpack.Decoder(IngestRequest)
_opaque_decoder = msgspec.msgpack.Decoder(_Opaque)
_piece_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])


def encode_request(request: IngestRequest) -> bytes:
    return _encoder.encode(request)


def join_bundle(encoded: list[bytes]) -> bytes:
    """A record value from requests that `encode_request` made (1 to 65,535 of them)."""
    count = len(encoded)
    head = bytes([0x90 | count]) if count < 16 else b"\xdc" + count.to_bytes(2, "big")
    return head + b"".join(encoded)


def decode_bundle(value: bytes) -> list[IngestRequest]:
    """Raises msgspec.DecodeError (with ValidationError below it) on anything but a bundle."""
    requests = _decode(_decoder, value)
    for request in requests:
        if request.entry_indexes is not None:
            _check_part(request)
    return requests


def decode_request(value: bytes) -> IngestRequest:
    """What `encode_request` made. Raises msgspec.DecodeError."""
    request = _decode(_request_decoder, value)
    if request.entry_indexes is not None:
        _check_part(request)
    return request


def split_bundle(value: bytes) -> list[bytes]:
    """The encoded requests of a bundle, whatever is in them. Raises msgspec.DecodeError where it is no array."""
    return [bytes(piece) for piece in _decode(_piece_decoder, value)]


def head_of_request(value: bytes) -> RequestHead | None:
    """Of a request that `decode_request` refuses; None where not even its head can be read."""
    try:
        request = _decode(_opaque_decoder, value)
    except msgspec.DecodeError:
        return None
    indexes = list(range(len(request.entries))) if request.entry_indexes is None else request.entry_indexes
    accepted = len(request.entries) if request.whole_entries is None else request.whole_entries
    if not _fits(indexes, len(request.entries), accepted):
        return None
    return RequestHead(
        request.request_id, request.tenant_id, request.scenario_id, request.received_at_us, indexes, accepted
    )


def _decode(decoder: msgspec.msgpack.Decoder[T], value: bytes) -> T:
    try:
        return decoder.decode(value)
    except msgspec.DecodeError:
        raise
    except Exception as error:  # text that is no UTF-8, nesting without end, a map's key that can't be one
        raise msgspec.DecodeError(type(error).__name__) from error


def _check_part(request: IngestRequest) -> None:
    if not _fits(request.indexes, len(request.entries), request.accepted):
        raise msgspec.ValidationError("a part doesn't name its entries")


def _fits(indexes: list[int], entries: int, accepted: int) -> bool:
    return len(indexes) == entries and all(0 <= index < accepted for index in indexes)
