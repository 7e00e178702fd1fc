"""Reads what Postgres, the archive, the receipts and the dead letters hold of a run. Nothing is trusted to be whole."""

from __future__ import annotations

import asyncio
import io
import re
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import pyarrow.parquet as pq

from mockupaws.archive.object_store import ObjectStore, open_store
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.parquet import ARCHIVE_SCHEMA
from tests.adversity.ledger import ReadLedger
from tests.adversity.oracle.invariants import Stored, Violation
from tests.adversity.oracle.tally import LetterRow, ReceiptRow, Tally, Trouble

PREVIEW_CHARACTERS = 500
CONNECT_SECONDS = 10.0
QUERY_SECONDS = 120.0
_ROWS_AT_ONCE = 5000
_COLUMNS = ("tenant_id", "scenario_id", "message", "message_hash", "attributes")

_RECOUNT = """
WITH logs AS (
    SELECT *, date_trunc('minute', received_at) AS minute FROM scenario_logs WHERE scenario_id = ANY($1)
), recounted AS (
    SELECT scenario_id, minute, metric.*
    FROM (SELECT scenario_id, minute, count(*) AS entries, sum(size_bytes) AS bytes, sum(token_count) AS tokens,
                 sum(sqs_blocks) AS blocks, count(*) FILTER (WHERE has_pii) AS personal
          FROM logs GROUP BY scenario_id, minute) AS sums,
         LATERAL (VALUES ('ingest', 'entries', entries), ('ingest', 'bytes', bytes), ('bedrock', 'tokens', tokens),
                         ('sqs', 'blocks', blocks), ('pii', 'entries', personal)) AS metric (kind, name, value)
    UNION ALL
    SELECT scenario_id, minute, 'pii', pii_type, count(*) FROM logs, unnest(pii_types) AS pii_type
    GROUP BY scenario_id, minute, pii_type
    UNION ALL
    SELECT scenario_id, date_trunc('minute', received_at), 'ingest', 'requests', count(*)
    FROM ingest_receipts WHERE scenario_id = ANY($1) AND stored > 0 GROUP BY 1, 2
), kept AS (
    SELECT scenario_id, "timestamp" AS minute, metric_type AS kind, metric_name AS name, value
    FROM scenario_metrics
    WHERE scenario_id = ANY($1)
      AND (metric_type = 'pii' OR (metric_type, metric_name) IN (
          ('ingest', 'entries'), ('ingest', 'bytes'), ('ingest', 'requests'), ('bedrock', 'tokens'), ('sqs', 'blocks')))
)
SELECT kind, name, minute, recounted.value AS recounted, kept.value AS kept
FROM recounted FULL JOIN kept USING (scenario_id, minute, kind, name)
WHERE coalesce(recounted.value, 0) <> coalesce(kept.value, 0)
"""


async def connect(url: str) -> Any:
    return await asyncpg.connect(url, timeout=CONNECT_SECONDS, command_timeout=QUERY_SECONDS)


async def read_stored(settings: Settings, ledger: ReadLedger) -> tuple[Stored, list[Violation]]:
    """What is there, and what is wrong with it in itself: objects that aren't what the manifest says (I1)."""
    connection = await connect(settings.postgres_owner_url)
    try:
        postgres = await _read_rows(connection, ledger)
        receipts = await _read_receipts(connection, ledger)
        letters = await _read_letters(connection, ledger)
        objects = await connection.fetch(
            "SELECT * FROM archive_objects WHERE scenario_id = ANY($1)", ledger.head.scenario_ids
        )
    finally:
        await connection.close()
    archive, damage = await asyncio.to_thread(_read_objects, open_store(settings), ledger, objects)
    found = [Violation("I1", f"archive objects: {damage}")] if damage.count else []
    return Stored(postgres, archive, receipts, letters), found


async def check_rollups(settings: Settings, ledger: ReadLedger) -> list[Violation]:
    """I5: each minute of each scenario, counted again from the rows."""
    connection = await connect(settings.postgres_owner_url)
    try:
        differing = await connection.fetch(_RECOUNT, ledger.head.scenario_ids)
    finally:
        await connection.close()
    trouble = Trouble()
    for row in differing:
        trouble.add(f"{row['kind']}/{row['name']} of {row['minute']:%H:%M}: {row['kept']} for {row['recounted']}")
    return [Violation("I5", str(trouble))] if trouble.count else []


async def _read_rows(connection: Any, ledger: ReadLedger) -> Tally:
    tally = Tally(ledger, PREVIEW_CHARACTERS)
    async with connection.transaction():
        cursor = connection.cursor(
            "SELECT tenant_id, scenario_id, message_preview, message_hash, attributes::text FROM scenario_logs "
            "WHERE scenario_id = ANY($1) ORDER BY scenario_id, received_at, id",
            ledger.head.scenario_ids,
            prefetch=_ROWS_AT_ONCE,
        )
        async for row in cursor:
            tally.add(*row)
    return tally


async def _read_receipts(connection: Any, ledger: ReadLedger) -> dict[UUID, ReceiptRow]:
    rows = await connection.fetch(
        "SELECT request_id, accepted, stored, dead_lettered, reused FROM ingest_receipts WHERE scenario_id = ANY($1)",
        ledger.head.scenario_ids,
    )
    return {row["request_id"]: ReceiptRow(*row[1:]) for row in rows}


async def _read_letters(connection: Any, ledger: ReadLedger) -> list[LetterRow]:
    rows = await connection.fetch(
        "SELECT request_id, reason, entry_indexes, original FROM dead_letters WHERE scenario_id = ANY($1)",
        ledger.head.scenario_ids,
    )
    token = re.compile(rb"drill=%b\.(\d+)\.(\d+) " % ledger.head.run.encode())
    return [
        LetterRow(
            row["request_id"],
            row["reason"],
            tuple(row["entry_indexes"]),
            tuple((int(number), int(index)) for number, index in token.findall(row["original"])),
        )
        for row in rows
    ]


def _read_objects(store: ObjectStore, ledger: ReadLedger, objects: list[Any]) -> tuple[Tally, Trouble]:
    tally, damage = Tally(ledger, None), Trouble()
    for row in objects:
        key = row["object_key"]
        try:
            content = store.get(key)
        except OSError as error:
            damage.add(f"{key} can't be read: {type(error).__name__}")
            continue
        if sha256(content).digest() != row["sha256"] or len(content) != row["size_bytes"]:
            damage.add(f"{key} isn't what the manifest says")
            continue
        table = pq.read_table(io.BytesIO(content))
        if table.num_rows != row["row_count"] or not table.schema.equals(ARCHIVE_SCHEMA):
            damage.add(f"{key} holds {table.num_rows} rows for {row['row_count']}, or other columns")
            continue
        for values in zip(*(table[name].to_pylist() for name in _COLUMNS), strict=True):
            tally.add(*values)
    return tally, damage
