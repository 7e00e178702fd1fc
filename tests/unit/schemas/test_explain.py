"""A refusal says what would have been taken."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from mockupaws.schemas.http.explain import explained


class Part(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    kind: Literal["one", "two"] | None = None
    steps: list[Annotated[str, Meta(pattern="^[1-9]m$", examples=["5m"])]] = []
    others: dict[str, Part] = {}
    since: Annotated[datetime, Meta(tz=True)] | None = None


class Whole(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    from_: int | None = msgspec.field(default=None, name="from")
    part: Part | None = None


class Empty(msgspec.Struct, forbid_unknown_fields=True):
    pass


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"form": 1}, "Object contains unknown field `form`; it takes `from`, `part`"),
        (
            {"part": {"x": 1}},
            "Object contains unknown field `x`; it takes `kind`, `steps`, `others`, `since` - at `$.part`",
        ),
        ({"part": {"kind": "three"}}, "Invalid enum value 'three'; use `one`, `two` - at `$.part.kind`"),
        ({"part": {"steps": ["0m"]}}, "Expected `str` matching regex '^[1-9]m$'; such as `5m` - at `$.part.steps[0]`"),
        (
            {"part": {"others": {"a": {"kind": ""}}}},
            "Invalid enum value ''; use `one`, `two` - at `$.part.others[...].kind`",
        ),
        (
            {"part": {"since": "2026-11-26"}},
            "Invalid RFC3339 encoded datetime; such as `2026-11-26T05:00:00Z` - at `$.part.since`",
        ),
        (
            {"part": {"since": "2026-11-26T05:00:00"}},
            "Expected `datetime` with a timezone component; such as `2026-11-26T05:00:00Z` - at `$.part.since`",
        ),
        ({"from": "x"}, "Expected `int | null`, got `str` - at `$.from`"),
    ],
)
def test_what_would_be_taken_is_named(document: object, message: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(document, Whole)
    assert explained(str(refused.value), Whole) == message


def test_what_takes_nothing_says_so() -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert({"a\n - at `$.b`": 1}, Empty)
    assert "; it takes none" in explained(str(refused.value), Empty)
