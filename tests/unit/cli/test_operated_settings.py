"""Which installation a command acts on, and that looking at none makes none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mockupaws.cli.doctor import examine
from mockupaws.cli.main import app
from mockupaws.cli.operated_settings import operated_settings
from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.errors import SettingsError
from mockupaws.runtime.settings import Settings

ELSEWHERE = {"MOCKUPAWS_POSTGRES_OWNER_URL": "postgresql://owner@db.example/mockupaws"}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["status"], 1),
        (["down"], 0),
        (["tenants", "list"], 2),
        (["dead-letters", "list"], 2),
        (["audit", "verify"], 2),
        (["migrate"], 2),
    ],
)
def test_looking_where_nothing_is_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str], code: int
) -> None:
    monkeypatch.setenv("MOCKUPAWS_HOME", str(tmp_path / "home"))
    with pytest.raises(SystemExit) as ended:
        app(command)
    told = capsys.readouterr()
    assert (int(ended.value.code or 0), list(tmp_path.iterdir())) == (code, [])
    assert str(tmp_path / "home") in told.out + told.err


def test_the_installation_that_the_environment_names_goes_before_the_one_here(tmp_path: Path) -> None:
    here = Installation.open(Settings(home=tmp_path)).settings
    environ = {"MOCKUPAWS_HOME": str(tmp_path)}
    assert operated_settings(environ) == here
    named = operated_settings(environ | ELSEWHERE | {"MOCKUPAWS_AUDIT_KEY": "k" * 32})
    assert named.postgres_owner_url == ELSEWHERE["MOCKUPAWS_POSTGRES_OWNER_URL"]
    assert named.kafka_bootstrap_servers == Settings().kafka_bootstrap_servers


def test_an_installation_without_its_audit_key_is_not_acted_on() -> None:
    with pytest.raises(SettingsError, match="MOCKUPAWS_AUDIT_KEY"):
        operated_settings(ELSEWHERE)


async def test_doctor_looks_at_services_elsewhere(tmp_path: Path) -> None:
    environ = {"MOCKUPAWS_HOME": str(tmp_path / "none"), "MOCKUPAWS_POSTGRES_OWNER_URL": "postgresql://o@127.0.0.1:1/m"}
    findings = await examine(environ, 1_795_500_000_000_000)
    assert [f.verdict for f in findings if f.what.startswith("postgres: ConnectionRefusedError")] == ["fail"]
    assert not [f for f in findings if f.verdict == "skip" or "is taken" in f.what]


def test_addresses_are_those_it_was_started_with_whatever_is_set_since(tmp_path: Path) -> None:
    started = Settings(home=tmp_path, gateway_port=9000, api_host="127.0.0.2", api_port=9001)
    Installation.open(started).note_addresses()
    later = Installation.open(dataclasses.replace(started, gateway_port=8000, api_host="127.0.0.1", api_port=8001))
    running = later.as_running().settings
    assert (running.gateway_port, running.api_host, running.api_port) == (9000, "127.0.0.2", 9001)
    assert running.postgres_owner_url == later.settings.postgres_owner_url
