from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mockupaws.runtime.errors import SettingsError
from mockupaws.runtime.settings import CLIENT_VARIABLES, PREFIX, Settings


def test_values_take_their_fields_types() -> None:
    settings = Settings.from_environ(
        {"MOCKUPAWS_HOME": "/srv/x", "MOCKUPAWS_GATEWAY_PORT": "9000", "MOCKUPAWS_PUBLISH_DEADLINE_SECONDS": "1.5"}
    )
    assert (settings.home, settings.gateway_port, settings.publish_deadline_seconds) == (Path("/srv/x"), 9000, 1.5)


def test_an_unknown_variable_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="MOCKUPAWS_MAX_ENTRYS is no setting"):
        Settings.from_environ({"MOCKUPAWS_MAX_ENTRYS": "5"})


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({"MOCKUPAWS_TYPO": "", "MOCKUPAWS_API_PORT": "http", "MOCKUPAWS_KAFKA_PARTITIONS": ""})
    for name in ("MOCKUPAWS_TYPO", "MOCKUPAWS_API_PORT must be of type int", "MOCKUPAWS_KAFKA_PARTITIONS must be"):
        assert name in str(caught.value)


def test_a_malformed_secret_is_not_quoted() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({"MOCKUPAWS_GATEWAY_PORT": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_what_demo_env_exports_and_other_programs_variables_are_ignored() -> None:
    environ = {PREFIX + name: "x" for name in CLIENT_VARIABLES} | {"PATH": "/bin", "MOCKUP": "1"}
    assert Settings.from_environ(environ) == Settings()


def test_a_child_process_gets_the_same_settings() -> None:
    changed = dataclasses.replace(Settings(), home=Path("/a b"), gateway_port=1, jwt_secret="s=\n", log_level="debug")
    assert Settings.from_environ(changed.to_environ()) == changed
