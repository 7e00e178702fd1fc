"""Requests whose length is ambiguous: a second one hidden in the first is never carried out."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import Any

from mockupaws.runtime.settings import Settings
from tests.integration.ingest_gateway.gateway_process import GatewayProcess, gateway_process
from tests.integration.ingest_gateway.test_stopping import open_with, request_of

READ_SECONDS = 2.0

AMBIGUOUS = {
    "length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked",
    "two lengths": b"Content-Length: 4\r\nContent-Length: 5",
    "a signed length": b"Content-Length: +4",
    "a hexadecimal length": b"Content-Length: 0x4",
    "chunks that aren't last": b"Transfer-Encoding: chunked, identity",
    "an unknown coding": b"Transfer-Encoding: xchunked",
    "a folded header": b"Content-Length: 4\r\n X: 1\r\nTransfer-Encoding:\r\n chunked",
}


def statuses_of(process: GatewayProcess, sent: bytes) -> list[bytes]:
    answer = b""
    with socket.create_connection(process.address, timeout=READ_SECONDS) as connection:
        connection.sendall(sent)
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while piece := connection.recv(65536):
                answer += piece
    return [line[9:12] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]


def test_a_request_hidden_in_another_is_not_carried_out(settings: Settings, demo: Any, log_file: Path) -> None:
    hidden = request_of(demo, "hidden")
    with gateway_process(settings, log_file) as process:
        for name, lengths in AMBIGUOUS.items():
            head = b"POST /api/v1/ingest HTTP/1.1\r\nHost: gateway\r\n" + lengths + b"\r\n\r\n"
            found = statuses_of(process, head + b"0\r\n\r\n" + hidden)
            assert b"202" not in found, (name, found)
        with open_with(process, request_of(demo, "first") + request_of(demo, "second")) as connection:
            answers = b""
            while answers.count(b"HTTP/1.1 202") < 2:  # where one's announced body ends the next one begins
                answers += (piece := connection.recv(65536))
                assert piece, answers
