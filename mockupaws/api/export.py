"""All matching lines as a stream: NDJSON, CSV or Parquet, in flat memory.

Postgres writes each page as JSON, in one value: a line costs this process a tenth of what a row of its own would. The
other formats are made of that text by Arrow. Each page is a short transaction of its own, so a client that reads slowly
or not at all holds a page in memory and no connection.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq
from starlette.responses import Response, StreamingResponse

from mockupaws.api.audit import record
from mockupaws.api.cursor import Position
from mockupaws.api.errors import RefusedError
from mockupaws.api.logs import (
    LOOK_AT,
    LogFilter,
    arguments_of,
    check_filter,
    is_selective,
    marks_wanted,
    window_of,
)
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call
from mockupaws.api.scenarios import find_scenario
from mockupaws.api.search_blocks import SearchPlan, plan_search, wanted_of

PAGE = 5_000
Format = Literal["ndjson", "csv", "parquet"]
MEDIA_TYPES: dict[Format, str] = {
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
_UTC_US = pa.timestamp("us", tz="UTC")
_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("id", pa.string()),
    ("received_at", _UTC_US),
    ("timestamp", _UTC_US),
    ("message", pa.string()),
    ("message_hash", pa.string()),
    ("source", pa.string()),
    ("level", pa.string()),
    ("size_bytes", pa.int64()),
    ("has_pii", pa.bool_()),
    ("pii_types", pa.list_(pa.string())),
    ("token_count", pa.int64()),
    ("sqs_blocks", pa.int64()),
    ("attributes", pa.string()),
    ("policy_version", pa.int64()),
]
SCHEMA = pa.schema(_COLUMNS)
"""Of CSV and Parquet. `attributes` is JSON text; in NDJSON it is the object itself."""


class ExportQuery(LogFilter, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: Format = "ndjson"


class Writer(Protocol):
    """Makes a stream of pages of JSON lines."""

    def write(self, lines: bytes) -> bytes: ...
    def close(self) -> bytes:
        """What ends the stream."""
        ...


async def export_logs(call: Call) -> Response:
    """An export that can't be recorded in the audit log isn't begun."""
    query: ExportQuery = call.query
    check_filter(query)
    scenario_id = call.id("scenario_id")
    call.services.look_budget.check(call.tenant_id)
    async with call.services.databases.read(call.tenant_id) as reading:
        await find_scenario(reading.connection, scenario_id)
        marks = await marks_wanted(call, reading.connection, query)
    asked = msgspec.structs.replace(query, q=None, value=None, attributes=None)  # what is searched for may be secret
    async with call.services.databases.write(call.tenant_id) as connection:
        await record(call, connection, "logs.exported", scenario_id, details={"filter": asked})
    headers = {"Content-Disposition": f'attachment; filename="{scenario_id}.{query.format}"'}
    return StreamingResponse(_stream(call, scenario_id, marks), headers=headers, media_type=MEDIA_TYPES[query.format])


async def _stream(call: Call, scenario_id: UUID, marks: list[str] | None) -> AsyncIterator[bytes]:
    query: ExportQuery = call.query
    writer = writer_of(query.format)
    async for lines in _pages(call, scenario_id, marks):
        if written := await asyncio.to_thread(writer.write, lines):
            yield written
    if ending := writer.close():
        yield ending


async def _pages(call: Call, scenario_id: UUID, marks: list[str] | None) -> AsyncIterator[bytes]:
    """JSON lines, a page at a time; empty where a page looked at many lines in vain."""
    query: ExportQuery = call.query
    statement = SQL["export_oldest_first" if query.order == "asc" else "export_newest_first"]
    wanted = wanted_of(query.q, query.attributes, marks)
    position: Position | None = None
    while True:
        if await call.services.authenticator.has_ended(call.caller):
            raise RefusedError("unauthenticated", "the credential was revoked while the export ran")
        async with call.services.databases.read(call.tenant_id) as reading:
            connection = reading.connection
            window = window_of(query, position)
            plan = SearchPlan([window], None, 0)
            if wanted is not None:
                plan = await plan_search(connection, scenario_id, wanted, window, newest_first=query.order == "desc")
            await connection.execute(SQL["walk_key"])
            arguments = arguments_of(scenario_id, query, position, PAGE, marks, LOOK_AT, plan.spans)
            row = await connection.fetchrow(statement, *arguments, query.format != "ndjson")
            assert row is not None
        if is_selective(query):
            call.services.look_budget.take(call.tenant_id, row["looked_bytes"] + plan.filter_bytes)
        yield (row["json"] or "").encode()
        if row["lines"] == PAGE or row["looked_at"] >= LOOK_AT:
            position = Position(row["received_at"], row["id"])
        elif plan.end is not None:
            position = plan.end
        else:
            return


def writer_of(form: Format) -> Writer:
    if form == "csv":
        return _Csv()
    return _Parquet() if form == "parquet" else _Ndjson()


class _Ndjson:
    def write(self, lines: bytes) -> bytes:
        return lines + b"\n" if lines else b""

    def close(self) -> bytes:
        return b""


class _Csv:
    """A spreadsheet must not take a logged text for a formula: what would be one begins with an apostrophe."""

    def __init__(self) -> None:
        self._header = True

    def write(self, lines: bytes) -> bytes:
        table = _table(lines)
        names = pc.binary_join(table["pii_types"], " ")
        table = table.set_column(table.schema.get_field_index("pii_types"), "pii_types", names)
        for name in ("message", "source", "level"):
            safe = pc.replace_substring_regex(table[name], pattern=r"^([=+\-@\t\r])", replacement=r"'\1")
            table = table.set_column(table.schema.get_field_index(name), name, safe)
        out = io.BytesIO()
        options = pyarrow.csv.WriteOptions(include_header=self._header)
        pyarrow.csv.write_csv(table, out, options)
        self._header = False
        return out.getvalue()

    def close(self) -> bytes:
        return b""


class _Parquet:
    def __init__(self) -> None:
        self._chunks = _Chunks()
        self._writer = pq.ParquetWriter(pa.PythonFile(self._chunks, "w"), SCHEMA, compression="zstd")

    def write(self, lines: bytes) -> bytes:
        if lines:
            self._writer.write_table(_table(lines))
        return self._chunks.take()

    def close(self) -> bytes:
        self._writer.close()
        return self._chunks.take()


class _Chunks(io.RawIOBase):
    """A file whose bytes are taken away as they come; it only counts how many there were."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        self._size += len(self._pieces[-1])
        return len(self._pieces[-1])

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def _table(lines: bytes) -> Any:
    if not lines:
        return SCHEMA.empty_table()
    return pyarrow.json.read_json(
        io.BytesIO(lines),
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=SCHEMA, unexpected_field_behavior="ignore"),
    )
