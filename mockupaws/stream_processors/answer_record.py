"""What one record of `ingest.requests` becomes: an analysed record, dead letters, or both. Pure, never raises for
what a record holds, and answers each record with something: nothing is dropped."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from mockupaws import __version__
from mockupaws.runtime.errors import place_of
from mockupaws.schemas.analysed import AnalysedRequest, encode_analysed
from mockupaws.schemas.dead_letters import DeadLetter, Reason, Step, encode_dead_letter
from mockupaws.schemas.requests import SCHEMA_VERSION, IngestRequest, decode_bundle, encode_request
from mockupaws.schemas.topics import ANALYSED, DEAD_LETTERS, Topic
from mockupaws.stream_processors.analyse_entries import Analyser

_RECORD_OVERHEAD_BYTES = 64 * 1024
"""Room for headers and batch framing below the broker's limit."""
LARGEST_ANALYSED_BYTES = ANALYSED.max_message_bytes - _RECORD_OVERHEAD_BYTES

_Pair = tuple[IngestRequest, AnalysedRequest]


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One record of `ingest.requests` as read."""

    topic: str
    partition: int
    offset: int
    value: bytes
    schema_version: bytes | None
    """The record's header; None where it has none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One record to write, to the partition with the source's number."""

    topic: Topic
    value: bytes
    entries: int
    """Entries in it."""
    reason: Reason | None = None
    """Why, where it is a dead letter."""


def answer_record(analyser: Analyser, record: SourceRecord, now_us: int) -> list[Answer]:
    """At least one answer. Each entry of the record stands in exactly one of them."""
    if record.schema_version != str(SCHEMA_VERSION).encode():
        return [_whole_record(record, "unknown_schema_version", f"schema_version {record.schema_version!r}", now_us)]
    try:
        requests = decode_bundle(record.value)
    except (msgspec.DecodeError, RecursionError) as error:
        return [_whole_record(record, "undecodable_record", _describe(error), now_us)]
    analysed: list[_Pair] = []
    letters: list[Answer] = []
    for request in requests:
        try:
            analysed.append((request, analyser.analyse_request(request)))
        except Exception:  # any step may raise anything: its neighbours must not suffer
            rest, failed, detail = _analyse_one_by_one(analyser, request)
            letters.append(_part_of_request(record, request, failed, "analysis_failed", detail, now_us))
            if rest is not None:
                analysed.append((request, rest))
    if letters and not analysed:
        return letters
    return _analysed_answers(record, analysed, now_us) + letters


def _analyse_one_by_one(analyser: Analyser, request: IngestRequest) -> tuple[AnalysedRequest | None, list[int], str]:
    """The request without the entries that fail (None where all do), the indexes of those, and how the first failed."""
    good: list[int] = []
    failed: list[int] = []
    detail = ""
    for index in range(len(request.entries)):
        try:
            analyser.analyse_lines(request.entries, [index])
        except Exception as error:
            failed.append(index)
            detail = detail or _describe(error)
        else:
            good.append(index)
    if not good:
        return None, failed, detail
    try:
        return analyser.request_of(request, analyser.analyse_lines(request.entries, good)), failed, detail
    except Exception as error:  # entries that pass alone and fail together
        return None, list(range(len(request.entries))), _describe(error)


def _analysed_answers(record: SourceRecord, analysed: list[_Pair], now_us: int) -> list[Answer]:
    """One answer; where the broker would refuse it (marks may be longer than what they replace) one per request."""
    value = encode_analysed([result for _, result in analysed])
    if len(value) <= LARGEST_ANALYSED_BYTES:
        return [Answer(ANALYSED, value, sum(len(result.lines.index) for _, result in analysed))]
    if len(analysed) > 1:
        return [answer for pair in analysed for answer in _analysed_answers(record, [pair], now_us)]
    request, result = analysed[0]
    return [_part_of_request(record, request, result.lines.index, "too_large", f"{len(value)} bytes", now_us)]


def _whole_record(record: SourceRecord, reason: Reason, detail: str, now_us: int) -> Answer:
    return _answer_of(_letter(record, reason, "decode", detail, record.value, now_us))


def _part_of_request(
    record: SourceRecord, request: IngestRequest, indexes: list[int], reason: Reason, detail: str, now_us: int
) -> Answer:
    part = msgspec.structs.replace(request, entries=[request.entries[index] for index in indexes])
    letter = _letter(record, reason, "analyse", detail, encode_request(part), now_us)
    return _answer_of(
        msgspec.structs.replace(
            letter,
            request_id=request.request_id,
            tenant_id=request.tenant_id,
            scenario_id=request.scenario_id,
            accepted=len(request.entries),
            entry_indexes=indexes,
            received_at_us=request.received_at_us,
        )
    )


def _letter(record: SourceRecord, reason: Reason, step: Step, detail: str, original: bytes, now_us: int) -> DeadLetter:
    return DeadLetter(
        reason=reason,
        step=step,
        detail=detail,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        occurred_at_us=now_us,
        software_version=__version__,
        original=original,
    )


def _answer_of(letter: DeadLetter) -> Answer:
    return Answer(DEAD_LETTERS, encode_dead_letter(letter), len(letter.entry_indexes), letter.reason)


def _describe(error: BaseException) -> str:
    """Class of the error and where it was raised; its text might quote a payload."""
    place = place_of(error)
    return f"{type(error).__name__} at {place}" if place else type(error).__name__
