"""Gateway and API over a raw socket, as they are run: framing that could hide a request, and clients that are slow."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from mockupaws.runtime.settings import Settings
from mockupaws.schemas.http.headers import SECURITY_HEADERS
from tests.conftest import Demo
from tests.integration.http.raw_requests import PLAIN, REFUSED, SECOND, SWALLOWED, TRUNCATED
from tests.integration.ingest_gateway.gateway_process import GatewayProcess, gateway_process

HEAD_SECONDS = 4.0
BODY_SECONDS = 3.0
PATIENCE_SECONDS = 30.0
READS_BODIES = {"gateway": b"/api/v1/ingest", "api": b"/api/v1/auth/login"}


@pytest.fixture
def served(settings: Settings, demo: Demo, tmp_path: Path) -> Iterator[dict[str, GatewayProcess]]:
    bounded = dataclasses.replace(settings, http_head_seconds=HEAD_SECONDS, http_body_seconds=BODY_SECONDS)
    with (
        gateway_process(bounded, tmp_path / "gateway.log") as gateway,
        gateway_process(bounded, tmp_path / "api.log", "mockupaws.api") as api,
    ):
        yield {"gateway": gateway, "api": api}


def exchange(process: GatewayProcess, sent: bytes, *, closes: bool = False) -> tuple[list[int], bytes]:
    """Statuses and all that came back until the server ended the connection, which `closes` of us asks it to."""
    answer = b""
    with socket.create_connection(process.address, timeout=PATIENCE_SECONDS) as connection:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(sent)
            if closes:
                connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                answer += piece
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)], answer


def corpus(
    process: GatewayProcess, name: str, requests: dict[str, bytes], authorization: bytes
) -> dict[str, list[int]]:
    """Each on a connection of its own, some at a time: those that wait for a time limit wait together."""
    path = READS_BODIES[name]
    first_line_end = b" HTTP/1.1\r\nHost: localhost\r\n"

    def one(item: tuple[str, bytes]) -> tuple[str, list[int]]:
        sent = item[1].replace(b"{path}" + first_line_end, path + first_line_end + authorization)
        return item[0], exchange(process, sent.replace(b"{path}", path) + SECOND)[0]

    with ThreadPoolExecutor(8) as pool:
        return dict(pool.map(one, requests.items()))


def test_no_request_is_hidden_in_another(served: dict[str, GatewayProcess], demo: Demo) -> None:
    authorization = f"Authorization: Bearer {demo.api_key}\r\nContent-Type: application/json\r\n".encode()
    for name, process in served.items():
        for case, statuses in corpus(process, name, REFUSED, authorization).items():
            assert len(statuses) <= 1, (name, case, statuses)
            assert all(400 <= status < 500 for status in statuses), (name, case, statuses)
        for case, statuses in corpus(process, name, TRUNCATED, authorization).items():
            assert statuses == [400], (name, case, statuses)
        for case, statuses in corpus(process, name, SWALLOWED, authorization).items():
            assert len(statuses) <= 1, (name, case, statuses)
            assert set(statuses) <= {400, 408}, (name, case, statuses)
        for case, statuses in corpus(process, name, PLAIN, authorization).items():
            assert len(statuses) == 2, (name, case, statuses)
            assert statuses[1] == 404, (name, case, statuses)
        assert httpx.get(f"{process.url}/health").json() == {"alive": True}


def test_slow_clients_are_let_go_and_the_others_are_served(served: dict[str, GatewayProcess], demo: Demo) -> None:
    for name, process in served.items():
        head = b"POST " + READS_BODIES[name] + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        body = head + f"Authorization: Bearer {demo.api_key}\r\nContent-Length: 1000\r\n\r\n{{".encode()
        slow = {
            "nothing": b"",
            "half a head": head[:20],
            "a head without its end": head,
            "an idle connection": b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "half a body": body,
        }
        stop = threading.Event()
        # Many that drip: each a byte before any gap could count as idleness.
        dripping = [socket.create_connection(process.address, timeout=PATIENCE_SECONDS) for _ in range(100)]
        for connection in dripping:
            connection.sendall(head)

        def drip(connections: list[socket.socket] = dripping, stop: threading.Event = stop) -> None:
            open_ = list(connections)
            while open_ and not stop.wait(0.2):
                for connection in list(open_):
                    try:
                        connection.sendall(b"X")
                    except OSError:
                        open_.remove(connection)

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with ThreadPoolExecutor(len(slow)) as pool:
                ended = {case: pool.submit(exchange, process, sent) for case, sent in slow.items()}
                assert httpx.get(f"{process.url}/health", timeout=PATIENCE_SECONDS).status_code == 200
                statuses = {case: waiting.result()[0] for case, waiting in ended.items()}
            for connection in dripping:
                with contextlib.suppress(ConnectionResetError):
                    while connection.recv(65536):
                        pass
        finally:
            stop.set()
            thread.join()
            for connection in dripping:
                connection.close()
        assert statuses.pop("half a body") == [408], name
        assert statuses.pop("an idle connection") == [200], name
        assert set(map(tuple, statuses.values())) <= {(), (408,)}, (name, statuses)


def test_each_answer_carries_the_headers(served: dict[str, GatewayProcess], demo: Demo) -> None:
    expected = {name.decode() for name, _ in SECURITY_HEADERS} | {"x-request-id"}
    for process in served.values():
        with httpx.Client(base_url=process.url, timeout=PATIENCE_SECONDS) as client:
            answers = [
                client.get("/health"), client.get("/health/ready"), client.get("/metrics"), client.get("/nothing"),
                client.get("/api/v1/openapi.json"), client.get("/"), client.delete("/health"),
                client.options("/health"),
                client.post("/api/v1/ingest", content=b"{"), client.get("/api/v1/scenarios"), client.get("/health/"),
                client.post("/api/v1/auth/login", content=b"{"), client.get("/", headers={"Host": "evil.example"}),
                client.get("/..%2f..%2fetc/passwd"), client.request("BREW", "/"), client.head("/health"),
            ]  # fmt: skip
        for answer in answers:
            assert expected <= answer.headers.keys(), (answer.request.url, answer.status_code, answer.headers)
            assert not answer.is_redirect
            assert "evil" not in answer.text
            if b'"error"' in answer.content and answer.status_code >= 400:
                assert answer.json()["error"]["request_id"] == answer.headers["x-request-id"]
