"""Names of archive objects: format and parse are inverse."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockupaws.archive.object_key import ObjectKey, ObjectKeyError

KEYS = st.builds(
    ObjectKey,
    tenant_id=st.uuids(),
    scenario_id=st.uuids(),
    hour=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - hypothesis wants naive bounds
        lambda moment: moment.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
    ),
    topic=st.from_regex(r"[A-Za-z0-9._-]{1,40}", fullmatch=True),
    partition=st.integers(0, 10_000),
    first_offset=st.integers(0, 2**63 - 1),
    last_offset=st.integers(0, 2**63 - 1),
    digest=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
)


@given(KEYS)
def test_a_key_survives_its_text(key: ObjectKey) -> None:
    assert ObjectKey.parse(key.format()) == key


def test_keys_of_a_partition_sort_by_offset() -> None:
    key = ObjectKey(UUID(int=1), UUID(int=2), datetime(2026, 11, 24, 5, tzinfo=UTC), "t", 3, 9, 10, "0" * 16)
    later = ObjectKey(UUID(int=1), UUID(int=2), datetime(2026, 11, 24, 5, tzinfo=UTC), "t", 3, 10, 99, "0" * 16)
    assert key.format() < later.format()


@pytest.mark.parametrize("text", ["", "a.parquet", "tenant_id=../scenario_id=x/hour=2026-11-24T05/t-0.parquet"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(ObjectKeyError):
        ObjectKey.parse(text)
