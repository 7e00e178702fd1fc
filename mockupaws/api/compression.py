"""Compressed streams: what a client says that it takes, and pieces made so that each can be read when it comes."""

from __future__ import annotations

import zlib
from typing import Literal, Protocol

import zstandard

Encoding = Literal["zstd", "gzip"]
_PREFERRED: tuple[Encoding, ...] = ("zstd", "gzip")
"""Where a client takes both alike: zstd costs a quarter."""
_ZSTD_LEVEL, _GZIP_LEVEL = 1, 1
_GZIP_WINDOW = 31
"""zlib's way to say: with the header and trailer of gzip."""


class Compressor(Protocol):
    """Of one stream."""

    def compress(self, piece: bytes) -> bytes:
        """All of `piece` can be read from what was answered until now."""
        ...

    def close(self) -> bytes:
        """What ends the stream: one without it was cut off."""
        ...


def encoding_of(accepted: str) -> Encoding | None:
    """What an `Accept-Encoding` asks for most; None: as it is, also where the header can't be read. Pure."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, _, parameter = part.partition(";")
        try:
            weights[name.strip()] = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            weights[name.strip()] = 0.0
    best = max(_PREFERRED, key=lambda encoding: weights.get(encoding, 0.0))
    return best if weights.get(best, 0.0) > 0 else None


def compressor_of(encoding: Encoding) -> Compressor:
    return _Zstd() if encoding == "zstd" else _Gzip()


class _Zstd:
    def __init__(self) -> None:
        self._stream = zstandard.ZstdCompressor(_ZSTD_LEVEL).compressobj()

    def compress(self, piece: bytes) -> bytes:
        return self._stream.compress(piece) + self._stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def close(self) -> bytes:
        return self._stream.flush()


class _Gzip:
    def __init__(self) -> None:
        self._stream = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WINDOW)

    def compress(self, piece: bytes) -> bytes:
        return self._stream.compress(piece) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def close(self) -> bytes:
        return self._stream.flush()
