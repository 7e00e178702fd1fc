"""One meaning or none: heads, and where bodies end."""

from __future__ import annotations

import pytest

from mockupaws.runtime.http_wire import MAX_CHUNK_LINE, ChunkedBody, Head, LengthBody, MalformedError, parse_head
from tests.integration.http.raw_requests import REFUSED

HEAD = b"POST /a HTTP/1.1\r\nHost: h\r\n"
CHUNKS = b"5;name=value\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n"
JUDGED_BY_THE_EDGE = {"no host", "two hosts", "a host with a path", "a host of somebody else", "a header of 1 MB",
                      "a header of 40 KB", "a path of 40 KB"}  # fmt: skip


def head_of(sent: bytes) -> Head:
    return parse_head(sent[: sent.index(b"\r\n\r\n")])


def test_a_head_is_read_into_its_parts() -> None:
    head = head_of(b"PUT /a?b=1 HTTP/1.1\r\nHost:h\r\nX-Long-Name: \t value with \xe9 \t\r\nContent-Length: 12\r\n\r\n")
    assert head == Head(
        "PUT", b"/a?b=1", [(b"host", b"h"), (b"x-long-name", b"value with \xe9"), (b"content-length", b"12")],
        True, False, 12,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "length"),
    [
        (HEAD, 0),
        (HEAD + b"Content-Length: 4\r\nContent-Length: 4\r\n", 4),
        (HEAD + b"Transfer-Encoding:\tChunked\r\n", None),
    ],
)
def test_the_length_of_a_body_is_told_by_the_head(sent: bytes, length: int | None) -> None:
    assert parse_head(sent[:-2]).length == length


@pytest.mark.parametrize(
    ("sent", "keeps_alive"),
    [
        (HEAD, True),
        (HEAD + b"Connection: keep-alive, Close\r\n", False),
        (b"GET / HTTP/1.0\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", False),
    ],
)
def test_a_connection_is_kept_where_nobody_ends_it(sent: bytes, keeps_alive: bool) -> None:
    assert parse_head(sent[:-2]).keeps_alive is keeps_alive


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"http://evil.example/a?b", b"/a?b"), (b"http://evil.example", b"/"), (b"HTTPS://e?q", b"/?q"), (b"/a", b"/a")],
)
def test_of_an_absolute_target_the_authority_is_left_out(target: bytes, path: bytes) -> None:
    assert parse_head(b"GET " + target + b" HTTP/1.1\r\nHost: h").target == path


@pytest.mark.parametrize("case", sorted(REFUSED.keys() - JUDGED_BY_THE_EDGE))
def test_what_could_be_understood_in_two_ways_is_refused(case: str) -> None:
    with pytest.raises(MalformedError):
        head_of(REFUSED[case].replace(b"{path}", b"/a"))


@pytest.mark.parametrize(
    "first_line",
    [b"", b"GET /", b"GET / HTTP/1.1 ", b" GET / HTTP/1.1", b"GET  / HTTP/1.1", b"GET * HTTP/1.1", b"GET a HTTP/1.1",
     b"G{T / HTTP/1.1", b"GET / HTTP/1.2", b"GET /\x7f HTTP/1.1", b"GET /\nX: / HTTP/1.1"],
)  # fmt: skip
def test_a_first_line_that_is_none_is_refused(first_line: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_head(first_line + b"\r\nHost: h")


def test_a_body_of_a_length_ends_there_however_it_comes() -> None:
    body = LengthBody(4)
    assert body.take(b"ab") == (b"ab", b"")
    assert not body.done
    assert body.take(b"cdGET") == (b"cd", b"GET")
    assert body.done
    assert LengthBody(0).done


@pytest.mark.parametrize("size", range(1, len(CHUNKS) + 4))
def test_chunks_are_read_however_they_come(size: int) -> None:
    body, read, sent = ChunkedBody(), b"", CHUNKS + b"GET"
    for begin in range(0, len(sent), size):
        assert not body.done
        piece, rest = body.take(sent[begin : begin + size])
        read += piece
        if body.done:
            assert rest + sent[begin + size :] == b"GET"
            break
    assert read == b"hello!"


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\n", b"x\r\n", b"+1\r\n", b"0x1\r\n", b"1 2\r\n", b"1\n", b"1;a\nb\r\n", b"1;\0\r\n", b"F" * 16 + b"\r\n",
        b"1\r\nab\r\n", b"1\r\na\n", b"0\r\nno trailer\r\n", b"0\r\nx y: 1\r\n", b"0\r\nx: a\rb\r\n",
        b"1;" + b"a" * MAX_CHUNK_LINE, b"0\r\n" + b"x: 1\r\n" * 101,
    ],
)  # fmt: skip
def test_chunks_that_are_none_are_refused(sent: bytes) -> None:
    body = ChunkedBody()
    with pytest.raises(MalformedError):
        body.take(sent)
