"""What every protocol makes of a body, and the checks that all share: wire entries → entries and rejections."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

import msgspec
from msgspec import Meta

from mockupaws.ingest_gateway.errors import RefusedError, Rejection
from mockupaws.ingest_gateway.timestamps import TimestampError, TimestampRange
from mockupaws.schemas.requests import Entry

MAX_ATTRIBUTE_DEPTH = 32
"""Objects and arrays inside each other in `attributes`; later steps walk them recursively."""
_INT_RANGE = range(-(2**63), 2**64)
"""What msgpack can hold."""


class WireEntry(msgspec.Struct, gc=False):
    """One log object. Unknown fields are ignored, a repeated one counts as last sent."""

    message: str
    timestamp: datetime | int | float | None = None
    source: str | None = None
    level: str | None = None
    attributes: dict[str, Any] | None = None


_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_Scalar = str | bool | float | _Int64 | None
_Nested = _Scalar | list[_Scalar] | dict[str, _Scalar]


class PlainEntry(msgspec.Struct, gc=False):
    """A WireEntry whose attributes need no further look: the decoder has bounded their depth and numbers.

    Nearly all entries are plain, and looking at attributes in Python costs more than decoding the entry.
    """

    message: str
    timestamp: datetime | int | float | None = None
    source: str | None = None
    level: str | None = None
    attributes: dict[str, _Scalar | list[_Nested] | dict[str, _Nested]] | None = None


Wires = Sequence[PlainEntry] | Sequence[WireEntry | Rejection]
"""Of one body: all of them plain, or some that have to be looked at one by one."""


class EntryLimits(msgspec.Struct, frozen=True):
    max_entries: int
    max_message_bytes: int
    timestamps: TimestampRange


class Decoded(msgspec.Struct, frozen=True):
    scenario_id: UUID
    entries: list[Entry]
    rejected: list[Rejection]


class EntryError(Exception):
    """An entry breaks a limit."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check_count(count: int, limits: EntryLimits) -> None:
    """Raises RefusedError for none, or more than a request may hold."""
    if count == 0:
        raise RefusedError("no_entries", "the request holds no entry; send at least one")
    if count > limits.max_entries:
        raise RefusedError("too_many_entries", f"the request holds more than {limits.max_entries} entries; split it")


def accept(wires: Wires, limits: EntryLimits, body_bytes: int) -> tuple[list[Entry], list[Rejection]]:
    """The entries within the limits, in order, and a rejection for each other one."""
    measure = body_bytes > limits.max_message_bytes  # no field is longer than the body that brought it
    check = limits.timestamps.check
    if not measure and type(wires[0]) is PlainEntry:
        with contextlib.suppress(TimestampError):  # nearly always all are within the limits
            return [_entry(wire, check) for wire in cast("Sequence[PlainEntry]", wires)], []
    entries: list[Entry] = []
    rejected: list[Rejection] = []
    for index, wire in enumerate(wires):
        if isinstance(wire, Rejection):
            rejected.append(wire)
            continue
        try:
            if measure:
                _check_size(wire, limits.max_message_bytes)
            if wire.attributes is not None:
                _check_attributes(wire.attributes, MAX_ATTRIBUTE_DEPTH)
            entries.append(_entry(wire, check))
        except EntryError as error:
            rejected.append(Rejection(index, error.code, str(error)))
        except TimestampError as error:
            rejected.append(Rejection(index, "timestamp_out_of_range", str(error)))
    return entries, rejected


def _entry(wire: PlainEntry | WireEntry, check: Callable[[datetime | int | float], int]) -> Entry:
    moment = wire.timestamp
    at_us = None if moment is None else check(moment)
    return Entry(wire.message, at_us, wire.source or "", wire.level or "", wire.attributes or None)


def field_message(error: Exception) -> str:
    """What msgspec says of a value of the wrong type, as `path: what`; it quotes names of fields, not values."""
    what, _, path = str(error).partition(" - at `")
    if not path:
        return what
    return f"{path.rstrip('`').removeprefix('$').removeprefix('.') or 'entry'}: {what}"


def _check_size(wire: PlainEntry | WireEntry, limit: int) -> None:
    if len(wire.message) > limit or len(wire.message.encode()) > limit:
        raise EntryError("message_too_large", f"message: more than {limit} bytes of UTF-8")
    for name in ("source", "level", "attributes"):
        value = getattr(wire, name)
        if value and len(msgspec.json.encode(value)) > limit:
            raise EntryError("entry_too_large", f"{name}: more than {limit} bytes of JSON")


def _check_attributes(value: dict[str, Any] | list[Any], depth: int) -> None:
    if depth == 0:
        raise EntryError("attributes_too_deep", f"attributes: more than {MAX_ATTRIBUTE_DEPTH} levels")
    for item in value.values() if isinstance(value, dict) else value:
        kind = type(item)
        if kind is dict or kind is list:
            _check_attributes(item, depth - 1)
        elif kind is int and item not in _INT_RANGE:
            raise EntryError("number_out_of_range", "attributes: an integer of more than 64 bits; send it as text")
