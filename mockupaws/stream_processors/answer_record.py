"""What records of `ingest.requests` become: an analysed record, dead letters, or both, of each. Pure, never raises for
what a record holds, and answers each record with something: nothing is dropped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

import msgspec

from mockupaws import __version__
from mockupaws.runtime.errors import place_of
from mockupaws.schemas.analysed import AnalysedRequest, decode_analysed, encode_analysed
from mockupaws.schemas.dead_letters import DeadLetter, Reason, Step, encode_dead_letter
from mockupaws.schemas.requests import (
    SCHEMA_VERSION,
    IngestRequest,
    decode_bundle,
    decode_request,
    encode_request,
    head_of_request,
    join_bundle,
    split_bundle,
)
from mockupaws.schemas.topics import ANALYSED, DEAD_LETTERS, Topic
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.policies.apply_policy import CompiledPolicy, PolicyOf, always_default

_RECORD_OVERHEAD_BYTES = 64 * 1024
"""Room for headers and batch framing below the broker's limit."""
LARGEST_ANALYSED_BYTES = ANALYSED.max_message_bytes - _RECORD_OVERHEAD_BYTES

_READ_VERSION = str(SCHEMA_VERSION).encode()

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


class Answered(NamedTuple):
    """What became of one record."""

    answers: list[Answer]
    """At least one. Each entry of the record stands in exactly one of them."""
    outcomes: list[Reason | None]
    """For each request, in order: None, or why nothing of it could be processed."""


def answer_records(
    analyser: Analyser, records: Sequence[SourceRecord], now_us: int, policy_of: PolicyOf = always_default
) -> list[Answered]:
    """What becomes of each record, in order: the same as of it alone, at less cost."""
    decoded = [_decode(record, now_us) for record in records]
    requests = [one for of_record in decoded for one in of_record if isinstance(one, IngestRequest)]
    results: Iterator[AnalysedRequest | None]
    try:
        results = iter(analyser.analyse_requests([(request, policy_of(request.tenant_id)) for request in requests]))
    except Exception:  # any step may raise anything: its neighbours must not suffer, so each is asked for alone
        results = repeat(None)
    return [
        _answer(analyser, record, of_record, results, now_us, policy_of)
        for record, of_record in zip(records, decoded, strict=True)
    ]


def _decode(record: SourceRecord, now_us: int) -> Sequence[IngestRequest | DeadLetter]:
    if record.schema_version != _READ_VERSION:
        detail = f"this release reads version {SCHEMA_VERSION}"
        return [_letter(record, "unknown_schema_version", "decode", detail, record.value, now_us)]
    try:
        return decode_bundle(record.value)
    except msgspec.DecodeError:
        return _decode_one_by_one(record, now_us)


def _answer(
    analyser: Analyser,
    record: SourceRecord,
    decoded: Sequence[IngestRequest | DeadLetter],
    results: Iterator[AnalysedRequest | None],
    now_us: int,
    policy_of: PolicyOf,
) -> Answered:
    """`results`: of the requests in `decoded`, in order; None for one that is to be analysed here."""
    analysed: list[_Pair] = []
    letters: list[Answer] = []
    outcomes: list[Reason | None] = []
    for request in decoded:
        if isinstance(request, DeadLetter):
            letters.append(_answer_of(request))
            outcomes.append(request.reason)
            continue
        result = next(results)
        failed: list[int] = []
        detail = ""
        if result is None:
            result, failed, detail = _analyse_alone(analyser, request, policy_of(request.tenant_id))
        if failed:
            letters.append(_part_of_request(record, request, failed, "analysis_failed", detail, now_us))
        outcomes.append("analysis_failed" if result is None else None)
        if result is not None:
            analysed.append((request, result))
    if letters and not analysed:
        return Answered(letters, outcomes)
    return Answered(_analysed_answers(record, analysed, now_us) + letters, outcomes)


def smaller_answers(record: SourceRecord, answer: Answer, now_us: int) -> list[Answer]:
    """In place of an analysed answer that the brokers refused alone as too large: one per request, or a letter."""
    results = decode_analysed(answer.value)
    if len(results) > 1:
        return [Answer(ANALYSED, encode_analysed([result]), len(result.lines.index)) for result in results]
    decoded = [request for request in _decode_one_by_one(record, now_us) if isinstance(request, IngestRequest)]
    request = next(request for request in decoded if request.request_id == results[0].request_id)
    return [_too_large(record, (request, results[0]), len(answer.value), now_us)]


def _decode_one_by_one(record: SourceRecord, now_us: int) -> list[IngestRequest | DeadLetter]:
    """The requests of a bundle, each that can't be decoded as a letter; one letter where it is no bundle."""
    try:
        pieces = split_bundle(record.value)
    except msgspec.DecodeError as error:
        return [_letter(record, "undecodable_record", "decode", _name(error), record.value, now_us)]
    decoded: list[IngestRequest | DeadLetter] = []
    for position, piece in enumerate(pieces):
        try:
            decoded.append(decode_request(piece))
        except msgspec.DecodeError as error:
            decoded.append(_letter_about_piece(record, position, piece, _name(error), now_us))
    return decoded


def _letter_about_piece(record: SourceRecord, position: int, piece: bytes, detail: str, now_us: int) -> DeadLetter:
    """About a request that can't be decoded; it names the request where its head can be read."""
    head = head_of_request(piece)
    if head is None:
        letter = _letter(record, "undecodable_record", "decode", detail, join_bundle([piece]), now_us)
        return msgspec.structs.replace(letter, position=position)
    return msgspec.structs.replace(
        _letter(record, "undecodable_record", "decode", detail, piece, now_us),
        request_id=head.request_id,
        tenant_id=head.tenant_id,
        scenario_id=head.scenario_id,
        accepted=head.accepted,
        entry_indexes=head.indexes,
        received_at_us=head.received_at_us,
    )


def _analyse_alone(
    analyser: Analyser, request: IngestRequest, policy: CompiledPolicy
) -> tuple[AnalysedRequest | None, list[int], str]:
    """The request without the entries that fail (None where all do), where those stand, and how the first failed."""
    try:
        return analyser.analyse_request(request, policy), [], ""
    except Exception:
        return _analyse_one_by_one(analyser, request, policy)


def _analyse_one_by_one(
    analyser: Analyser, request: IngestRequest, policy: CompiledPolicy
) -> tuple[AnalysedRequest | None, list[int], str]:
    good: list[int] = []
    failed: list[int] = []
    detail = ""
    for position in range(len(request.entries)):
        try:
            analyser.analyse_part(request, [position], policy)
        except Exception as error:
            failed.append(position)
            detail = detail or _describe(error)
        else:
            good.append(position)
    if not good:
        return None, failed, detail
    try:
        return analyser.analyse_part(request, good, policy), failed, detail
    except Exception as error:  # entries that pass alone and fail together
        return None, list(range(len(request.entries))), _describe(error)


def _analysed_answers(record: SourceRecord, analysed: list[_Pair], now_us: int) -> list[Answer]:
    """One answer; where the broker would refuse it (marks may be longer than what they replace) one per request."""
    value = encode_analysed([result for _, result in analysed])
    if len(value) <= LARGEST_ANALYSED_BYTES:
        return [Answer(ANALYSED, value, sum(len(result.lines.index) for _, result in analysed))]
    if len(analysed) > 1:
        return [answer for pair in analysed for answer in _analysed_answers(record, [pair], now_us)]
    return [_too_large(record, analysed[0], len(value), now_us)]


def _too_large(record: SourceRecord, analysed: _Pair, size: int, now_us: int) -> Answer:
    request, result = analysed
    position_of = {index: position for position, index in enumerate(request.indexes)}
    positions = [position_of[index] for index in result.lines.index]
    return _part_of_request(record, request, positions, "too_large", f"{size} bytes", now_us)


def _part_of_request(
    record: SourceRecord, request: IngestRequest, positions: list[int], reason: Reason, detail: str, now_us: int
) -> Answer:
    """A letter with the entries at `positions`: the whole request where these are all of it."""
    all_indexes = request.indexes
    indexes = [all_indexes[position] for position in positions]
    part = request
    if len(positions) < len(request.entries):
        part = msgspec.structs.replace(
            request,
            entries=[request.entries[position] for position in positions],
            entry_indexes=indexes,
            whole_entries=request.accepted,
        )
    letter = _letter(record, reason, "analyse", detail, encode_request(part), now_us)
    return _answer_of(
        msgspec.structs.replace(
            letter,
            request_id=request.request_id,
            tenant_id=request.tenant_id,
            scenario_id=request.scenario_id,
            accepted=request.accepted,
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
        record_version=None if record.schema_version is None else record.schema_version.decode("latin-1"),
    )


def _answer_of(letter: DeadLetter) -> Answer:
    return Answer(DEAD_LETTERS, encode_dead_letter(letter), len(letter.entry_indexes), letter.reason)


def _describe(error: BaseException) -> str:
    """Class of the error and where it was raised; its text might quote a payload."""
    place = place_of(error)
    return f"{type(error).__name__} at {place}" if place else type(error).__name__


def _name(error: BaseException) -> str:
    """Class of what made decoding fail."""
    return type(error.__cause__ or error).__name__
