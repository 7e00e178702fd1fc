from __future__ import annotations

import pytest

from mockupaws.schemas.accounts import SCOPES, SCOPES_OF_ROLE, beyond, normalise_email


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        ("  ada@example.com\n", "ada@example.com"),
        ("ａｄａ@example.com", "ada@example.com"),
        ("STRASSE@example.com", "strasse@example.com"),
        ("straße@example.com", "strasse@example.com"),
    ],
)
def test_spellings_of_one_address(text: str, name: str) -> None:
    assert normalise_email(text) == name


def test_letters_that_look_alike_are_other_users() -> None:
    latin, cyrillic = normalise_email("ada@example.com"), normalise_email("аda@example.com")
    assert cyrillic is not None
    assert latin != cyrillic


@pytest.mark.parametrize(
    "text",
    ["", "ada", "@example.com", "ada@", "a@b@example.com", "a b@example.com", "a\0@example.com", "a\u200b@example.com",
     "a\u202e@example.com", "a\r\nBcc: x@example.com", "x" * 250 + "@example.com", "\ud800@example.com"],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    assert normalise_email(text) is None


def test_the_table_of_roles() -> None:
    assert set(SCOPES_OF_ROLE["owner"]) == set(SCOPES)
    assert beyond(SCOPES_OF_ROLE["operator"], SCOPES_OF_ROLE["analyst"]) == ["operate"]
    assert [role for role, scopes in SCOPES_OF_ROLE.items() if "manage" in scopes] == ["owner"]
