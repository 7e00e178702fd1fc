"""Estimates that are kept: what a bill was made of, under an id, and the bill made of it again."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.audit import record
from mockupaws.api.costs import CostQuery, measure_scenario
from mockupaws.api.cursor import Position
from mockupaws.api.errors import RefusedError
from mockupaws.api.paging import cursor_after, position_of
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.api.scenarios import find_scenario
from mockupaws.cost_model.architecture import architecture_document
from mockupaws.cost_model.bill import bill_document
from mockupaws.cost_model.price_file import prices_in_force
from mockupaws.cost_model.snapshot import ID_PREFIX, decode_snapshot, snapshot_of

_ID = re.compile(ID_PREFIX + "[0-9a-f]{32}")


class NewEstimate(CostQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    note: Annotated[str, Meta(max_length=1000)] = ""
    """What it is for, for whoever finds it later."""


class EstimateQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: str | None = None


class EstimateRow(msgspec.Struct, frozen=True, kw_only=True):
    estimate_id: str
    scenario_id: UUID
    scenario_version: int
    note: str
    created_at: datetime
    created_by: str


class EstimatePage(msgspec.Struct, frozen=True, kw_only=True):
    estimates: list[EstimateRow]
    next_cursor: str | None


async def create_estimate(call: Call) -> Response:
    """The same measures, architecture and prices have the same id: the first to keep them is the one that stays."""
    body: NewEstimate = call.body
    scenario_id = call.id("scenario_id")
    async with call.services.databases.read(call.tenant_id) as reading:
        measured = await measure_scenario(reading.connection, scenario_id, body)
    snapshot = snapshot_of(measured.quantities, measured.architecture, prices_in_force(call.services.settings))
    async with call.services.databases.write(call.tenant_id) as connection:
        row = await connection.fetchrow(
            SQL["keep_estimate"],
            call.tenant_id,
            snapshot.estimate_id,
            scenario_id,
            measured.version,
            body.note,
            snapshot.encode().decode(),
            call.caller.subject,
        )
        details = {"scenario": str(scenario_id), "new": row is not None}
        await record(call, connection, "estimate.kept", snapshot.estimate_id, details=details)
        if row is None:
            row = await connection.fetchrow(SQL["find_estimate"], snapshot.estimate_id)
    assert row is not None
    return _answer(row, 201)


async def get_estimate(call: Call) -> Response:
    estimate_id = call.request.path_params["estimate_id"]
    if not _ID.fullmatch(estimate_id):
        raise RefusedError("not_found", "there is no such estimate")
    async with call.services.databases.read(call.tenant_id) as reading:
        row = await reading.connection.fetchrow(SQL["find_estimate"], estimate_id)
    if row is None:
        raise RefusedError("not_found", "there is no such estimate")
    return _answer(row, 200)


async def list_estimates(call: Call) -> Response:
    query: EstimateQuery = call.query
    scenario_id = call.id("scenario_id")
    binding = f"estimates/{call.tenant_id}/{scenario_id}"
    position = position_of(call, binding, query.cursor, "start again without a cursor")
    async with call.services.databases.read(call.tenant_id) as reading:
        await find_scenario(reading.connection, scenario_id)
        after = position or (None, None)
        rows = await reading.connection.fetch(SQL["list_estimates"], scenario_id, *after, query.limit + 1)
    following = cursor_after(
        call,
        binding,
        rows,
        query.limit,
        lambda row: Position(row["created_at"], UUID(row["id"].removeprefix(ID_PREFIX))),
    )
    return answer(EstimatePage(estimates=[_row(row) for row in rows[: query.limit]], next_cursor=following))


def _row(row: asyncpg.Record) -> EstimateRow:
    return EstimateRow(
        estimate_id=row["id"],
        scenario_id=row["scenario_id"],
        scenario_version=row["scenario_version"],
        note=row["note"],
        created_at=row["created_at"],
        created_by=row["created_by"],
    )


def _answer(row: asyncpg.Record, status: int) -> Response:
    """Computed anew from what was kept: neither later traffic nor newer prices are in it."""
    snapshot = decode_snapshot(row["snapshot"].encode(), row["id"])
    document = msgspec.to_builtins(_row(row)) | bill_document(snapshot.bill())
    headers = {"Location": f"/api/v1/estimates/{row['id']}"} if status == 201 else None
    return answer({**document, "architecture": architecture_document(snapshot.architecture)}, status, headers)
