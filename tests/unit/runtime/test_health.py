from __future__ import annotations

import http.client
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from mockupaws.runtime.health import HealthReport, HealthServer
from mockupaws.schemas.http.headers import SECURITY_HEADERS


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def raise_key_error() -> HealthReport:
    raise KeyError("a secret")


@pytest.mark.parametrize(
    ("report", "status", "body"),
    [
        (lambda: HealthReport(ready=True, lag_seconds=1.5), 200, {"ready": True, "lag_seconds": 1.5, "detail": {}}),
        (
            lambda: HealthReport(ready=False, detail={"kafka": "unreachable"}),
            503,
            {"ready": False, "lag_seconds": None, "detail": {"kafka": "unreachable"}},
        ),
        (raise_key_error, 503, {"ready": False, "lag_seconds": None, "detail": {"report": "KeyError"}}),
    ],
)
def test_ready_says_what_the_report_says(
    report: Callable[[], HealthReport], status: int, body: dict[str, object]
) -> None:
    port = free_port()
    with HealthServer(port, report):
        code, text = get(port, "/health/ready")
    assert (code, json.loads(text)) == (status, body)


def test_alive_and_metrics_answer_while_not_ready() -> None:
    port = free_port()
    with HealthServer(port, raise_key_error):
        assert get(port, "/health") == (200, b'{"alive": true}')
        status, text = get(port, "/metrics")
        assert status == 200
        assert b"mockupaws_" in text
        assert get(port, "/other")[0] == 404


def test_its_answers_carry_the_security_headers() -> None:
    port = free_port()
    with HealthServer(port, raise_key_error):
        for path in ("/health", "/health/ready", "/metrics", "/other"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", path)
            headers = dict(connection.getresponse().headers)
            connection.close()
            assert {name.decode() for name, _ in SECURITY_HEADERS} <= headers.keys()
            assert "Python" not in headers["Server"]


def test_the_port_is_free_again_after_stop() -> None:
    port = free_port()
    for _ in range(2):
        with HealthServer(port, lambda: HealthReport(ready=True)):
            assert get(port, "/health")[0] == 200


def test_port_0_serves_nothing() -> None:
    with HealthServer(0, raise_key_error):
        pass
