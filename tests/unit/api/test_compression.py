"""Which encoding a client gets, and that each piece of a compressed stream can be read when it comes."""

from __future__ import annotations

import gzip
import zlib

import pytest
import zstandard

from mockupaws.api.compression import Encoding, compressor_of, encoding_of


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("", None),
        ("identity", None),
        ("gzip, deflate, br", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("zstd;q=0.5, gzip", "gzip"),
        ("GZIP ; Q=0.8", "gzip"),
        ("gzip;q=0, zstd;q=0", None),
        ("gzip;q=nonsense", None),
        ("gzip;q=-1", None),
        ("*", None),  # takes anything, asks for nothing
        ("br, deflate", None),
        (";;,,=;q=", None),
    ],
)
def test_a_client_gets_what_it_asks_for_most(accepted: str, encoding: Encoding | None) -> None:
    assert encoding_of(accepted) == encoding


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_each_piece_can_be_read_before_the_next_is_made(encoding: Encoding) -> None:
    compressor = compressor_of(encoding)
    reader = zlib.decompressobj(wbits=31) if encoding == "gzip" else zstandard.ZstdDecompressor().decompressobj()
    pieces = [b"first line\n" * 1000, b"x", b"last line\n" * 1000]
    sent = b""
    for piece in pieces:
        sent += (made := compressor.compress(piece))
        assert reader.decompress(made) == piece
    with pytest.raises((EOFError, zstandard.ZstdError)):  # whoever is cut off here is told
        _inflate(sent, encoding)
    assert _inflate(sent + compressor.close(), encoding) == b"".join(pieces)


def _inflate(stream: bytes, encoding: Encoding) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(stream)
    reader = zstandard.ZstdDecompressor().decompressobj()
    made = reader.decompress(stream)
    if not reader.eof:
        raise EOFError
    return made
