"""Rows of `dead_letters` and what they add to receipts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from mockupaws.schemas.analysed import decode_analysed
from mockupaws.schemas.dead_letters import DeadLetter
from mockupaws.schemas.identifiers import part_id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class DeadLetterRow(NamedTuple):
    """In the order of `insert_dead_letter`'s parameters."""

    id: UUID
    tenant_id: UUID | None
    scenario_id: UUID | None
    request_id: UUID | None
    reason: str
    step: str
    detail: str
    topic: str
    partition: int
    offset: int
    accepted: int
    entry_indexes: list[int]
    received_at: datetime | None
    original: bytes
    software_version: str
    occurred_at: datetime
    record_version: str | None
    applied_key: UUID | None
    """What a sink has applied where the lines of this letter are stored by now; None where nothing would tell."""


class ReceiptCounts(NamedTuple):
    """What one side knows of a request; counts add up, `accepted` is the same from both sides."""

    tenant_id: bytes
    request_id: bytes
    scenario_id: bytes
    accepted: int
    stored: int
    dead_lettered: int
    reused: int
    received_at_us: int


def time_of(epoch_us: int) -> datetime:
    """Exact to the microsecond, which a float division isn't."""
    return _EPOCH + timedelta(microseconds=epoch_us)


def row_of(letter: DeadLetter) -> DeadLetterRow:
    return DeadLetterRow(
        id=letter.id,
        tenant_id=_uuid(letter.tenant_id),
        scenario_id=_uuid(letter.scenario_id),
        request_id=_uuid(letter.request_id),
        reason=letter.reason,
        step=letter.step,
        detail=_text(letter.detail),
        topic=_text(letter.topic),
        partition=letter.partition,
        offset=letter.offset,
        accepted=letter.accepted,
        entry_indexes=list(letter.entry_indexes),
        received_at=None if letter.received_at_us is None else time_of(letter.received_at_us),
        original=letter.original,
        software_version=_text(letter.software_version),
        occurred_at=time_of(letter.occurred_at_us),
        record_version=None if letter.record_version is None else _text(letter.record_version),
        applied_key=_applied_key(letter),
    )


def _text(value: str) -> str:
    """What Postgres takes as text."""
    return value.replace("\x00", "\u2400")


def _applied_key(letter: DeadLetter) -> UUID | None:
    if letter.request_id is None or letter.reason == "idempotency_key_reused":
        return None
    if letter.step == "postgres_sink":
        try:
            requests = decode_analysed(letter.original)
        except msgspec.DecodeError:
            return None
        return UUID(bytes=requests[0].applied_key) if len(requests) == 1 else None
    if len(letter.entry_indexes) == letter.accepted:
        return UUID(bytes=letter.request_id)
    return part_id(letter.request_id, letter.entry_indexes)


def receipts_of(letters: Sequence[DeadLetter]) -> list[ReceiptCounts]:
    """One for each letter that names its request. A reused key says nothing of the request stored under it."""
    receipts = []
    for letter in letters:
        if letter.request_id is None or letter.tenant_id is None or letter.scenario_id is None:
            continue
        entries = len(letter.entry_indexes)
        reused = letter.reason == "idempotency_key_reused"
        receipts.append(
            ReceiptCounts(
                tenant_id=letter.tenant_id,
                request_id=letter.request_id,
                scenario_id=letter.scenario_id,
                accepted=0 if reused else letter.accepted,
                stored=0,
                dead_lettered=0 if reused else entries,
                reused=entries if reused else 0,
                received_at_us=letter.received_at_us or letter.occurred_at_us,
            )
        )
    return receipts


def superseded_letters(living: Sequence[tuple[UUID, list[int]]], stored: set[int], excess: int) -> set[UUID]:
    """Which letters of a request that counts `excess` lines too many say what no longer holds.

    `living`: its letters and their entries, the oldest first; `stored`: its entries stored just now. A letter with one
    of these is of an earlier try of the same entries. If lines are still counted twice, a letter came later than its
    lines (they come by two topics): then the oldest whose lines fit into the excess.
    """
    gone = {letter_id for letter_id, indexes in living if not stored.isdisjoint(indexes)}
    excess -= sum(len(indexes) for letter_id, indexes in living if letter_id in gone)
    for letter_id, indexes in living:
        if letter_id not in gone and len(indexes) <= excess:
            gone.add(letter_id)
            excess -= len(indexes)
    return gone


def _uuid(raw: bytes | None) -> UUID | None:
    return None if raw is None else UUID(bytes=raw)


def columns_of(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as one list a column, which `unnest` takes: one statement for any number of rows."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
