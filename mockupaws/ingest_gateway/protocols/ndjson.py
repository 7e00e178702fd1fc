"""`application/x-ndjson`: one log object a line; blank lines don't count.

A line is data even where some bytes of it are no UTF-8: each such byte becomes U+FFFD and the line is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

import msgspec

from mockupaws.ingest_gateway.errors import RefusedError, Rejection
from mockupaws.ingest_gateway.protocols.decoded import (
    Decoded,
    EntryLimits,
    PlainEntry,
    WireEntry,
    Wires,
    accept,
    check_count,
)
from mockupaws.ingest_gateway.protocols.native_json import BOM, decode_entry, replace_lone_surrogates

T = TypeVar("T")

_decode_plain_lines = msgspec.json.Decoder(PlainEntry).decode_lines
_decode_lines = msgspec.json.Decoder(WireEntry).decode_lines


def scenario_of(text: str | None) -> UUID:
    """The scenario named beside the body. Raises RefusedError."""
    if not text:
        raise RefusedError(
            "invalid_request", "scenario_id: missing; name it in X-Scenario-Id or ?scenario_id= with this format"
        )
    try:
        return UUID(text)
    except ValueError as error:
        raise RefusedError("invalid_request", "scenario_id: Invalid UUID") from error


def decode_ndjson(body: bytes, scenario_id: UUID, limits: EntryLimits) -> Decoded:
    """Raises RefusedError where there is no line, or too many."""
    wires = _decode_wires(body.removeprefix(BOM), limits)
    check_count(len(wires), limits)
    return Decoded(scenario_id, *accept(wires, limits, len(body)))


def _decode_wires(text: bytes, limits: EntryLimits) -> Wires:
    plain = _decode_at_once(text, limits, _decode_plain_lines)
    if plain:
        return plain
    wires = _decode_at_once(text, limits, _decode_lines)
    return wires or _decode_singly(text, limits)


def _decode_at_once(text: bytes, limits: EntryLimits, decode_lines: Callable[[bytes], list[T]]) -> list[T] | None:
    breaks = text.count(b"\n")
    if breaks > limits.max_entries:
        return None
    try:
        wires = decode_lines(text)
    except (ValueError, RecursionError):
        return None
    # The decoder also reads objects that share a line or span lines. No string holds a line feed, so `}⏎{` stands
    # between two objects and nowhere else; where every line feed is one of these, each line is one object.
    between = text.count(b"}\n{") + text.count(b"}\r\n{")
    one_a_line = len(wires) == between + 1 and breaks == between + text.endswith(b"\n")
    return wires if one_a_line else None


def _decode_singly(text: bytes, limits: EntryLimits) -> list[WireEntry | Rejection]:
    lines: list[bytes] = []
    start = 0
    while start < len(text):
        end = text.find(b"\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end].strip()
        if line:
            lines.append(line)
            if len(lines) > limits.max_entries:
                check_count(len(lines), limits)
        start = end + 1
    return [decode_entry(_readable(line), index) for index, line in enumerate(lines)]


def _readable(line: bytes) -> bytes:
    return replace_lone_surrogates(line.decode(errors="replace").encode())
