"""Analysed requests to the content of archive objects. Pure."""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

from mockupaws.archive.object_key import DIGEST_CHARACTERS, ObjectKey
from mockupaws.runtime.errors import PermanentError
from mockupaws.schemas.analysed import AnalysedRequest
from mockupaws.schemas.identifiers import EntryIds
from mockupaws.schemas.parquet import ARCHIVE_SCHEMA
from mockupaws.schemas.pii_types import types_of_mask
from mockupaws.sinks.dead_letters.rows import time_of

HOUR_US = 3600 * 1_000_000
ROW_GROUP_LINES = 50_000
_CONSTANT_COLUMNS = ("tenant_id", "scenario_id", "request_id")


class ObjectRefusedError(PermanentError):
    """The object just written can't be read back as it should."""


class LocatedRequest(NamedTuple):
    """A request and where it was read."""

    request: AnalysedRequest
    topic: str
    topic_id: UUID
    partition: int
    offset: int


class GroupKey(NamedTuple):
    """What one object holds: lines of one scenario and hour that came from one partition."""

    tenant_id: bytes
    scenario_id: bytes
    hour_us: int
    topic: str
    topic_id: UUID
    partition: int


@dataclass(frozen=True, slots=True)
class ArchiveObject:
    """An object and its row in the manifest."""

    key: ObjectKey
    topic_id: UUID
    content: bytes
    sha256: bytes
    size_bytes: int
    row_count: int
    first_received_at: datetime
    last_received_at: datetime

    def without_content(self) -> ArchiveObject:
        """For the time between put and commit, when only the manifest row is needed."""
        return replace(self, content=b"")


def group_requests(requests: Iterable[LocatedRequest]) -> dict[GroupKey, list[LocatedRequest]]:
    """Requests with lines, by the object they belong to."""
    groups: dict[GroupKey, list[LocatedRequest]] = {}
    for located in requests:
        request = located.request
        if request.lines.index:
            key = GroupKey(
                request.tenant_id,
                request.scenario_id,
                request.received_at_us // HOUR_US * HOUR_US,
                located.topic,
                located.topic_id,
                located.partition,
            )
            groups.setdefault(key, []).append(located)
    return groups


def build_object(key: GroupKey, group: Sequence[LocatedRequest]) -> ArchiveObject:
    """The same bytes for the same requests. Raises ObjectRefusedError if what was written doesn't hold its rows."""
    table = build_table([located.request for located in group])
    received_at_us = [located.request.received_at_us for located in group]
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=ROW_GROUP_LINES)
    content = sink.getvalue().to_pybytes()
    rows = pq.ParquetFile(pa.BufferReader(content)).metadata.num_rows
    if rows != table.num_rows:
        raise ObjectRefusedError(f"an archive object holds {rows} rows where {table.num_rows} were written")
    digest = hashlib.sha256(content).digest()
    return ArchiveObject(
        key=ObjectKey(
            tenant_id=UUID(bytes=key.tenant_id),
            scenario_id=UUID(bytes=key.scenario_id),
            hour=time_of(key.hour_us),
            topic=key.topic,
            partition=key.partition,
            first_offset=min(located.offset for located in group),
            last_offset=max(located.offset for located in group),
            digest=digest.hex()[:DIGEST_CHARACTERS],
        ),
        topic_id=key.topic_id,
        content=content,
        sha256=digest,
        size_bytes=len(content),
        row_count=rows,
        first_received_at=time_of(min(received_at_us)),
        last_received_at=time_of(max(received_at_us)),
    )


def build_table(requests: Sequence[AnalysedRequest]) -> pa.Table:
    """One row a line, sorted by received_at and id."""
    ids = [EntryIds(request.request_id, request.received_at_us) for request in requests]
    order = sorted(range(len(ids)), key=lambda place: (requests[place].received_at_us, ids[place].high, ids[place].low))
    requests, ids = [requests[place] for place in order], [ids[place] for place in order]
    counts = [len(request.lines.index) for request in requests]
    columns: dict[str, pa.Array[Any]] = {
        name: _fixed_width(ARCHIVE_SCHEMA.field(name).type, _repeated([getattr(r, name) for r in requests], counts))
        for name in _CONSTANT_COLUMNS
    }
    columns["id"] = _fixed_width(ARCHIVE_SCHEMA.field("id").type, _ids_of_lines(requests, ids))
    received_at = _repeated([request.received_at_us.to_bytes(8, sys.byteorder) for request in requests], counts)
    columns["received_at"] = _fixed_width(ARCHIVE_SCHEMA.field("received_at").type, received_at)
    versions = _repeated([request.policy_version.to_bytes(4, sys.byteorder) for request in requests], counts)
    columns["policy_version"] = _fixed_width(pa.int32(), versions)
    columns["message_hash"] = _fixed_width(pa.binary(32), b"".join(_column(requests, "message_hash")))
    for name in ("size_bytes", "token_count", "sqs_blocks"):
        columns[name] = _fixed_width(pa.int32(), array("i", _column(requests, name)))
    columns["timestamp"] = pa.array(_column(requests, "timestamp_us"), ARCHIVE_SCHEMA.field("timestamp").type)
    for name in ("message", "source", "level", "attributes"):
        columns[name] = pa.array(_column(requests, name), pa.string())
    columns["pii_types"] = _findings(_column(requests, "pii_mask"))
    return pa.Table.from_arrays([columns[name] for name in ARCHIVE_SCHEMA.names], schema=ARCHIVE_SCHEMA)


def _column(requests: Sequence[AnalysedRequest], name: str) -> list[Any]:
    return list(chain.from_iterable([getattr(request.lines, name) for request in requests]))


def _repeated(values: Sequence[bytes], counts: Sequence[int]) -> bytes:
    """Each value once for each line of its request."""
    return b"".join([value * count for value, count in zip(values, counts, strict=True)])


def _ids_of_lines(requests: Sequence[AnalysedRequest], ids: Sequence[EntryIds]) -> bytes:
    return b"".join(
        [
            of_request.high + (of_request.low | index).to_bytes(8, "big")
            for request, of_request in zip(requests, ids, strict=True)
            for index in request.lines.index
        ]
    )


def _fixed_width(kind: pa.DataType, values: bytes | array[int]) -> pa.Array[Any]:
    """Values without nulls, one after the other, as they are: nothing is converted value by value."""
    buffer = pa.py_buffer(values)
    stored: Any = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    column: pa.Array[Any] = pa.Array.from_buffers(stored, buffer.size * 8 // stored.bit_width, [None, buffer])
    return pa.ExtensionArray.from_storage(kind, column) if isinstance(kind, pa.BaseExtensionType) else column


def _findings(masks: Sequence[int]) -> pa.Array[Any]:
    """Few masks are different ones, so their lists of types are made once each."""
    places = {mask: place for place, mask in enumerate(dict.fromkeys(masks))}
    kind = ARCHIVE_SCHEMA.field("pii_types").type
    lists: pa.Array[Any] = pa.array([types_of_mask(mask) for mask in places], kind)
    taken: pa.Array[Any] = lists.take(_fixed_width(pa.int32(), array("i", map(places.__getitem__, masks))))
    return taken
