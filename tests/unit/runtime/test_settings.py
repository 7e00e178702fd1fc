from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mockupaws.runtime.errors import SettingsError
from mockupaws.runtime.settings import CLIENT_VARIABLES, PREFIX, SECRETS, Settings


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


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    assert Settings.from_environ({"MOCKUPAWS_JWT_SECRET_FILE": str(file)}).jwt_secret == "s3cret"
    for environ, why in (
        ({"MOCKUPAWS_JWT_SECRET_FILE": str(tmp_path / "none")}, "can't be read"),
        ({"MOCKUPAWS_JWT_SECRET_FILE": str(file), "MOCKUPAWS_JWT_SECRET": "x"}, "both set"),
        ({"MOCKUPAWS_GATEWAY_PORT_FILE": str(file)}, "no setting"),
    ):
        with pytest.raises(SettingsError, match=why):
            Settings.from_environ(environ)


def test_every_secret_is_a_setting() -> None:
    assert {field.name for field in dataclasses.fields(Settings)} >= SECRETS


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("False", False), ("0", False)])
def test_yes_and_no(text: str, value: bool) -> None:
    assert Settings.from_environ({"MOCKUPAWS_PRODUCTION": text}).production is value
    with pytest.raises(SettingsError, match="bool"):
        Settings.from_environ({"MOCKUPAWS_PRODUCTION": "maybe"})
