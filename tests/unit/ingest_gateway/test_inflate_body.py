from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from mockupaws.ingest_gateway.errors import RefusedError
from mockupaws.ingest_gateway.inflate_body import content_encodings, inflate_body

LIMIT = 10 * 1024 * 1024


def bare_deflate(body: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(body) + deflater.flush()


DEFLATERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", bare_deflate),
    ("zstd", zstandard.compress),
]


@pytest.mark.parametrize(("name", "deflate"), DEFLATERS)
@given(body=st.binary(max_size=5000) | st.binary(max_size=20).map(lambda piece: piece * 50_000))
def test_round_trip(name: str, deflate: Callable[[bytes], bytes], body: bytes) -> None:
    assert inflate_body(deflate(body), [name], LIMIT) == body


@pytest.mark.parametrize(("name", "deflate"), DEFLATERS)
def test_a_bomb_costs_no_more_than_the_limit(name: str, deflate: Callable[[bytes], bytes]) -> None:
    bomb = deflate(bytes(300 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError) as caught:
            inflate_body(bomb, [name], LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 4 * LIMIT
    finally:
        tracemalloc.stop()
    assert caught.value.kind.status == 413


@pytest.mark.parametrize(("name", "deflate"), DEFLATERS)
def test_truncated_or_no_such_stream(name: str, deflate: Callable[[bytes], bytes]) -> None:
    whole = deflate(b"one line\n" * 1000)
    for bad in (whole[:-3], whole[:5], b"", b"no stream at all"):
        with pytest.raises(RefusedError) as caught:
            inflate_body(bad, [name], LIMIT)
        assert caught.value.kind.code == "malformed_body"


def test_streams_in_a_row_and_in_each_other() -> None:
    for deflate, name in ((gzip.compress, "gzip"), (zstandard.compress, "zstd")):
        assert inflate_body(deflate(b"a") + deflate(b"b"), [name], LIMIT) == b"ab"
    assert inflate_body(zstandard.compress(gzip.compress(b"a")), content_encodings("gzip, ZSTD"), LIMIT) == b"a"
    assert content_encodings("identity, ") == []
    for refused in (["br"], ["gzip"] * 3):
        with pytest.raises(RefusedError) as caught:
            inflate_body(b"a", refused, LIMIT)
        assert caught.value.kind.status == 415
