"""Undoes Content-Encoding in bounded steps: a small body that inflates without end costs no more than the limit."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import zstandard

from mockupaws.ingest_gateway.errors import RefusedError

MAX_ENCODINGS = 2
_STEP_BYTES = 256 * 1024
_ZSTD_SLICE = 512
"""Compressed bytes given to zstd at once: at its worst ratio (128 KiB for 4 bytes) one step makes 16 MiB."""
_ZSTD_MAX_WINDOW = 8 * 1024 * 1024
"""What RFC 8878 §3.1.1.1.2 asks every decoder to support; a larger window is refused rather than allocated."""


def content_encodings(header: str) -> list[str]:
    """The encodings a header names, in the order applied; `identity` and nothing are none."""
    names = [name.strip().lower() for name in header.split(",")]
    return [name for name in names if name not in ("", "identity")]


def inflate_body(body: bytes, encodings: list[str], limit: int) -> bytes:
    """The body before `encodings` were applied. Raises RefusedError (413, 415 or 400)."""
    if len(encodings) > MAX_ENCODINGS:
        raise RefusedError("unsupported_media_type", f"at most {MAX_ENCODINGS} content encodings are read")
    for encoding in reversed(encodings):
        steps = _STEPS.get(encoding)
        if steps is None:
            raise RefusedError(
                "unsupported_media_type", f"content encoding is none of {', '.join(sorted(set(_STEPS)))}"
            )
        body = _joined(steps(body), limit, encoding)
    return body


def _joined(steps: Iterator[bytes], limit: int, encoding: str) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in steps:
            size += len(piece)
            if size > limit:
                raise RefusedError("body_too_large", f"the body inflates to more than {limit} bytes")
            pieces.append(piece)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise RefusedError("malformed_body", f"the body is no complete {encoding} stream") from error
    return b"".join(pieces)


def _gzip(body: bytes) -> Iterator[bytes]:
    if not body:
        raise EOFError
    while body:  # RFC 1952 §2.2: members may follow each other
        inflater = zlib.decompressobj(wbits=31)
        yield from _zlib_steps(inflater, body)
        body = inflater.unused_data


def _deflate(body: bytes) -> Iterator[bytes]:
    # RFC 9110 §8.4.1.2 means the zlib format; some clients send bare deflate, which begins otherwise.
    wrapped = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    yield from _zlib_steps(zlib.decompressobj(wbits=15 if wrapped else -15), body)


def _zlib_steps(inflater: zlib._Decompress, body: bytes) -> Iterator[bytes]:
    while not inflater.eof:
        piece = inflater.decompress(body, _STEP_BYTES)
        body = inflater.unconsumed_tail
        if not piece and not body and not inflater.eof:
            raise EOFError
        yield piece


def _zstd(body: bytes) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW)
    inflater = decompressor.decompressobj()
    position = 0
    while position < len(body):
        if inflater.eof:  # RFC 8878 §3.1: frames may follow each other
            inflater = decompressor.decompressobj()
        piece = body[position : position + _ZSTD_SLICE]
        position += len(piece)
        yield inflater.decompress(piece)
        if inflater.eof:
            position -= len(inflater.unused_data)
    if not inflater.eof:
        raise EOFError


_STEPS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
}
