"""Records to what the Postgres sink writes: packed requests, dead letters to store, dead letters to publish. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from mockupaws import __version__
from mockupaws.schemas import analysed, dead_letters
from mockupaws.schemas.analysed import AnalysedRequest
from mockupaws.schemas.dead_letters import DeadLetter, Reason
from mockupaws.sinks.batch import SourceRecord
from mockupaws.sinks.postgres.rows import pack_rows


@dataclass(frozen=True, slots=True)
class PackedRequest:
    """A request and its rows, ready for COPY; and where it was read, for its dead letter if it comes to that."""

    request: AnalysedRequest
    request_id: UUID
    rows: bytes
    line_count: int
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class PostgresItem:
    """One record: requests of `logs.analysed`, or a letter of `ingest.dead_letters`, or one to publish there."""

    line_count: int
    size_bytes: int
    requests: list[PackedRequest] = field(default_factory=list)
    stored_letters: list[DeadLetter] = field(default_factory=list)
    new_letters: list[DeadLetter] = field(default_factory=list)


def decode_analysed_record(record: SourceRecord, now_us: int) -> PostgresItem:
    """The requests of the record; a dead letter where it isn't what this release can read."""
    return _decode(record, now_us, analysed.SCHEMA_VERSION, _pack_requests)


def decode_dead_letter_record(record: SourceRecord, now_us: int) -> PostgresItem:
    """The letter; a new letter about it where it isn't what this release can read."""
    return _decode(record, now_us, dead_letters.SCHEMA_VERSION, _take_letter)


def letter_about_request(packed: PackedRequest, reason: Reason, detail: str, now_us: int) -> DeadLetter:
    """All lines of an analysed request that can't be stored; `original` is the analysed request, redacted as it is."""
    request = packed.request
    return DeadLetter(
        reason=reason,
        step="postgres_sink",
        detail=detail,
        topic=packed.topic,
        partition=packed.partition,
        offset=packed.offset,
        occurred_at_us=now_us,
        software_version=__version__,
        original=analysed.encode_analysed([request]),
        request_id=request.request_id,
        tenant_id=request.tenant_id,
        scenario_id=request.scenario_id,
        accepted=request.accepted,
        entry_indexes=request.lines.index,
        received_at_us=request.received_at_us,
    )


def _decode(
    record: SourceRecord, now_us: int, version: int, read: Callable[[SourceRecord, bytes], PostgresItem]
) -> PostgresItem:
    value = record.value or b""
    reason: Reason = "undecodable_record"
    if any(name == "schema_version" and text != str(version).encode() for name, text in record.headers):
        reason, detail = "unknown_schema_version", f"this release reads version {version}"
    else:
        try:
            return read(record, value)
        except (msgspec.DecodeError, ValueError, OverflowError) as error:
            detail = type(error).__name__
        except Exception as error:  # a record that breaks packing must not stop its neighbours
            detail = f"{type(error).__name__} while packing"
    letter = DeadLetter(
        reason=reason,
        step="decode",
        detail=detail,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        occurred_at_us=now_us,
        software_version=__version__,
        original=value,
    )
    return PostgresItem(line_count=0, size_bytes=len(value), new_letters=[letter])


def _pack_requests(record: SourceRecord, value: bytes) -> PostgresItem:
    requests = [
        PackedRequest(
            request=request,
            request_id=UUID(bytes=request.request_id),
            rows=pack_rows(request),
            line_count=len(request.lines.index),
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
        for request in analysed.decode_analysed(value)
    ]
    return PostgresItem(
        line_count=sum(packed.line_count for packed in requests), size_bytes=len(value), requests=requests
    )


def _take_letter(record: SourceRecord, value: bytes) -> PostgresItem:
    return PostgresItem(line_count=1, size_bytes=len(value), stored_letters=[dead_letters.decode_dead_letter(value)])
