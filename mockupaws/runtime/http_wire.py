"""HTTP/1.1 requests as they stand on the wire: heads, and where bodies end. Pure, and strict.

Whatever two readers could understand differently is refused (RFC 9112 §11): a body's end is told by one
Content-Length or by `chunked` alone, lines end with CRLF, names and values hold no control characters.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from mockupaws.runtime.errors import PermanentError

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 100
MAX_LENGTH_DIGITS = 19
"""Of a Content-Length: what 64 bits hold."""
MAX_CHUNK_LINE = 1024
"""Bytes of a chunk's size and extensions, or of a trailer."""
MAX_TRAILERS = 100

_NO_CONTROLS = bytes({*range(0x20, 0x7F), *range(0x80, 0x100), 0x09})
"""What may stand within a line."""
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_AUTHORITY = re.compile(rb"https?://[^/?]*", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[\t ]*(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_VERSIONS = {b"HTTP/1.1": True, b"HTTP/1.0": False}
"""Whether connections are kept where nothing else is said."""


class MalformedError(PermanentError):
    """What was sent is no HTTP/1.1 request, or one that could be understood in two ways."""

    def __init__(self, status: bytes = b"400 Bad Request") -> None:
        super().__init__(status.decode())
        self.status = status


class Head(NamedTuple):
    method: str
    target: bytes
    """Path and query."""
    headers: list[tuple[bytes, bytes]]
    """Names in lower case."""
    keeps_alive: bool
    asks_first: bool
    """The client waits for a go-ahead before it sends the body."""
    length: int | None
    """Bytes of the body; None: it comes in chunks."""


def parse_head(head: bytes) -> Head:
    """`head` goes up to its empty line, without that. Raises MalformedError."""
    first, *lines = head.split(b"\r\n")
    if head.translate(None, _NO_CONTROLS) != b"\r\n" * len(lines):
        raise MalformedError
    if len(lines) > MAX_HEADERS:
        raise MalformedError(b"431 Request Header Fields Too Large")
    try:
        method, target, version = first.split(b" ")
        keeps_alive = is_1_1 = _VERSIONS[version]
    except (ValueError, KeyError):
        raise MalformedError from None
    headers: list[tuple[bytes, bytes]] = []
    lengths: list[bytes] = []
    codings: list[bytes] = []
    asks_first = False
    for line in lines:
        raw, colon, value = line.partition(b":")
        if not colon:
            raise MalformedError
        name, value = _lower_token(raw), value.strip(b" \t")
        headers.append((name, value))
        if name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name == b"connection":
            keeps_alive = keeps_alive and b"close" not in value.lower()
        elif name == b"expect":
            asks_first = is_1_1 and value.lower() == b"100-continue"
    length = _length(lengths, codings, is_1_1) if lengths or codings else 0
    _lower_token(method)
    return Head(method.decode(), _target(target, method), headers, keeps_alive, asks_first, length)


@lru_cache(1024)
def _lower_token(raw: bytes) -> bytes:
    if not _TOKEN.fullmatch(raw):
        raise MalformedError
    return raw.lower()


def _target(target: bytes, method: bytes) -> bytes:
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return target
    authority = _AUTHORITY.match(target)
    if authority is None:
        raise MalformedError
    rest = target[authority.end() :]
    return rest if rest.startswith(b"/") else b"/" + rest


def _length(lengths: list[bytes], codings: list[bytes], is_1_1: bool) -> int | None:
    if codings:
        if lengths or not is_1_1 or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise MalformedError
        return None
    if len(set(lengths)) > 1 or not lengths[0].isdigit() or len(lengths[0]) > MAX_LENGTH_DIGITS:
        raise MalformedError
    return int(lengths[0])


class LengthBody:
    """A body of so many bytes."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def done(self) -> bool:
        return not self._left

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """What of `data` belongs to the body, and what follows it."""
        if len(data) <= self._left:
            self._left -= len(data)
            return data, b""
        piece, rest = data[: self._left], data[self._left :]
        self._left = 0
        return piece, rest


class ChunkedBody:
    """A body in chunks (RFC 9112 §7.1). Extensions and trailers are read over."""

    __slots__ = ("_expects", "_kept", "_left", "_trailers", "done")

    def __init__(self) -> None:
        self.done = False
        self._kept = b""
        """A line that isn't whole yet."""
        self._left = 0
        """Bytes of the chunk that are still to come."""
        self._expects = "size"
        self._trailers = 0

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """What of `data` belongs to the body, and what follows it. Raises MalformedError."""
        data, position = self._kept + data, 0
        self._kept = b""
        pieces: list[bytes] = []
        while not self.done and position < len(data):
            if self._left:
                piece = data[position : position + self._left]
                pieces.append(piece)
                self._left -= len(piece)
                position += len(piece)
                continue
            end = data.find(b"\n", position) + 1
            if not end:
                self._kept = data[position:]
                if len(self._kept) > MAX_CHUNK_LINE:
                    raise MalformedError
                return b"".join(pieces), b""
            if end - position > MAX_CHUNK_LINE:
                raise MalformedError
            self._take_line(data[position:end])
            position = end
        return b"".join(pieces), data[position:]

    def _take_line(self, line: bytes) -> None:
        if self._expects == "size":
            found = _CHUNK.fullmatch(line)
            if found is None:
                raise MalformedError
            self._left = int(found[1], 16)
            self._expects = "end of chunk" if self._left else "trailers"
        elif self._expects == "end of chunk":
            if line != b"\r\n":
                raise MalformedError
            self._expects = "size"
        elif line == b"\r\n":
            self.done = True
        else:
            self._trailers += 1
            name, colon, _ = line.partition(b":")
            if self._trailers > MAX_TRAILERS or not colon or line.translate(None, _NO_CONTROLS) != b"\r\n":
                raise MalformedError
            _lower_token(name)
