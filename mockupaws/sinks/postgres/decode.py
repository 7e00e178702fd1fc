"""Records to what the Postgres sink writes: packed requests, dead letters to store, dead letters to publish. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mockupaws import __version__
from mockupaws.schemas import analysed, dead_letters
from mockupaws.schemas.analysed import AnalysedRequest, Source, source_of
from mockupaws.schemas.dead_letters import DeadLetter, Reason
from mockupaws.sinks.batch import SourceRecord
from mockupaws.sinks.postgres.rows import pack_rows


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests were read, for their dead letters if it comes to that."""

    topic: str
    partition: int
    offset: int
    record_version: str | None


class PackedRequest(NamedTuple):
    """A request and its rows, ready for COPY."""

    request: AnalysedRequest
    applied_key: bytes
    rows: bytes
    origin: Origin

    @property
    def line_count(self) -> int:
        return len(self.request.lines.index)


@dataclass(frozen=True, slots=True)
class PostgresItem:
    """One record: requests of `logs.analysed`, or a letter of `ingest.dead_letters`, or one to publish there."""

    line_count: int
    size_bytes: int
    requests: list[PackedRequest] = field(default_factory=list)
    stored_letters: list[DeadLetter] = field(default_factory=list)
    new_letters: list[DeadLetter] = field(default_factory=list)
    source: Source | None = None
    """The record of `ingest.requests` this one answers, where it tells."""


def decode_analysed_record(record: SourceRecord, now_us: int) -> PostgresItem:
    """The requests of the record; a dead letter where it isn't what this release can read."""
    item = _decode(record, now_us, analysed.SCHEMA_VERSION, _pack_requests)
    return replace(item, source=source_of(record.headers))


def decode_dead_letter_record(record: SourceRecord, now_us: int) -> PostgresItem:
    """The letter; a new letter about it where it isn't what this release can read."""
    item = _decode(record, now_us, dead_letters.SCHEMA_VERSION, _take_letter)
    return replace(item, source=source_of(record.headers))


def letter_about_request(packed: PackedRequest, reason: Reason, detail: str, now_us: int) -> DeadLetter:
    """All lines of an analysed request that can't be stored; `original` is the analysed request, redacted as it is."""
    request, origin = packed.request, packed.origin
    return DeadLetter(
        reason=reason,
        step="postgres_sink",
        detail=detail,
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        occurred_at_us=now_us,
        software_version=__version__,
        original=analysed.encode_analysed([request]),
        request_id=request.request_id,
        tenant_id=request.tenant_id,
        scenario_id=request.scenario_id,
        accepted=request.accepted,
        entry_indexes=request.lines.index,
        received_at_us=request.received_at_us,
        record_version=origin.record_version,
    )


def _decode(
    record: SourceRecord, now_us: int, version: int, read: Callable[[SourceRecord, bytes, int], PostgresItem]
) -> PostgresItem:
    value = record.value or b""
    reason: Reason = "undecodable_record"
    if any(name == "schema_version" and text != str(version).encode() for name, text in record.headers):
        reason, detail = "unknown_schema_version", f"this release reads version {version}"
    else:
        try:
            return read(record, value, now_us)
        except Exception as error:  # whatever it holds, it must not stop its neighbours
            detail = type(error.__cause__ or error).__name__
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
        record_version=_version_of(record),
    )
    return PostgresItem(line_count=0, size_bytes=len(value), new_letters=[letter])


def _pack_requests(record: SourceRecord, value: bytes, now_us: int) -> PostgresItem:
    """A request whose values fit no row becomes a letter; the others of its record are packed."""
    requests = analysed.decode_analysed(value)
    origin = Origin(record.topic, record.partition, record.offset, _version_of(record))
    letters: list[DeadLetter] = []
    try:
        packed = _packed(requests, origin)
    except Exception:  # values beyond what a column's binary form can hold: each by itself
        packed = []
        for request in requests:
            try:
                packed += _packed([request], origin)
            except Exception as error:
                unpacked = PackedRequest(request, request.applied_key, b"", origin)
                detail = f"{type(error).__name__} while packing"
                letters.append(letter_about_request(unpacked, "row_refused", detail, now_us))
    return PostgresItem(
        line_count=sum(len(one.request.lines.index) for one in packed),
        size_bytes=len(value),
        requests=packed,
        new_letters=letters,
    )


def _packed(requests: Sequence[AnalysedRequest], origin: Origin) -> list[PackedRequest]:
    return [
        PackedRequest(request, request.applied_key, rows, origin)
        for request, rows in zip(requests, pack_rows(requests), strict=True)
    ]


def _version_of(record: SourceRecord) -> str | None:
    return next((text.decode("latin-1") for name, text in record.headers if name == "schema_version"), None)


def _take_letter(record: SourceRecord, value: bytes, now_us: int) -> PostgresItem:
    return PostgresItem(line_count=1, size_bytes=len(value), stored_letters=[dead_letters.decode_dead_letter(value)])
