from __future__ import annotations

from typing import Any

import pytest

from mockupaws.ingest_gateway.http_exchange import Answer, ClientGoneError, HttpRequest


def request_of(*messages: dict[str, Any], query: bytes = b"", headers: list[tuple[bytes, bytes]] | None = None) -> Any:
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    return HttpRequest({"state": {"request_id": "id"}, "headers": headers or [], "query_string": query}, receive)


def test_of_a_repeated_header_the_first_counts_and_of_a_parameter_the_last() -> None:
    request = request_of(headers=[(b"x-a", b"1"), (b"x-a", b"2"), (b"x-b", b"\xe9")], query=b"a=1&a=2&b=&c=%20")
    assert request.headers == {"x-a": "1", "x-b": "é"}
    assert request.query == {"a": "2", "b": "", "c": " "}


async def test_a_body_ends_with_its_last_piece_or_with_its_client() -> None:
    first, last = {"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.request", "body": b"b"}
    assert [piece async for piece in request_of(first, {**first, "body": b""}, last).stream()] == [b"a", b"b"]
    with pytest.raises(ClientGoneError):
        async for _ in request_of(first, {"type": "http.disconnect"}).stream():
            pass


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ([(b"content-length", b"2")], 2),
        ([(b"content-length", b"0")], 0),
        ([], 3),
        ([(b"content-length", b"2"), (b"transfer-encoding", b"chunked")], 3),
    ],
    ids=["announced", "announced as none", "chunked", "chunked in spite of a length"],
)
async def test_the_end_of_a_body_is_asked_for_only_where_its_length_was_not_announced(
    headers: list[tuple[bytes, bytes]], asked: int
) -> None:
    left = [{"type": "http.request", "body": body, "more_body": True} for body in (b"a", b"b")]
    left.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    request = HttpRequest({"state": {"request_id": "id"}, "headers": headers, "query_string": b""}, receive)
    assert b"".join([piece async for piece in request.stream()]) == (b"ab" if asked else b"")
    assert 3 - len(left) == asked


async def test_a_body_shorter_than_announced_is_none() -> None:
    first = {"type": "http.request", "body": b"a", "more_body": True}
    cut = request_of(first, {"type": "http.disconnect"}, headers=[(b"content-length", b"2")])
    with pytest.raises(ClientGoneError):
        async for _ in cut.stream():
            pass


async def test_an_answer_tells_its_length_and_its_headers_by_lower_case_names() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await Answer(503, b"{}", {"Retry-After": "1"}).send(send)
    assert sent == [
        {
            "type": "http.response.start",
            "status": 503,
            "headers": [(b"content-type", b"application/json"), (b"content-length", b"2"), (b"retry-after", b"1")],
        },
        {"type": "http.response.body", "body": b"{}"},
    ]
