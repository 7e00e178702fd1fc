"""What each line of a log file becomes, and that nothing is lost on the way."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mockupaws.cli.open_log_files import UnreadableFileError
from mockupaws.cli.read_log_files import (
    MAX_LINE_BYTES,
    Chunk,
    EntryReader,
    LineChunker,
    read_chunks,
)
from mockupaws.schemas.requests import Entry

NOW_US = 1_795_500_000_000_000  # November 2026


def read(data: bytes, block: int = 64 * 1024) -> tuple[list[Entry], EntryReader]:
    reader, chunker, entries = EntryReader("app.log", NOW_US), LineChunker(), list[Entry]()
    for start in range(0, len(data), block):
        for chunk in chunker.feed(data[start : start + block]):
            entries.extend(reader.entries_of(chunk))
    for chunk in chunker.finish():
        entries.extend(reader.entries_of(chunk))
    return entries, reader


def read_one(line: bytes) -> Entry:
    entries, _ = read(line + b"\n")
    assert len(entries) == 1
    return entries[0]


def test_plain_line_is_its_text() -> None:
    assert read_one(b"Nov 24 host app: started\r") == Entry("Nov 24 host app: started", source="app.log")


def test_fields_of_an_object_are_mapped() -> None:
    entry = read_one(b'{"msg":"hi","time":"2026-11-24T01:02:03.5Z","level":"warn","service":"shop","user":7,"ok":[1]}')
    assert entry == Entry("hi", 1_795_482_123_500_000, "shop", "warn", {"user": 7, "ok": [1]})


@pytest.mark.parametrize(
    "line",
    [
        b'{"user": 7}',
        b'{"message": ""}',
        b'{"message": 5}',
        b'{"message": "\\n"}',
        b'{"log": {"level": "x"}}',
    ],
)
def test_object_without_a_message_stays_whole(line: bytes) -> None:
    assert read_one(line) == Entry(line.decode(), source="app.log")


def test_container_log_loses_only_its_line_end() -> None:
    entry = read_one(b'{"log":"started\\n","stream":"stdout","time":"2026-11-24T01:02:03.123456789Z"}')
    assert entry.message == "started"
    assert entry.attributes == {"stream": "stdout"}
    assert entry.timestamp_us == 1_795_482_123_123_456


@pytest.mark.parametrize(
    "line",
    [
        b'{"message": "cut',
        b"[1, 2]",
        b'{"a": NaN}',
        b'{"message":"x","n":123456789012345678901234567890}',
        b'{"message":"\\ud800"}',
        b'{"message":"x","a":' + b'{"a":' * 40 + b"1" + b"}" * 41,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
)
def test_what_no_record_can_carry_is_plain_text(line: bytes) -> None:
    assert read_one(line) == Entry(line.decode(), source="app.log")


def test_timestamp_the_gateway_would_refuse_stays_an_attribute() -> None:
    entry = read_one(b'{"message":"x","time":"1970-01-01T00:00:00Z"}')
    assert entry.timestamp_us is None
    assert entry.attributes == {"time": "1970-01-01T00:00:00Z"}
    assert read_one(b'{"message":"x","ts":4102444800}').attributes == {"ts": 4102444800}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_795_482_123, 1_795_482_123_000_000),
        (1_795_482_123_500, 1_795_482_123_500_000),
        (1_795_482_123_500_001, 1_795_482_123_500_001),
        (1_795_482_123_500_001_999, 1_795_482_123_500_001),
        (1_795_482_123.25, 1_795_482_123_250_000),
        ("2026-11-24T02:02:03+01:00", 1_795_482_123_000_000),
        ("2026-11-24 01:02:03", 1_795_482_123_000_000),
        ("yesterday", None),
        (True, None),
        (-1, None),
        (None, None),
    ],
)
def test_timestamps(value: object, expected: int | None) -> None:
    entry = read_one(json.dumps({"message": "x", "ts": value}).encode())
    assert entry.timestamp_us == expected
    assert (entry.attributes is None) == (expected is not None)


def test_invalid_utf8_is_kept_visibly_and_counted() -> None:
    entries, reader = read(b"caf\xe9 ok\nfine\n")
    assert [e.message for e in entries] == ["caf\ufffd ok", "fine"]
    assert reader.counts.invalid_utf8_lines == 1


def test_empty_lines_are_counted() -> None:
    entries, reader = read(b"\na\n  \r\n\nb")
    assert [e.message for e in entries] == ["a", "b"]
    assert reader.counts.empty_lines == 3


def test_a_line_of_the_limit_is_whole_and_one_byte_more_is_cut() -> None:
    entries, reader = read(b"x" * MAX_LINE_BYTES + b"\n" + b"y" * (MAX_LINE_BYTES + 1) + b"\nlast\n")
    assert [e.attributes and e.attributes["line_part"] for e in entries] == [None, 1, 2, 3, 4, None]
    assert "".join(e.message for e in entries[1:-1]) == "y" * (MAX_LINE_BYTES + 1)
    assert reader.counts.split_lines == 1
    assert reader.counts.entries == 6


@pytest.mark.parametrize("line", [b"\xff" * MAX_LINE_BYTES, b"\xff" * 2 * MAX_LINE_BYTES, "€".encode() * 800_000])
def test_no_message_exceeds_the_gateways_limit(line: bytes) -> None:
    entries, _ = read(line + b"\n")
    assert all(len(e.message.encode()) <= MAX_LINE_BYTES for e in entries)
    assert "".join(e.message for e in entries) == line.decode(errors="replace")


@given(
    st.lists(st.binary(max_size=40), max_size=20).map(b"\n".join),
    st.integers(1, 64),
)
def test_blocks_do_not_matter(data: bytes, block: int) -> None:
    assert read(data, block)[0] == read(data)[0]


@pytest.mark.parametrize("block", [1000, 65_536, MAX_LINE_BYTES])
def test_blocks_do_not_matter_to_long_lines(block: int) -> None:
    data = b"a\n" + b"x" * 400_000 + b"\n" + "é".encode() * 1_000_000 + b"\nb\n" + b"z" * 1_500_000
    assert read(data, block)[0] == read(data)[0]


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def test_compressed_files_are_told_by_their_first_bytes(tmp_path: Path) -> None:
    plain = b"one\ntwo\n"
    twice = zstandard.compress(b"one\n") + zstandard.compress(b"two\n")
    for name, data in (("a", plain), ("b", gzip.compress(plain)), ("c", zstandard.compress(plain)), ("d", twice)):
        chunks = list(read_chunks(write(tmp_path / name, data)))
        assert b"".join(chunk.data for chunk in chunks) == plain, name


def test_broken_compressed_file_gives_what_it_holds_and_then_an_error(tmp_path: Path) -> None:
    data = gzip.compress(b"".join(b"line %d\n" % n for n in range(100_000)), mtime=0)
    chunks = list[Chunk]()
    with pytest.raises(UnreadableFileError, match="broken"):
        chunks.extend(read_chunks(write(tmp_path / "broken.gz", data[: len(data) // 2])))
