"""Archive objects that were ever written are read with today's schema, and this release still writes the newest.

A column that is appended adds an example: v1.1 stands for version 1 with the first columns appended.
"""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import mockupaws.schemas
from mockupaws.schemas.analysed import AnalysedRequest, LineColumns
from mockupaws.schemas.parquet import ARCHIVE_SCHEMA
from mockupaws.sinks.parquet.table import build_table

EXAMPLES = Path(mockupaws.schemas.__file__).parent / "examples"
OBJECTS = {"archive.v1.parquet": None, "archive.v1.1.parquet": 3}
"""In the order they were added, with the policy version that today's schema shows of their lines."""
MESSAGES = ["login of [EMAIL] ok", "plain"]
WRITTEN = AnalysedRequest(
    request_id=uuid.UUID("019aafb0-1d80-7abc-8def-0123456789ab").bytes,
    tenant_id=uuid.UUID("019aafb0-0000-7000-8000-000000000001").bytes,
    scenario_id=uuid.UUID("019aafb0-0000-7000-8000-000000000002").bytes,
    received_at_us=1_763_950_000_123_456,
    body_hash=bytes(range(16)),
    accepted=2,
    lines=LineColumns(
        index=[0, 1],
        message=MESSAGES,
        message_hash=[hashlib.sha256(message.encode()).digest() for message in MESSAGES],
        timestamp_us=[None, 1_763_949_999_000_000],
        source=["auth", ""],
        level=["INFO", ""],
        attributes=['{"n":1}', None],
        size_bytes=[24, 5],
        token_count=[8, 1],
        sqs_blocks=[1, 1],
        pii_mask=[1, 0],
    ),
    deltas=[],
    policy_version=3,
)


def test_each_example_is_known() -> None:
    assert sorted(path.name for path in EXAMPLES.glob("archive.*")) == sorted(OBJECTS)


@pytest.mark.parametrize("name", OBJECTS)
def test_todays_schema_reads_it(name: str) -> None:
    table = ds.dataset(EXAMPLES / name, schema=ARCHIVE_SCHEMA).to_table()
    assert table.schema.equals(ARCHIVE_SCHEMA)
    assert table["message"].to_pylist() == MESSAGES
    assert table["pii_types"].to_pylist() == [["EMAIL"], []]
    assert table["policy_version"].to_pylist() == [OBJECTS[name]] * 2


def test_old_and_new_objects_are_one_table() -> None:
    table = ds.dataset([str(EXAMPLES / name) for name in OBJECTS], schema=ARCHIVE_SCHEMA).to_table()
    assert table["policy_version"].to_pylist() == [None, None, 3, 3]


def test_what_is_written_now_equals_the_newest() -> None:
    newest = pq.read_table(EXAMPLES / list(OBJECTS)[-1])
    assert build_table([WRITTEN]).equals(newest, check_metadata=True)
