"""Each fault of the HTTP proxy, against a server that remembers what it was asked."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.adversity.http_fault_proxy import HttpFault, HttpFaultProxy

SECONDS = 5.0


class Store(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Store

    def do_PUT(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(201)
        self.send_header("ETag", "x")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"done")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def proxy(store: Store) -> Iterator[HttpFaultProxy]:
    with HttpFaultProxy(int(store.server_address[1])) as made:
        yield made


def put(proxy: HttpFaultProxy, seconds: float = SECONDS) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=seconds)
    try:
        connection.request("PUT", "/bucket/key", b"content")
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_forwards_when_nothing_is_armed(proxy: HttpFaultProxy, store: Store) -> None:
    assert put(proxy) == (201, b"done")
    assert store.bodies == [b"content"]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("answer_429", 429, b"TooManyRequests"),
        ("answer_500", 500, b"InternalError"),
        ("answer_503", 503, b"SlowDown"),
        ("ok_with_error", 200, b"InternalError"),
    ],
)
def test_answers_in_the_servers_place_as_often_as_asked(
    proxy: HttpFaultProxy, store: Store, fault: HttpFault, status: int, code: bytes
) -> None:
    proxy.fail("PUT", fault, times=2)
    for _ in range(2):
        answered, body = put(proxy)
        assert answered == status
        assert code in body
    assert store.bodies == []
    assert put(proxy)[0] == 201
    assert proxy.injected == {fault: 2}


@pytest.mark.parametrize(("fault", "bodies"), [("reset_before", 0), ("reset_after", 1)])
def test_resets(proxy: HttpFaultProxy, store: Store, fault: HttpFault, bodies: int) -> None:
    proxy.fail("PUT", fault, times=1)
    with pytest.raises(ConnectionError):
        put(proxy)
    assert len(store.bodies) == bodies


def test_a_stall_ends_with_the_clients_patience_or_with_the_fault(proxy: HttpFaultProxy, store: Store) -> None:
    proxy.fail("PUT", "stall", times=1)
    with pytest.raises(TimeoutError):
        put(proxy, seconds=0.2)
    proxy.fail("PUT", "stall", times=1)
    threading.Timer(0.2, proxy.heal).start()
    with pytest.raises(ConnectionError):
        put(proxy)
    assert store.bodies == []


def test_other_methods_are_left_alone(proxy: HttpFaultProxy) -> None:
    proxy.fail("HEAD", "answer_500", times=1)
    assert put(proxy)[0] == 201
    assert proxy.armed == 1
    proxy.heal()
    assert proxy.armed == 0
