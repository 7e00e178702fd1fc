"""The proxy does to real sockets what it says."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.adversity.fault_proxy import FaultProxy
from tests.adversity.faulty_flow import Faults
from tests.running_stack import wait_until

SECONDS = 5.0
SHORT = 0.15


class EchoServer:
    """Sends back what it gets; remembers it, and how each connection ended."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.endings: list[str] = []
        self.ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread, whose wait would keep the port open
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with closing(connection):
            try:
                while data := connection.recv(65536):
                    self.received += data
                    connection.sendall(data)
                self.endings.append("closed")
            except ConnectionError:
                self.endings.append("reset")
            self.ended.set()


@pytest.fixture
def server() -> Iterator[EchoServer]:
    made = EchoServer()
    yield made
    with contextlib.suppress(OSError):
        made.close()


@pytest.fixture
def proxy(server: EchoServer) -> Iterator[FaultProxy]:
    with FaultProxy(server.port) as made:
        yield made


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS) as made:
        assert ask(made, b"hello") == b"hello"  # both sides are connected
        yield made


def ask(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return receive(client, len(data))


def receive(client: socket.socket, count: int) -> bytes:
    got = bytearray()
    while len(got) < count and (data := client.recv(count - len(got))):
        got += data
    return bytes(got)


def is_silent(client: socket.socket) -> bool:
    client.settimeout(SHORT)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(SECONDS)
    return False


def test_forwards_unchanged_more_than_it_holds(client: socket.socket, server: EchoServer) -> None:
    data = bytes(range(256)) * 80_000  # 20 MB against 4 MiB
    sender = threading.Thread(target=client.sendall, args=[data])
    sender.start()
    assert receive(client, len(data)) == data
    sender.join()
    assert server.received == b"hello" + data


def test_the_end_of_one_direction_is_passed_on(client: socket.socket, server: EchoServer, proxy: FaultProxy) -> None:
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert server.ended.wait(SECONDS)
    assert server.endings == ["closed"]
    wait_until(lambda: proxy.connections == [], "the proxy forgets the connection", SECONDS)


def test_latency_delays_each_answer_and_keeps_the_order(client: socket.socket, proxy: FaultProxy) -> None:
    proxy.use(to_server=Faults(latency_seconds=SHORT, jitter_seconds=SHORT))
    began = time.monotonic()
    for letter in b"abcdefgh":
        client.sendall(bytes([letter]))
    assert receive(client, 8) == b"abcdefgh"
    assert time.monotonic() - began >= SHORT


def test_bandwidth(client: socket.socket, proxy: FaultProxy) -> None:
    proxy.use(to_client=Faults(bytes_per_second=100_000))
    began = time.monotonic()
    assert ask(client, b"x" * 30_000) == b"x" * 30_000
    assert time.monotonic() - began >= 0.25


def test_a_blackhole_towards_the_client_lets_requests_pass(
    client: socket.socket, server: EchoServer, proxy: FaultProxy
) -> None:
    proxy.use(to_client=Faults(blackhole=True))
    client.sendall(b"request")
    assert is_silent(client)
    assert server.received == b"hellorequest"
    proxy.heal()
    assert receive(client, 7) == b"request"


def test_a_blackhole_towards_the_server_hides_the_end_too(
    client: socket.socket, server: EchoServer, proxy: FaultProxy
) -> None:
    proxy.use(to_server=Faults(blackhole=True))
    client.sendall(b"request")
    client.shutdown(socket.SHUT_WR)
    assert is_silent(client)
    assert server.received == b"hello"
    assert server.endings == []
    proxy.heal()
    assert receive(client, 7) == b"request"
    assert client.recv(1) == b""


def test_an_answer_held_in_a_blackhole_is_lost_with_a_reset(
    client: socket.socket, server: EchoServer, proxy: FaultProxy
) -> None:
    proxy.use(to_client=Faults(blackhole=True))
    client.sendall(b"request")
    assert is_silent(client)
    proxy.reset_all()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert server.ended.wait(SECONDS)
    assert (bytes(server.received), server.endings) == (b"hellorequest", ["reset"])


def test_cut_after_bytes_delivers_exactly_these(client: socket.socket, server: EchoServer, proxy: FaultProxy) -> None:
    proxy.use(to_server=Faults(cut_after_bytes=3))
    client.sendall(b"request")
    assert server.ended.wait(SECONDS)
    assert (bytes(server.received), server.endings) == (b"helloreq", ["reset"])


def test_cut_after_pattern_delivers_it(client: socket.socket, server: EchoServer, proxy: FaultProxy) -> None:
    proxy.use(to_server=Faults(cut_after_pattern=b"COMMIT"))
    assert ask(client, b"INSERT COM") == b"INSERT COM"
    client.sendall(b"MIT;")
    assert server.ended.wait(SECONDS)
    assert (bytes(server.received), server.endings) == (b"helloINSERT COMMIT;", ["reset"])
    wait_until(lambda: proxy.cuts == 1, "the cut is counted", SECONDS)


def test_cut_before_pattern_withholds_the_answer(client: socket.socket, server: EchoServer, proxy: FaultProxy) -> None:
    proxy.use(to_client=Faults(cut_before_pattern=b"COMMIT"))
    client.sendall(b"COMMIT;")
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert server.received == b"helloCOMMIT;"


def test_half_close(client: socket.socket, server: EchoServer, proxy: FaultProxy) -> None:
    proxy.connections[0].half_close("to_client")
    assert client.recv(1) == b""
    client.sendall(b"still heard")
    client.shutdown(socket.SHUT_WR)
    assert server.ended.wait(SECONDS)
    assert server.received == b"hellostill heard"


def test_faults_of_one_connection_leave_the_others_alone(client: socket.socket, proxy: FaultProxy) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS) as other:
        assert ask(other, b"x") == b"x"
        first, second = proxy.connections
        assert (first.forwarded_bytes("to_server"), second.forwarded_bytes("to_server")) == (5, 1)
        second.use(to_client=Faults(blackhole=True))
        other.sendall(b"y")
        assert is_silent(other)
        assert ask(client, b"z") == b"z"
        second.reset()
        with pytest.raises(ConnectionResetError):
            other.recv(1)
        assert proxy.connections == [first]


def test_refused_connections_are_taken_again_on_the_same_port(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS)
    assert ask(client, b"open ones stay") == b"open ones stay"
    proxy.heal()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS) as late:
        assert ask(late, b"again") == b"again"


def test_a_server_that_is_not_there_shows_as_a_reset(server: EchoServer, proxy: FaultProxy) -> None:
    server.close()
    with (
        pytest.raises(ConnectionResetError),
        socket.create_connection(("127.0.0.1", proxy.port), timeout=SECONDS) as client,
    ):
        client.recv(1)
