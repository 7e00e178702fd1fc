"""Each check finds what it is for."""

from __future__ import annotations

import os
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mockupaws.cli.doctor import (
    Patient,
    check_clock,
    check_gateway_and_api,
    check_partitions,
    check_python,
    check_retention,
    check_tokenizer,
    examine,
)
from mockupaws.cli.doctor import check_secret_files as check_secrets
from mockupaws.runtime.settings import Settings

NOW = datetime(2026, 11, 24, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000


def patient(settings: Settings) -> Patient:
    return Patient(settings, None, None, NOW_US)


def test_the_slower_tokenizer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [finding.verdict for finding in check_tokenizer(patient(Settings()))] == ["ok"]
    monkeypatch.setitem(sys.modules, "quicktok", None)
    assert [finding.verdict for finding in check_tokenizer(patient(Settings()))] == ["warn"]


def test_python() -> None:
    assert check_python((3, 10)).verdict == "fail"
    assert check_python((3, 11)).verdict == "ok"


def test_secrets_that_others_can_read(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets.json"
    secrets.write_text("{}")
    for mode, verdict in ((0o600, "ok"), (0o640, "fail")):
        secrets.chmod(mode)
        assert [finding.verdict for finding in check_secrets(patient(Settings(home=tmp_path)))] == [verdict]


def test_requests_must_be_remembered_longer_than_topics_are_kept() -> None:
    assert [finding.verdict for finding in check_retention(patient(Settings(applied_request_days=14)))] == ["fail"]
    assert [finding.verdict for finding in check_retention(patient(Settings()))] == ["ok"]


@pytest.mark.parametrize(
    ("end", "verdict"),
    [
        (None, "fail"),
        ("2026-11-24 00:00:00+00", "fail"),
        ("2026-11-25 00:00:00+00", "warn"),
        ("2027-02-01 00:00:00+00", "ok"),
    ],
)
def test_partitions_ahead(end: str | None, verdict: str) -> None:
    assert check_partitions("scenario_logs", end, NOW).verdict == verdict


def test_clocks_apart() -> None:
    assert check_clock("api", NOW, NOW_US + 60_000_000).verdict == "warn"
    assert check_clock("api", NOW, NOW_US + 1_000_000).verdict == "ok"


async def test_nothing_running_is_no_failure_and_nothing_is_made(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environ = {"MOCKUPAWS_HOME": str(home), "MOCKUPAWS_GATEWAY_PORT": "1", "MOCKUPAWS_API_PORT": "2"}
    findings = await examine(environ, NOW_US)
    assert {finding.verdict for finding in findings} <= {"ok", "warn", "skip"}
    assert not home.exists()
    assert os.listdir(tmp_path) == []


async def test_a_wrong_setting_is_named() -> None:
    findings = await examine({"MOCKUPAWS_GATEWAY_PROT": "1"}, NOW_US)
    assert findings[-1].verdict == "fail"
    assert "MOCKUPAWS_GATEWAY_PROT" in findings[-1].what


class _Ready(BaseHTTPRequestHandler):
    """Sends a Date header, as BaseHTTPRequestHandler does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        pass


async def test_clocks_are_compared_when_the_answer_comes_however_long_the_checks_before_took() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Ready) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings = Settings(gateway_port=server.server_port, api_port=server.server_port)
        findings = await check_gateway_and_api(patient(settings))
        server.shutdown()
    assert [finding.verdict for finding in findings] == ["ok"] * 4
