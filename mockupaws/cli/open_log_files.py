"""Opens log files as streams of UTF-8 text, whichever way they are compressed or encoded; archives are refused.

Told by their first bytes, not their names: gzip, Zstandard, bzip2, xz, and UTF-16 (what Windows' PowerShell writes).
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Protocol, cast

import zstandard

from mockupaws.runtime.errors import PermanentError

BLOCK_BYTES = 256 * 1024
READ_ERRORS = (OSError, EOFError, zstandard.ZstdError, lzma.LZMAError)
"""What reading a stream raises where the file can't be read, or is compressed and broken."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BZIP2_MAGIC = b"BZh"
_XZ_MAGIC = b"\xfd7zXZ\x00"
_ARCHIVES = {
    b"PK\x03\x04": "a ZIP archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"PAR1": "a Parquet file",
    b"LPKSHHRH": "a journal of systemd",
}
_ADVICE = {"a journal of systemd": "export it: journalctl -o json > FILE", "a Parquet file": "export it as JSON lines"}
_TAR_AT, _TAR_MAGIC = 257, b"ustar"
_HEAD_BYTES = 512


class UnreadableFileError(PermanentError):
    """A log file can't be opened, is no log file, or its compressed data is broken."""


class Stream(Protocol):
    def read1(self, size: int, /) -> bytes: ...


@contextmanager
def open_raw(name: str) -> Iterator[BufferedReader]:
    """`-` is standard input."""
    if name == "-":
        yield cast("BufferedReader", sys.stdin.buffer)
        return
    with Path(name).open("rb") as raw:
        yield raw


def is_packed(path: Path) -> bool:
    """Whether the file begins as one that is compressed, or an archive."""
    with path.open("rb") as raw:
        head = raw.read(_HEAD_BYTES)
    return head.startswith((_GZIP_MAGIC, _ZSTD_MAGIC, _BZIP2_MAGIC, _XZ_MAGIC, *_ARCHIVES))


def inflated(raw: BufferedReader, name: str) -> Stream:
    """The stream's content as UTF-8, as far as it is text. Raises UnreadableFileError for archives."""
    head = raw.peek(_HEAD_BYTES)
    for magic, kind in _ARCHIVES.items():
        if head.startswith(magic):
            raise UnreadableFileError(f"{name} is {kind}: {_ADVICE.get(kind, 'unpack it and give the files in it')}")
    return _Text(_decompressed(raw, head), name)


def _decompressed(raw: BufferedReader, head: bytes) -> Stream:
    if head.startswith(_GZIP_MAGIC):
        return gzip.GzipFile(fileobj=raw)
    if head.startswith(_ZSTD_MAGIC):
        return cast("Stream", zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))
    if head.startswith(_BZIP2_MAGIC):
        return bz2.BZ2File(raw)
    return lzma.LZMAFile(raw) if head.startswith(_XZ_MAGIC) else raw


class _Text:
    """Without a byte order mark; UTF-16 that begins with one is made UTF-8."""

    def __init__(self, content: Stream, name: str) -> None:
        self._content = content
        self._name = name
        self._began = False
        self._utf16: codecs.IncrementalDecoder | None = None

    def read1(self, size: int, /) -> bytes:
        block = self._content.read1(size)
        if not self._began:
            self._began = True
            if block[_TAR_AT : _TAR_AT + len(_TAR_MAGIC)] == _TAR_MAGIC:
                raise UnreadableFileError(f"{self._name} is a TAR archive: unpack it and give the files in it")
            if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                self._utf16 = codecs.getincrementaldecoder("utf-16")(errors="replace")
            block = block.removeprefix(codecs.BOM_UTF8) or (block and self._content.read1(size))
        if self._utf16 is None:
            return block
        while block:
            if text := self._utf16.decode(block).encode(errors="replace"):
                return text
            block = self._content.read1(size)  # half a character, or the mark alone, is no end
        return self._utf16.decode(b"", final=True).encode()
