"""The columns of an archive object: the whole redacted text of each line, and what was measured of it."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1

_UTC_US = pa.timestamp("us", tz="UTC")

ARCHIVE_SCHEMA = pa.schema(
    [
        pa.field("tenant_id", pa.uuid(), nullable=False),
        pa.field("scenario_id", pa.uuid(), nullable=False),
        pa.field("request_id", pa.uuid(), nullable=False),
        pa.field("id", pa.uuid(), nullable=False),
        pa.field("received_at", _UTC_US, nullable=False),
        pa.field("timestamp", _UTC_US),
        pa.field("message", pa.string(), nullable=False),
        pa.field("message_hash", pa.binary(32), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("level", pa.string(), nullable=False),
        pa.field("attributes", pa.string()),
        pa.field("size_bytes", pa.int32(), nullable=False),
        pa.field("token_count", pa.int32(), nullable=False),
        pa.field("sqs_blocks", pa.int32(), nullable=False),
        pa.field("pii_types", pa.list_(pa.field("element", pa.string(), nullable=False)), nullable=False),
        pa.field("policy_version", pa.int32()),
    ],
    metadata={"mockupaws.schema_version": str(SCHEMA_VERSION)},
)
"""Sorted by received_at, id. `attributes` is JSON text of an object. `policy_version` is missing in the first objects:
read them with this schema, which puts null there. Append nullable columns; never rename or retype one."""
