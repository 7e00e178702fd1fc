"""Log files that are JSON, but not a line for each entry: made JSON lines, so that each event counts as one.

That is what AWS's own tools write: `aws logs filter-log-events` and `get-log-events` (`{"events": […]}`), subscriptions
of CloudWatch Logs through Firehose (`{"logEvents": […]}`, one after the other without line ends), CloudTrail
(`{"Records": […]}`); and arrays, and objects over several lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from mockupaws.cli.open_log_files import BLOCK_BYTES, Stream, UnreadableFileError

ENVELOPES = ("events", "logEvents", "Records")
"""Members that hold the events of a document; an object with a message of its own is an event itself."""
MAX_DOCUMENT_BYTES = 256 * 1024 * 1024
"""A document is held in memory whole; a larger one is refused with the command that makes JSON lines of it."""
HEAD_BYTES = 64 * 1024
"""Of the first line, as much as is looked at to tell a document from JSON lines."""
TO_LINES = "jq -c '.events[]? // .logEvents[]? // .Records[]? // .[]?'"

_ARRAY = re.compile(rb"\[\s*(?:\{|\]|$)")
_ENVELOPE = re.compile(rb'"(?:' + "|".join(ENVELOPES).encode() + rb')"\s*:\s*\[\s*(?:\{|\]|$)')
_NEXT_OBJECT = re.compile(rb"\}\s*\{")
_SPACE = " \t\r\n"


class BrokenDocumentError(ValueError):
    """It began as a JSON document and can't be read as one to its end."""


def blocks_of_lines(stream: Stream, name: str, message_fields: tuple[str, ...]) -> Iterator[bytes]:
    """The stream's blocks, or those of the lines that a document's events are. Raises UnreadableFileError."""
    head = stream.read1(BLOCK_BYTES)
    while head and may_be_document(head) and (block := stream.read1(BLOCK_BYTES)):
        head += block
    if is_document(head, message_fields):
        head = b"".join((head, *_rest_of_document(stream, name, len(head))))
        try:
            lines = lines_of_document(head, message_fields)
        except BrokenDocumentError as error:
            raise UnreadableFileError(f"{name} begins as a JSON document and is none: {error}") from None
        if lines is not None:
            yield from _gathered(lines)
            return
    for start in range(0, len(head), BLOCK_BYTES):
        yield head[start : start + BLOCK_BYTES]
    while block := stream.read1(BLOCK_BYTES):
        yield block


def _rest_of_document(stream: Stream, name: str, size: int) -> Iterator[bytes]:
    while block := stream.read1(BLOCK_BYTES):
        size += len(block)
        if size > MAX_DOCUMENT_BYTES:
            raise UnreadableFileError(
                f"{name} is one JSON document of more than {MAX_DOCUMENT_BYTES // 2**20} MiB: make a line of each of "
                f"its events first, for example with {TO_LINES}"
            )
        yield block


def _gathered(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Blocks of at least BLOCK_BYTES, since each is a task of its own to `estimate`."""
    block = bytearray()
    for line in lines:
        block += line
        if len(block) >= BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def may_be_document(head: bytes) -> bool:
    """Whether more of the beginning has to be read to tell."""
    return head.lstrip()[:1] in (b"{", b"[", b"") and b"\n" not in head.lstrip() and len(head) < HEAD_BYTES


def is_document(head: bytes, message_fields: tuple[str, ...]) -> bool:
    """Whether what begins with `head` (its first line, or HEAD_BYTES of it) isn't a line for each entry."""
    line, ended, _ = head.lstrip().partition(b"\n")
    line = line.rstrip()
    if line.startswith(b"["):
        return _ARRAY.match(line) is not None
    if line == b"{":
        return True
    if not line.startswith(b"{"):
        return False
    try:
        first = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return _is_several(line) or (not ended and _ENVELOPE.search(line) is not None)
    return isinstance(first, dict) and _events_of(first, message_fields) is not None


def _is_several(line: bytes) -> bool:
    """Whether a line that is no JSON is objects, one after the other."""
    if _NEXT_OBJECT.search(line) is None:
        return False
    try:
        _, end = json.JSONDecoder().raw_decode(line.decode())
    except (ValueError, RecursionError):
        return False
    return line[len(line.decode()[:end].encode()) :].lstrip().startswith(b"{")


def lines_of_document(data: bytes, message_fields: tuple[str, ...]) -> Iterator[bytes] | None:
    """Each event as a line of JSON; None where it is no document after all, but JSON with other text behind it.

    Raises BrokenDocumentError.
    """
    try:
        whole = msgspec.json.decode(data, type=list[msgspec.Raw] | dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return _lines_of_several(data, message_fields)
    if isinstance(whole, list):
        return (_line(msgspec.json.decode(raw)) for raw in whole)
    if not any(name in whole for name in message_fields):
        for name in ENVELOPES:
            try:
                events = msgspec.json.decode(whole[name], type=list[msgspec.Raw]) if name in whole else None
            except msgspec.DecodeError:
                continue
            if events is not None:
                return (_line(msgspec.json.decode(raw)) for raw in events)
    return iter([_line(msgspec.json.decode(data))])


def _lines_of_several(data: bytes, message_fields: tuple[str, ...]) -> Iterator[bytes] | None:
    text = data.decode(errors="replace")
    decode = json.JSONDecoder().raw_decode
    position, lines = _past_space(text, 0), list[bytes]()
    while position < len(text):
        if text[position] not in "{[":
            return None
        try:
            value, position = decode(text, position)
        except (ValueError, RecursionError) as error:
            raise BrokenDocumentError(str(error)) from None
        lines += [_line(event) for event in _events(value, message_fields)]
        position = _past_space(text, position)
    return iter(lines)


def _events(value: Any, message_fields: tuple[str, ...]) -> list[Any]:
    if isinstance(value, list):
        return value
    events = _events_of(value, message_fields)
    return [value] if events is None else events


def _events_of(document: dict[str, Any], message_fields: tuple[str, ...]) -> list[Any] | None:
    if any(name in document for name in message_fields):
        return None
    for name in ENVELOPES:
        events = document.get(name)
        if isinstance(events, list) and all(isinstance(event, dict) for event in events):
            return events
    return None


def _past_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"
