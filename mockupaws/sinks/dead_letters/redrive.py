"""Which record a dead letter is sent on as, and which letters go together. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

from mockupaws.schemas.requests import join_bundle

UNREDRIVABLE = {
    "idempotency_key_reused": "another body is stored under its Idempotency-Key; send it anew, under another key"
}
"""Reason → why no repeat can succeed."""


class Letter(Protocol):
    """What is read of a row of `dead_letters`."""

    @property
    def request_id(self) -> UUID | None: ...
    @property
    def step(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def record_version(self) -> str | None: ...
    @property
    def original(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Redrive:
    """A record to publish: to the partition the failed one came from, so that repeats of a request still meet."""

    topic: str
    partition: int
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


def record_of(letter: Letter) -> Redrive:
    """A request of the processor becomes a bundle of its own; everything else goes byte for byte."""
    is_request = letter.request_id is not None and letter.step != "postgres_sink"
    version = letter.record_version
    return Redrive(
        topic=letter.topic,
        partition=letter.partition,
        value=join_bundle([letter.original]) if is_request else letter.original,
        headers=() if version is None else (("schema_version", version.encode("latin-1")),),
    )


class Sized(Protocol):
    @property
    def size_bytes(self) -> int: ...


SizedT = TypeVar("SizedT", bound=Sized)


def batches(letters: Iterable[SizedT], max_letters: int, max_bytes: int) -> Iterator[list[SizedT]]:
    """In order; a letter above `max_bytes` goes alone."""
    batch: list[SizedT] = []
    size = 0
    for letter in letters:
        if batch and (len(batch) >= max_letters or size + letter.size_bytes > max_bytes):
            yield batch
            batch, size = [], 0
        batch.append(letter)
        size += letter.size_bytes
    if batch:
        yield batch


def lines_by_request(letters: Iterable[tuple[UUID | None, Collection[int]]]) -> dict[UUID, int]:
    """How many lines of each request these letters hold; those of no known request hold none."""
    lines: dict[UUID, int] = {}
    for request_id, indexes in letters:
        if request_id is not None:
            lines[request_id] = lines.get(request_id, 0) + len(indexes)
    return dict(sorted(lines.items()))
