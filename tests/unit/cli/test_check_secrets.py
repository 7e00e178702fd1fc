from __future__ import annotations

import dataclasses
import secrets
from typing import Any

import pytest

from mockupaws.cli.check_secrets import risky_settings, weak_secrets
from mockupaws.runtime.settings import Settings

KEYS = ("jwt_secret", "api_key_pepper", "audit_key", "tenant_key_secret")


def fit(**changes: Any) -> Settings:
    good = {name: secrets.token_hex(24) + "/+-_qwertz" for name in KEYS}
    return dataclasses.replace(Settings(production=True), **(good | changes))


def test_what_was_drawn_is_fit() -> None:
    assert list(weak_secrets(fit(postgres_api_url="postgresql://api:Zx81kk@db/x"))) == []
    assert list(risky_settings(fit())) == []


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize(
    "value", ["", "hunter2", "a" * 64, "abab" * 20, "changeme-0123456789-abcdefghijklmnop", "x" * 31]
)
def test_what_was_typed_is_not(name: str, value: str) -> None:
    problems = list(weak_secrets(fit(**{name: value})))
    can_do_without = name == "tenant_key_secret" and not value
    expected = ("warn" if can_do_without else "fail", True)
    assert [(verdict, f"MOCKUPAWS_{name.upper()}" in what) for verdict, what, _ in problems] == [expected]
    assert not value or all(value not in what + advice for _, what, advice in problems)
    warned = list(weak_secrets(fit(**{name: value, "production": False})))
    assert [verdict for verdict, _, _ in warned] == ["warn"]


def test_one_secret_for_two_purposes() -> None:
    one = secrets.token_urlsafe(32)
    assert len(list(weak_secrets(fit(jwt_secret=one, audit_key=one)))) == 2


def test_a_rotation_that_was_not_ended() -> None:
    assert [verdict for verdict, _, _ in weak_secrets(fit(jwt_previous_secret="x"))] == ["warn"]


@pytest.mark.parametrize("password", ["", ":api", ":postgres", ":password"])
def test_database_passwords(password: str) -> None:
    assert len(list(weak_secrets(fit(postgres_api_url=f"postgresql://api{password}@db/x")))) == 1


@pytest.mark.parametrize(
    ("change", "production", "verdict"),
    [
        ({"failpoints": "/tmp/x"}, True, "fail"),
        ({"failpoints": "/tmp/x"}, False, "warn"),
        ({"directory_refresh_seconds": 60.0}, True, "warn"),
        ({"access_token_seconds": 86_400}, True, "warn"),
    ],
)
def test_settings_that_break_a_promise(change: dict[str, Any], production: bool, verdict: str) -> None:
    assert [found for found, _, _ in risky_settings(fit(production=production, **change))] == [verdict]
