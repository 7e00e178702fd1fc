"""Follows log files as they grow, like `tail -F`, from beginning or end: rotated and truncated files are read on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from mockupaws.cli.open_log_files import BLOCK_BYTES
from mockupaws.cli.read_log_files import MAX_LINE_BYTES, Chunk, LineChunker


class FollowedFile:
    """One growing file. A line that isn't finished yet waits for its end, or for the file's rotation."""

    def __init__(self, name: str, *, from_end: bool = False) -> None:
        """`from_end`: what the file holds now is passed by, but for an unfinished last line. Raises OSError."""
        self._path = Path(name)
        self._file: BufferedReader | None = None
        self._chunker = LineChunker()
        if from_end and self._open():
            self._pass_by_whole_lines()

    def read_new(self) -> Iterator[Chunk]:
        """What was added since the last call; nothing where the file doesn't exist (yet)."""
        if self._file is None and not self._open():
            return
        while True:
            yield from self._read_to_end()
            if not self._was_replaced():
                return
            yield from self._read_to_end()  # what was written between the last read and the rotation
            yield from self.finish()
            if not self._open():
                return

    def finish(self) -> Iterator[Chunk]:
        """The unfinished last line; the file is closed."""
        yield from self._chunker.finish()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _pass_by_whole_lines(self) -> None:
        assert self._file is not None
        start = max(0, self._file.seek(0, os.SEEK_END) - MAX_LINE_BYTES)
        self._file.seek(start)
        last = self._file.read(MAX_LINE_BYTES)
        self._file.seek(start + last.rfind(b"\n") + 1 if b"\n" in last else start + len(last))

    def _open(self) -> bool:
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            return False
        self._chunker = LineChunker()
        return True

    def _read_to_end(self) -> Iterator[Chunk]:
        assert self._file is not None
        while block := self._file.read1(BLOCK_BYTES):
            yield from self._chunker.feed(block)

    def _was_replaced(self) -> bool:
        """Whether the name stands for another file now, or the file was cut short."""
        assert self._file is not None
        opened = os.fstat(self._file.fileno())
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return False  # between the two steps of a rotation: the old file may still be written to
        same = (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
        return not same or named.st_size < self._file.tell()
