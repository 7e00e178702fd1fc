from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from mockupaws.api.cursor import Position, decode_cursor, encode_cursor

POSITION = Position(datetime(2026, 11, 24, 4, 5, 6, 789012, tzinfo=UTC), UUID(int=7))
CURSOR = encode_cursor("secret", "tenant/scenario", POSITION)


def test_a_cursor_comes_back() -> None:
    assert decode_cursor("secret", "tenant/scenario", CURSOR) == POSITION


@pytest.mark.parametrize(
    ("secret", "binding", "cursor"),
    [
        ("other", "tenant/scenario", CURSOR),
        ("secret", "tenant/other", CURSOR),
        ("secret", "tenant/scenario", ("B" if CURSOR[0] != "B" else "C") + CURSOR[1:]),
        ("secret", "tenant/scenario", CURSOR[:-1]),
        ("secret", "tenant/scenario", ""),
        ("secret", "tenant/scenario", "ä$"),
        ("secret", "tenant/scenario", CURSOR + "A" * 400),
    ],
)
def test_a_changed_or_foreign_cursor_is_none(secret: str, binding: str, cursor: str) -> None:
    assert decode_cursor(secret, binding, cursor) is None
