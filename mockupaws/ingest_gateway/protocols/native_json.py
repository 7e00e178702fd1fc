"""`application/json`: `{"scenario_id", "logs": [entry, …]}`.

The whole body is decoded in one typed call, in which plain entries are checked as well; only where that fails are
entries decoded one by one, so that a bad one is rejected alone.
Outside the entries an unknown field is refused: a misspelt one must not pass in silence.
"""

from __future__ import annotations

import re
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
    field_message,
)

BOM = b"\xef\xbb\xbf"


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    scenario_id: UUID
    logs: list[WireEntry]


class _PlainEnvelope(msgspec.Struct, forbid_unknown_fields=True):
    scenario_id: UUID
    logs: list[PlainEntry]


class _RawEnvelope(msgspec.Struct, forbid_unknown_fields=True):
    scenario_id: UUID
    logs: list[msgspec.Raw]


_decode_plain = msgspec.json.Decoder(_PlainEnvelope).decode
_decode = msgspec.json.Decoder(_Envelope).decode
_decode_raw = msgspec.json.Decoder(_RawEnvelope).decode
_decode_entry = msgspec.json.Decoder(WireEntry).decode

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}(\\u[dD][c-fC-F][0-9a-fA-F]{2})?|(u[dD][c-fC-F][0-9a-fA-F]{2})|.)"
)


def decode_json(body: bytes, limits: EntryLimits) -> Decoded:
    """Raises RefusedError where the body as a whole can't be read."""
    scenario_id, wires = _decode_wires(body.removeprefix(BOM), limits)
    check_count(len(wires), limits)
    return Decoded(scenario_id, *accept(wires, limits, len(body)))


def decode_entry(line: bytes, index: int) -> WireEntry | Rejection:
    """One log object, or why it is none."""
    try:
        return _decode_entry(line)
    except msgspec.ValidationError as error:
        return Rejection(index, "invalid_field", field_message(error))
    except RecursionError:
        return Rejection(index, "too_deep", "entry: too deeply nested")
    except ValueError as error:
        return Rejection(index, "malformed_entry", f"entry: {json_problem(error)}")


def replace_lone_surrogates(text: bytes) -> bytes:
    r"""JSON in which each half of a surrogate pair that stands alone became U+FFFD.

    Loggers that cut UTF-16 strings to a length make these; refusing the body would lose its neighbours.
    """
    return _ESCAPE.sub(_whole_escape, text)


def json_problem(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "the text is not UTF-8"
    return str(error)


def _whole_escape(found: re.Match[bytes]) -> bytes:
    escape = found[0]
    first_alone = found[1] is None and len(escape) == 6 and found[2] is None
    return b"\\ufffd" if first_alone or found[2] is not None else escape


def _decode_wires(text: bytes, limits: EntryLimits) -> tuple[UUID, Wires]:
    for decode in (_decode_plain, _decode):
        try:
            envelope = decode(text)
        except (ValueError, RecursionError):
            continue
        return envelope.scenario_id, envelope.logs
    return _decode_singly(text, limits)


def _decode_singly(text: bytes, limits: EntryLimits) -> tuple[UUID, list[WireEntry | Rejection]]:
    text = replace_lone_surrogates(text)
    try:
        envelope = _decode_raw(text)
    except msgspec.ValidationError as error:
        raise RefusedError("invalid_request", field_message(error)) from error
    except RecursionError as error:
        raise RefusedError("malformed_body", "the body is too deeply nested") from error
    except ValueError as error:
        raise RefusedError("malformed_body", f"the body is no JSON: {json_problem(error)}") from error
    check_count(len(envelope.logs), limits)
    bad_byte = _first_bad_byte(text)
    if bad_byte is not None:
        raise RefusedError("malformed_body", f"the body is not UTF-8: bad byte at {bad_byte}")
    return envelope.scenario_id, [decode_entry(bytes(raw), index) for index, raw in enumerate(envelope.logs)]


def _first_bad_byte(text: bytes) -> int | None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None
