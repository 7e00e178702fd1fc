"""Whether the secrets of an installation are fit for what it is: part of `mockupaws doctor`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

from mockupaws.runtime.settings import PREFIX, Settings

LEAST_CHARACTERS = 32
"""Of a secret as 32 random bytes in base64 have 43."""
LEAST_DIFFERENT = 10
"""Characters: what has fewer was typed, not drawn."""
LONGEST_REVOCATION_SECONDS = 4.0
"""Of a directory refresh, so that what is revoked is refused within 5 s."""
_KEYS = ("jwt_secret", "api_key_pepper", "audit_key", "tenant_key_secret")
_NEEDED_BY_SOME = {"tenant_key_secret": "policies that hash, encrypt or allow values are refused"}
"""What goes on without, but for this."""
_WORDS = ("secret", "password", "changeme", "change-me", "default", "example", "mockupaws", "postgres", "test")
_NEW = "make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"

Problem = tuple[Literal["warn", "fail"], str, str]
"""Verdict, what, advice."""


def weak_secrets(settings: Settings) -> Iterator[Problem]:
    """Fails in production where elsewhere it warns. Tells a secret's name, never the secret."""
    serious: Literal["warn", "fail"] = "fail" if settings.production else "warn"
    values = {name: getattr(settings, name) for name in _KEYS}
    for name, value in values.items():
        variable = PREFIX + name.upper()
        if not value and name in _NEEDED_BY_SOME:
            yield "warn", f"{variable} is not set: {_NEEDED_BY_SOME[name]}", f"{_NEW}; keep a copy of it elsewhere"
        elif not value:
            yield serious, f"{variable} is not set", _NEW
        elif len(value) < LEAST_CHARACTERS or len(set(value)) < LEAST_DIFFERENT:
            yield serious, f"{variable} is too short or too regular: it can be guessed", _NEW
        elif any(value.lower().startswith(word) for word in _WORDS):
            yield serious, f"{variable} begins like a default from some page", _NEW
        elif sum(value == other for other in values.values()) > 1:
            yield serious, f"{variable} is also used for something else", "give each its own; " + _NEW
    if settings.jwt_previous_secret:
        life = settings.access_token_seconds
        yield (
            "warn",
            f"{PREFIX}JWT_PREVIOUS_SECRET is set: tokens under it are still taken",
            f"remove it {life} s after the rotation: docs/security.md",
        )
    for name in ("postgres_owner_url", "postgres_sink_url", "postgres_api_url"):
        url = urlsplit(getattr(settings, name))
        if url.hostname and settings.production and url.password in (None, "", url.username, "postgres", "password"):
            yield serious, f"{PREFIX}{name.upper()} has no password, or a default one", "give the role its own password"


def risky_settings(settings: Settings) -> Iterator[Problem]:
    """Settings that make promises of docs/security.md untrue."""
    if settings.failpoints:
        verdict: Literal["warn", "fail"] = "fail" if settings.production else "warn"
        yield verdict, "failpoints are on: processes can be made to fail", f"unset {PREFIX}FAILPOINTS"
    if settings.directory_refresh_seconds > LONGEST_REVOCATION_SECONDS:
        yield (
            "warn",
            f"the gateway reads what is revoked every {settings.directory_refresh_seconds:g} s only",
            f"set {PREFIX}DIRECTORY_REFRESH_SECONDS to {LONGEST_REVOCATION_SECONDS:g} or less for refusal within 5 s",
        )
    if settings.access_token_seconds > 3600:
        yield (
            "warn",
            f"access tokens live {settings.access_token_seconds} s",
            "an hour or less: a process that is cut off takes a revoked one until it ends",
        )
