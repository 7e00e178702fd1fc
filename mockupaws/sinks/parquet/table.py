"""Analysed requests to the content of archive objects. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
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
_CONSTANT_COLUMNS = ("tenant_id", "scenario_id", "request_id", "policy_version")


class ObjectRefusedError(PermanentError):
    """The object just written can't be read back as it should."""


@dataclass(frozen=True, slots=True)
class LocatedRequest:
    """A request and where it was read."""

    request: AnalysedRequest
    topic: str
    topic_id: UUID
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class GroupKey:
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
    ordered = sorted((located.request for located in group), key=lambda r: (r.received_at_us, _first_id(r)))
    table = build_table(ordered)
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
        first_received_at=time_of(ordered[0].received_at_us),
        last_received_at=time_of(ordered[-1].received_at_us),
    )


def build_table(requests: Sequence[AnalysedRequest]) -> pa.Table:
    """One row a line; sorted by received_at, id where the requests are."""
    columns: dict[str, list[object]] = {name: [] for name in ARCHIVE_SCHEMA.names}
    for request in requests:
        lines = request.lines
        count = len(lines.index)
        ids = EntryIds(request.request_id, request.received_at_us)
        for name in _CONSTANT_COLUMNS:
            columns[name] += [getattr(request, name)] * count
        columns["received_at"] += [request.received_at_us] * count
        columns["id"] += [ids[index] for index in lines.index]
        columns["timestamp"] += lines.timestamp_us
        columns["pii_types"] += [types_of_mask(mask) for mask in lines.pii_mask]
        for name in ("message", "message_hash", "source", "level", "attributes", "size_bytes", "token_count"):
            columns[name] += getattr(lines, name)
        columns["sqs_blocks"] += lines.sqs_blocks
    return pa.Table.from_arrays(
        [pa.array(columns[field.name], field.type) for field in ARCHIVE_SCHEMA], schema=ARCHIVE_SCHEMA
    )


def _first_id(request: AnalysedRequest) -> bytes:
    return EntryIds(request.request_id, request.received_at_us)[0]
