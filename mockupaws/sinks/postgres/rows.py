"""Rows of `scenario_logs` as the binary COPY format, packed by hand. Pure.

asyncpg encodes value by value, which costs 8 µs a line; here what is equal for a whole request is packed once, what
repeats from line to line is kept, and each line is one `struct` call. Pieces are made column by column over all
requests given, so that many small ones cost little more than one large.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain, islice, repeat

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
_JSONB_VERSION = b"\x01"
"""Of its binary form; the text follows."""
_PREFIX = struct.Struct(">hi16si16siqiii8s").pack
"""Up to the first half of the id, which all lines of a request share."""
_LINE = struct.Struct(">Qiqi32siiiiii").pack
_LINE_NO_TIMESTAMP = struct.Struct(">Qii32siiiiii").pack
_LENGTHS = [length.to_bytes(4, "big") for length in range(4 * PREVIEW_CHARACTERS + 1)]


_KEPT_PIECES = 4096


class _Marks(dict[tuple[int, str, str], bytes]):
    """Findings, source and level as packed, which repeat from line to line: made once each, a number of them kept."""

    def __missing__(self, marks: tuple[int, str, str]) -> bytes:
        pii_mask, *texts = marks
        labels = [text.encode() for text in texts]
        packed = _pack_findings(pii_mask) + b"".join(struct.pack(">i", len(label)) + label for label in labels)
        if len(self) >= _KEPT_PIECES:
            self.clear()
        self[marks] = packed
        return packed


class _AttributesHeads(dict[int, bytes]):
    """What stands before attributes of so many bytes; before none, that they are null."""

    def __missing__(self, length: int) -> bytes:
        head = (length + 1).to_bytes(4, "big") + _JSONB_VERSION
        if length < _KEPT_PIECES:
            self[length] = head
        return head


_marks = _Marks()
_attributes_heads = _AttributesHeads({0: _NULL})


def _pack_findings(pii_mask: int) -> bytes:
    """has_pii and pii_types (a text[] of one dimension)."""
    names = [name.encode() for name in types_of_mask(pii_mask)]
    if names:
        array = struct.pack(">iiIii", 1, 0, _TEXT_OID, len(names), 1)
        array += b"".join(struct.pack(">i", len(name)) + name for name in names)
    else:
        array = struct.pack(">iiI", 0, 0, _TEXT_OID)
    return struct.pack(">i?i", 1, bool(names), len(array)) + array


def pack_rows(requests: Sequence[AnalysedRequest]) -> list[bytes]:
    """The lines of each request as COPY rows, without header and trailer. Raises where a value fits no column."""
    counts = [len(request.lines.index) for request in requests]
    ids = [EntryIds(request.request_id, request.received_at_us) for request in requests]
    prefixes = [
        _PREFIX(
            len(COLUMNS), 16, request.tenant_id, 16, request.scenario_id, 8, request.received_at_us - EPOCH_2000_US,
            4, request.policy_version, 16, of_request.high,
        )
        for request, of_request in zip(requests, ids, strict=True)
    ]  # fmt: skip
    lines = [request.lines for request in requests]
    measures = [
        _LINE_NO_TIMESTAMP(low_of_ids | index, -1, 32, digest, 4, size, 4, tokens, 4, blocks)
        if timestamp_us is None
        else _LINE(low_of_ids | index, 8, timestamp_us - EPOCH_2000_US, 32, digest, 4, size, 4, tokens, 4, blocks)
        for low_of_ids, index, timestamp_us, digest, size, tokens, blocks in zip(
            chain.from_iterable(map(repeat, [of_request.low for of_request in ids], counts)),
            chain.from_iterable([columns.index for columns in lines]),
            chain.from_iterable([columns.timestamp_us for columns in lines]),
            chain.from_iterable([columns.message_hash for columns in lines]),
            chain.from_iterable([columns.size_bytes for columns in lines]),
            chain.from_iterable([columns.token_count for columns in lines]),
            chain.from_iterable([columns.sqs_blocks for columns in lines]),
            strict=True,
        )
    ]
    previews = [message[:PREVIEW_CHARACTERS].encode() for columns in lines for message in columns.message]
    # Text without anything is no JSON: it becomes what Postgres refuses as well, and not what stands for null.
    attributes = [b"" if text is None else text.encode() or b" " for columns in lines for text in columns.attributes]
    fields = (
        chain.from_iterable(map(repeat, prefixes, counts)),
        measures,
        map(
            _marks.__getitem__,
            zip(
                chain.from_iterable([columns.pii_mask for columns in lines]),
                chain.from_iterable([columns.source for columns in lines]),
                chain.from_iterable([columns.level for columns in lines]),
                strict=True,
            ),
        ),
        map(_LENGTHS.__getitem__, map(len, previews)),
        previews,
        map(_attributes_heads.__getitem__, map(len, attributes)),
        attributes,
    )
    pieces = chain.from_iterable(zip(*fields, strict=True))
    return [b"".join(islice(pieces, len(fields) * count)) for count in counts]
