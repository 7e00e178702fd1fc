"""Reads log files as entries: the same ones for `send`, `analyse` and `estimate`, so that their totals agree.

What a line becomes:

- A line that is a JSON object: the first non-empty text among `MESSAGE_FIELDS` is the message, and timestamp, source
  and level are taken from the first field that fits; the rest are attributes. An object without a message stays
  whole as the message. A timestamp that can't be read, or that the gateway would refuse, stays an attribute.
- Any other line: its text is the message. Bytes that are no UTF-8 become U+FFFD.
- A line longer than `MAX_LINE_BYTES`: pieces, each with its number in the attribute `line_part`.
- An empty line (or one of white space) is skipped and counted.

Files that are one JSON document, or JSON objects without line ends, are read event by event (`json_documents.py`).
What they may be compressed or encoded with: `open_log_files.py`; `-` is standard input. Memory stays bounded by the
longest piece, however long a file of lines is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from mockupaws.cli.json_documents import blocks_of_lines
from mockupaws.cli.open_log_files import READ_ERRORS, UnreadableFileError, inflated, open_raw
from mockupaws.ingest_gateway.timestamps import TimestampError, TimestampRange
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.requests import Entry

MESSAGE_FIELDS = ("message", "msg", "log", "event")
TIMESTAMP_FIELDS = ("timestamp", "@timestamp", "time", "ts", "eventTime")
SOURCE_FIELDS = ("source", "service", "logger")
LEVEL_FIELDS = ("level", "severity", "levelname")
PART_ATTRIBUTE = "line_part"

MAX_LINE_BYTES = 1024 * 1024
"""Longest message the gateway takes; the default of its setting `max_message_bytes`."""
PIECE_BYTES = MAX_LINE_BYTES // 3
"""Pieces of a longer line: even if each byte becomes U+FFFD (3 bytes), a piece is a message the gateway takes."""
MAX_NAME_CHARACTERS = 200
"""Longer texts in source and level fields stay attributes."""
MAX_ATTRIBUTE_DEPTH = 32


@dataclass(slots=True)
class ReadCounts:
    """What a reader met; adding two gives the counts of both."""

    entries: int = 0
    empty_lines: int = 0
    invalid_utf8_lines: int = 0
    split_lines: int = 0

    def add(self, other: ReadCounts) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))

    def peculiarities(self) -> str:
        """What was not read as it stands in the files; empty where all was."""
        notes = {
            "empty, skipped": self.empty_lines,
            "with bytes that are no UTF-8": self.invalid_utf8_lines,
            "cut into pieces": self.split_lines,
        }
        return "; ".join(f"{count:,} {what}" for what, count in notes.items() if count)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines, or one piece of a line that is too long."""

    data: bytes
    part: int = 0
    """0: whole lines; else the piece's number, from 1."""


class LineChunker:
    """Cuts blocks (≤ MAX_LINE_BYTES) into chunks that end where lines end, the same wherever a block ends."""

    __slots__ = ("_part", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._part = 0

    def feed(self, block: bytes) -> Iterator[Chunk]:
        buffer = self._rest + block
        end = buffer.find(b"\n")
        while (end if end >= 0 else len(buffer)) > MAX_LINE_BYTES or (self._part and end >= 0):
            self._part += 1
            cut = _piece_length(buffer, end if end >= 0 else len(buffer))
            yield Chunk(buffer[:cut], self._part)
            if cut == end:
                self._part = 0
                cut += 1
            buffer = buffer[cut:]
            end = buffer.find(b"\n")
        last = buffer.rfind(b"\n") if end >= 0 else -1
        if last >= 0:
            yield Chunk(buffer[: last + 1])
        self._rest = buffer[last + 1 :]

    def finish(self) -> Iterator[Chunk]:
        """The last line where no line end follows it."""
        while self._rest:
            self._part = self._part + 1 if self._part else 0
            cut = _piece_length(self._rest, len(self._rest)) if self._part else len(self._rest)
            yield Chunk(self._rest[:cut], self._part)
            self._rest = self._rest[cut:]
        self._part = 0


def _piece_length(buffer: bytes, end: int) -> int:
    """Where to cut the next piece of the line that ends at `end`: never inside a character."""
    if end <= PIECE_BYTES:
        return end
    cut = PIECE_BYTES
    while cut > PIECE_BYTES - 4 and buffer[cut] & 0xC0 == 0x80:
        cut -= 1
    return cut


class EntryReader:
    """Makes entries of chunks; pure but for its counts."""

    def __init__(self, default_source: str, now_us: int) -> None:
        """`now_us` bounds the timestamps that are taken, as the gateway does."""
        settings = Settings()
        self._default_source = default_source
        self.times = TimestampRange.at(now_us, settings.oldest_timestamp_year, settings.newest_timestamp_seconds)
        self._decoder = msgspec.json.Decoder(dict[str, Any])
        self.counts = ReadCounts()

    def entries_of(self, chunk: Chunk) -> Iterator[Entry]:
        if chunk.part:
            self.counts.split_lines += chunk.part == 1
            self.counts.entries += 1
            yield self._plain_entry(self._text(chunk.data), chunk.part)
            return
        for line in chunk.data.split(b"\n"):
            stripped = line.strip()
            if stripped:
                yield from self._entries_of_line(line, stripped)
            else:
                self.counts.empty_lines += 1
        if chunk.data.endswith(b"\n"):
            self.counts.empty_lines -= 1  # what follows the last line end is no line

    def _entries_of_line(self, line: bytes, stripped: bytes) -> Iterator[Entry]:
        entry = self._entry_of_object(stripped) if stripped[0] == 0x7B else None
        if entry is not None:
            self.counts.entries += 1
            yield entry
            return
        text = self._text(line.removesuffix(b"\r"))
        if len(text) * 3 > MAX_LINE_BYTES and len(text.encode()) > MAX_LINE_BYTES:  # U+FFFD made it longer
            self.counts.split_lines += 1
            for part, start in enumerate(range(0, len(text), PIECE_BYTES), start=1):
                self.counts.entries += 1
                yield self._plain_entry(text[start : start + PIECE_BYTES], part)
            return
        self.counts.entries += 1
        yield self._plain_entry(text, 0)

    def _text(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            self.counts.invalid_utf8_lines += 1
            return data.decode(errors="replace")

    def _plain_entry(self, text: str, part: int) -> Entry:
        return Entry(message=text, source=self._default_source, attributes={PART_ATTRIBUTE: part} if part else None)

    def _entry_of_object(self, line: bytes) -> Entry | None:
        """None where the line is no JSON object that Kafka's records can carry."""
        try:
            attributes = self._decoder.decode(line)
            message = _take_text(attributes, MESSAGE_FIELDS, MAX_LINE_BYTES)
            timestamp_us = self._take_timestamp(attributes)
            source = _take_text(attributes, SOURCE_FIELDS, MAX_NAME_CHARACTERS)
            level = _take_text(attributes, LEVEL_FIELDS, MAX_NAME_CHARACTERS)
            if not _is_carriable(attributes):
                return None
            if message is None:
                message, attributes = line.decode(), {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return Entry(
            message=message.rstrip("\r\n") or message,
            timestamp_us=timestamp_us,
            source=source or self._default_source,
            level=level or "",
            attributes=attributes or None,
        )

    def _take_timestamp(self, attributes: dict[str, Any]) -> int | None:
        for name in TIMESTAMP_FIELDS:
            time = _as_time(attributes.get(name))
            if time is None:
                continue
            try:
                timestamp_us = self.times.check(time)
            except TimestampError:
                continue
            del attributes[name]
            return timestamp_us
        return None


def _take_text(attributes: dict[str, Any], names: tuple[str, ...], max_characters: int) -> str | None:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value and not value.isspace() and len(value) <= max_characters:
            del attributes[name]
            return value
    return None


def _as_time(value: object) -> datetime | int | float | None:
    """What the gateway would take as a timestamp: RFC 3339 text, or a number it tells the unit of by magnitude."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_carriable(attributes: dict[str, Any]) -> bool:
    """msgpack has 64-bit integers only, and the gateway refuses deep nesting."""
    try:
        msgspec.msgpack.encode(attributes)
    except (OverflowError, RecursionError):
        return False
    return _depth_at_most(attributes, MAX_ATTRIBUTE_DEPTH)


def _depth_at_most(value: object, limit: int) -> bool:
    if isinstance(value, dict):
        children: Iterable[object] = value.values()
    elif isinstance(value, list):
        children = value
    else:
        return True
    return limit > 0 and all(_depth_at_most(child, limit - 1) for child in children if child.__class__ in (dict, list))


def read_chunks(name: str, on_read: Callable[[int], None] = lambda _: None) -> Iterator[Chunk]:
    """The chunks of one file, inflated; `on_read` is told how far the file itself has been read.

    Raises UnreadableFileError.
    """
    chunker = LineChunker()
    try:
        with open_raw(name) as raw:
            for block in blocks_of_lines(inflated(raw, name), name, MESSAGE_FIELDS):
                on_read(0 if name == "-" else raw.tell())
                yield from chunker.feed(block)
    except READ_ERRORS as error:
        yield from chunker.finish()
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UnreadableFileError(f"{name} can't be read to its end: {why}") from error
    yield from chunker.finish()


def default_source(name: str) -> str:
    """What the entries of a file carry as source unless `--source` or the line itself names one."""
    return "stdin" if name == "-" else Path(name).name[:MAX_NAME_CHARACTERS]
