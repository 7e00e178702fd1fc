"""All matching lines as a stream: NDJSON, CSV or Parquet, in flat memory.

Postgres writes each page as JSON or CSV, in one value: a line costs this process a tenth of what a row of its own
would. Both are compressed for whoever takes that; Parquet, made of the JSON by Arrow, is compressed in itself. Each
page is a short transaction of its own, so a client that reads slowly or not at all holds two pages in memory and no
connection: the next one is read while one is written and sent. Who reads nothing for a minute is let go
(runtime/http_edge.py), and a query that is under way is cancelled with its client.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec
import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
from starlette.responses import Response

from mockupaws.api.audit import record
from mockupaws.api.compression import Compressor, compressor_of, encoding_of
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
from mockupaws.api.scenarios import find_measured_scenario
from mockupaws.api.search_blocks import SearchPlan, plan_search, wanted_of
from mockupaws.api.streaming import Stream

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
    """Makes a stream of pages of lines."""

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
        await find_measured_scenario(reading.connection, scenario_id)
        marks = await marks_wanted(call, reading.connection, query)
    asked = msgspec.structs.replace(query, q=None, value=None, attributes=None)  # what is searched for may be secret
    async with call.services.databases.write(call.tenant_id) as connection:
        await record(call, connection, "logs.exported", scenario_id, details={"filter": asked})
    headers = {"Content-Disposition": f'attachment; filename="{scenario_id}.{query.format}"'}
    writer = writer_of(query.format)
    if query.format != "parquet":
        headers["Vary"] = "Accept-Encoding, Origin"  # a route's own takes the place of what the edge would say
        if (encoding := encoding_of(call.request.headers.get("accept-encoding", ""))) is not None:
            headers["Content-Encoding"] = encoding
            writer = _Compressed(writer, compressor_of(encoding))
    return Stream(_stream(call, scenario_id, marks, writer), MEDIA_TYPES[query.format], headers)


async def _stream(call: Call, scenario_id: UUID, marks: list[str] | None, writer: Writer) -> AsyncGenerator[bytes]:
    async with aclosing(_one_ahead(_pages(call, scenario_id, marks))) as pages:
        async for lines in pages:
            if written := await asyncio.to_thread(writer.write, lines):
                yield written
    if ending := writer.close():
        yield ending


async def _one_ahead(pages: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Reads the next page while one is written and sent."""
    reading = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await reading) is not None:
            reading = asyncio.ensure_future(anext(pages, None))
            yield page
    finally:
        reading.cancel()
        reading.add_done_callback(_nobody_waits_for)


def _nobody_waits_for(reading: asyncio.Future[bytes | None]) -> None:
    if not reading.cancelled():
        reading.exception()  # asked for, so that it isn't told as one that nobody has seen


async def _pages(call: Call, scenario_id: UUID, marks: list[str] | None) -> AsyncGenerator[bytes]:
    """Lines of JSON or CSV, a page at a time; empty where a page looked at many lines in vain."""
    query: ExportQuery = call.query
    form = "csv" if query.format == "csv" else "json"
    order = "oldest_first" if query.order == "asc" else "newest_first"
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
            if is_selective(query):
                lines = "logs"
                arguments = arguments_of(scenario_id, query, position, PAGE, marks, LOOK_AT, plan.spans)
            else:
                lines = "all"
                arguments = (scenario_id, query.from_, query.to, *(position or (None, None)), PAGE)
            statement = SQL[f"export_{lines}_{order}_as_{form}"]
            row = await connection.fetchrow(statement, *arguments, query.format != "ndjson")
            assert row is not None
        if is_selective(query):
            call.services.look_budget.take(call.tenant_id, row["looked_bytes"] + plan.looked_bytes)
        yield (row["text"] or "").encode()
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
    def __init__(self) -> None:
        self._header = ",".join(f'"{name}"' for name in SCHEMA.names).encode() + b"\n"

    def write(self, lines: bytes) -> bytes:
        header, self._header = self._header, b""
        return header + lines + b"\n" if lines else header

    def close(self) -> bytes:
        return b""


class _Compressed:
    def __init__(self, writer: Writer, compressor: Compressor) -> None:
        self._writer = writer
        self._compressor = compressor

    def write(self, lines: bytes) -> bytes:
        written = self._writer.write(lines)
        return self._compressor.compress(written) if written else b""

    def close(self) -> bytes:
        return self._compressor.compress(self._writer.close()) + self._compressor.close()


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
