"""Rows of `scenario_logs` as the binary COPY format, packed by hand. Pure.

asyncpg encodes value by value, which costs 8 µs a line; here what is equal for a whole request is packed once, short
texts and finding masks are cached, and each line is one `struct` call and a join.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from mockupaws.schemas.analysed import AnalysedRequest
from mockupaws.schemas.identifiers import EntryIds
from mockupaws.schemas.pii_types import types_of_mask

COLUMNS = (
    "tenant_id",
    "scenario_id",
    "received_at",
    "policy_version",
    "id",
    "timestamp",
    "message_hash",
    "size_bytes",
    "token_count",
    "sqs_blocks",
    "has_pii",
    "pii_types",
    "source",
    "level",
    "message_preview",
    "attributes",
)
"""Order of the packed fields; constant ones first."""

HEADER = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
TRAILER = struct.pack(">h", -1)
PREVIEW_CHARACTERS = 500

EPOCH_2000_US = 946_684_800_000_000
_TEXT_OID = 25
_NULL = struct.pack(">i", -1)
_PREFIX = struct.Struct(">hi16si16siqii")
_LINE = struct.Struct(">i16siqi32siiiiii")
_LINE_NO_TIMESTAMP = struct.Struct(">i16sii32siiiiii")


@lru_cache(maxsize=4096)
def _pack_findings(pii_mask: int) -> bytes:
    """has_pii and pii_types (a text[] of one dimension)."""
    names = [name.encode() for name in types_of_mask(pii_mask)]
    if names:
        array = struct.pack(">iiIii", 1, 0, _TEXT_OID, len(names), 1)
        array += b"".join(struct.pack(">i", len(name)) + name for name in names)
    else:
        array = struct.pack(">iiI", 0, 0, _TEXT_OID)
    return struct.pack(">i?i", 1, bool(names), len(array)) + array


@lru_cache(maxsize=4096)
def _pack_labels(source: str, level: str) -> bytes:
    """Sources and levels repeat from line to line."""
    texts = (source.encode(), level.encode())
    return b"".join(struct.pack(">i", len(text)) + text for text in texts)


def pack_rows(request: AnalysedRequest) -> bytes:
    """All lines of a request as COPY rows, without header and trailer."""
    columns = request.lines
    ids = EntryIds(request.request_id, request.received_at_us)
    received_at = request.received_at_us - EPOCH_2000_US
    prefix = _PREFIX.pack(
        len(COLUMNS), 16, request.tenant_id, 16, request.scenario_id, 8, received_at, 4, request.policy_version
    )
    pieces: list[bytes] = []
    add = pieces.append
    for index, message, digest, timestamp_us, source, level, attributes, size, tokens, blocks, mask in zip(
        columns.index,
        columns.message,
        columns.message_hash,
        columns.timestamp_us,
        columns.source,
        columns.level,
        columns.attributes,
        columns.size_bytes,
        columns.token_count,
        columns.sqs_blocks,
        columns.pii_mask,
        strict=True,
    ):
        add(prefix)
        if timestamp_us is None:
            add(_LINE_NO_TIMESTAMP.pack(16, ids[index], -1, 32, digest, 4, size, 4, tokens, 4, blocks))
        else:
            add(_LINE.pack(16, ids[index], 8, timestamp_us - EPOCH_2000_US, 32, digest, 4, size, 4, tokens, 4, blocks))
        add(_pack_findings(mask))
        add(_pack_labels(source, level))
        preview = message[:PREVIEW_CHARACTERS].encode()
        add(len(preview).to_bytes(4, "big"))
        add(preview)
        if attributes is None:
            add(_NULL)
        else:
            text = attributes.encode()
            add((len(text) + 1).to_bytes(4, "big"))
            add(b"\x01")  # version of jsonb's binary form: text follows
            add(text)
    return b"".join(pieces)
