"""SIGTERM: what is open is answered, what is acknowledged is kept, then nobody listens any more."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from mockupaws.runtime.settings import Settings
from tests.adversity.fault_proxy import FaultProxy
from tests.adversity.faulty_flow import Faults
from tests.integration.ingest_gateway.gateway_process import GatewayProcess, gateway_process
from tests.integration.ingest_gateway.test_gateway import body_of, stored
from tests.running_stack import wait_until

ANSWER_SECONDS = 30.0


def request_of(demo: Any, *messages: str) -> bytes:
    body = json.dumps(body_of(demo, *messages)).encode()
    head = (
        "POST /api/v1/ingest HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {demo.api_key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def open_with(process: GatewayProcess, sent: bytes) -> socket.socket:
    connection = socket.create_connection(process.address, timeout=ANSWER_SECONDS)
    connection.sendall(sent)
    return connection


def answer_of(connection: socket.socket) -> bytes:
    """Up to the end of the connection. Raises ConnectionResetError."""
    answer = b""
    with connection:
        while piece := connection.recv(65536):
            answer += piece
    return answer


def until_refused(process: GatewayProcess) -> None:
    def refused() -> bool:
        try:
            socket.create_connection(process.address, timeout=5).close()
        except ConnectionRefusedError:
            return True
        return False

    wait_until(refused, "nobody listens any more", 60)


async def test_half_sent_requests_are_answered_and_acknowledged_ones_are_kept(
    settings: Settings, demo: Any, log_file: Any
) -> None:
    with gateway_process(settings, log_file) as process:
        completed = open_with(process, request_of(demo, "completed")[:-1])
        never = open_with(process, request_of(demo, "never completed")[:-1])
        wait_until(lambda: process.metric("mockupaws_ingest_in_flight_requests") == 2, "both bodies are being read", 60)
        process.terminate()
        until_refused(process)
        completed.sendall(b"}")
        assert answer_of(completed).startswith(b"HTTP/1.1 202 ")
        refusal = answer_of(never)
        assert refusal.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: " in refusal.lower()
        assert b'"draining"' in refusal
        process.until_ended()
        assert process.exit_code == 0
    assert [entry.message for request in await stored(settings) for entry in request.entries] == ["completed"]


async def test_a_request_awaiting_its_ack_is_spooled_and_sent_by_the_next_process(
    behind_proxy: Settings, demo: Any, log_file: Any, proxied_kafka: FaultProxy
) -> None:
    with gateway_process(behind_proxy, log_file) as process:
        proxied_kafka.use(to_client=Faults(blackhole=True))
        waiting = open_with(process, request_of(demo, "waiting"))
        wait_until(lambda: process.metric("mockupaws_publish_pending_bytes") > 0, "it is sent to the brokers", 60)
        process.terminate()
        assert answer_of(waiting).startswith(b"HTTP/1.1 202 ")
        process.until_ended()
    proxied_kafka.heal()
    with gateway_process(behind_proxy, log_file) as process:
        wait_until(lambda: process.health() == (200, {}), "the spool is drained", 30)
    messages = {entry.message for request in await stored(behind_proxy) for entry in request.entries}
    assert messages == {"waiting"}


def test_it_ends_although_clients_keep_connections_open(settings: Settings, demo: Any, log_file: Any) -> None:
    with gateway_process(settings, log_file) as process:
        idle = open_with(process, b"")
        half_head = open_with(process, request_of(demo, "x")[:40])
        kept_alive = open_with(process, request_of(demo, "y"))
        assert kept_alive.recv(65536).startswith(b"HTTP/1.1 202 ")
        process.terminate()
        process.until_ended()
        assert process.exit_code == 0
        for connection in (idle, half_head, kept_alive):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(process.address, timeout=5)
            connection.close()
