"""Scenarios: what a tenant's logs are thought to run through. Each change makes a new version."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from mockupaws.api.audit import record
from mockupaws.api.cursor import Position
from mockupaws.api.databases import DATA_THROUGH
from mockupaws.api.errors import RefusedError
from mockupaws.api.paging import cursor_after, position_of
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.cost_model.architecture import (
    Architecture,
    ArchitectureError,
    architecture_document,
    architecture_of,
    changed_architecture,
    preset_architecture,
)
from mockupaws.runtime.postgres import Connection
from mockupaws.schemas.identifiers import new_request_id

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Description = Annotated[str, Meta(max_length=10_000)]


class NewScenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Name
    description: Description = ""
    region: str | None = None
    """Short for `architecture.region`."""
    preset: str | None = None
    """Name of an architecture to start from: see `/api/v1/presets`."""
    architecture: dict[str, Any] = msgspec.field(default_factory=dict)
    """See the schema Architecture; what is left out has the preset's value, or its default."""


class ScenarioChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    version: int | None = None
    """The version that was read; `If-Match` says the same."""
    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    architecture: dict[str, Any] | UnsetType = UNSET
    """A part of an architecture, merged into the stored one; null sets a field to its default."""


class ScenarioQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: str | None = None


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    description: str
    region: str
    architecture: dict[str, Any]
    version: int
    created_at: datetime
    updated_at: datetime


class ScenarioPage(msgspec.Struct, frozen=True, kw_only=True):
    scenarios: list[Scenario]
    next_cursor: str | None


async def create_scenario(call: Call) -> Response:
    body: NewScenario = call.body
    document = dict(body.architecture)
    if body.region is not None and document.setdefault("region", body.region) != body.region:
        raise RefusedError("invalid_body", "`$.region` and `$.architecture.region` differ: leave one out")
    architecture = _checked(document, body.preset)
    services = call.services
    scenario_id = new_request_id(services.clock.now_us(), secrets.token_bytes(10))
    async with services.databases.write(call.tenant_id) as connection:
        row = await connection.fetchrow(
            SQL["insert_scenario"],
            scenario_id,
            call.tenant_id,
            body.name,
            body.description,
            architecture.region,
            _stored(architecture),
        )
        assert row is not None
        await record(call, connection, "scenario.created", scenario_id, after=scenario_of(row))
    return _answer(row, 201, {"Location": f"/api/v1/scenarios/{scenario_id}"})


async def list_scenarios(call: Call) -> Response:
    query: ScenarioQuery = call.query
    binding = f"scenarios/{call.tenant_id}"
    position = position_of(call, binding, query.cursor, "start again without a cursor")
    after = position or (None, None)
    async with call.services.databases.read(call.tenant_id) as reading:
        rows = await reading.connection.fetch(SQL["list_scenarios"], *after, query.limit + 1)
    following = cursor_after(call, binding, rows, query.limit, lambda row: Position(row["created_at"], row["id"]))
    return answer(ScenarioPage(scenarios=[scenario_of(row) for row in rows[: query.limit]], next_cursor=following))


async def get_scenario(call: Call) -> Response:
    async with call.services.databases.read(call.tenant_id) as reading:
        return _answer(await find_scenario(reading.connection, call.id("scenario_id")))


async def change_scenario(call: Call) -> Response:
    change: ScenarioChange = call.body
    wanted = _wanted_version(call, change)
    async with call.services.databases.write(call.tenant_id) as connection:
        row = await find_scenario(connection, call.id("scenario_id"))
        before = scenario_of(row)
        architecture = stored_architecture(row)
        if change.architecture is not UNSET:
            architecture = changed(architecture, change.architecture)
        after = await connection.fetchrow(
            SQL["update_scenario"],
            before.id,
            wanted,
            before.name if change.name is UNSET else change.name,
            before.description if change.description is UNSET else change.description,
            architecture.region,
            _stored(architecture),
        )
        if after is None:
            raise RefusedError("version_conflict", f"the scenario is at version {before.version}: read it again")
        await record(call, connection, "scenario.changed", before.id, before=before, after=scenario_of(after))
    return _answer(after)


async def delete_scenario(call: Call) -> Response:
    async with call.services.databases.write(call.tenant_id) as connection:
        scenario_id = await connection.fetchval(SQL["delete_scenario"], call.id("scenario_id"))
        if scenario_id is None:
            raise _unknown_scenario()
        await record(call, connection, "scenario.deleted", scenario_id)
    return Response(status_code=204)


async def find_scenario(connection: Connection, scenario_id: UUID) -> asyncpg.Record:
    """Another tenant's scenario is as unknown as one that never was."""
    row = await connection.fetchrow(SQL["find_scenario"], scenario_id)
    if row is None:
        raise _unknown_scenario()
    return row


async def find_measured_scenario(connection: Connection, scenario_id: UUID) -> asyncpg.Record:
    """Of which stored traffic is read, with `data_through`: the answer's header says the same."""
    row = await connection.fetchrow(SQL["find_measured_scenario"], scenario_id)
    if row is None:
        raise _unknown_scenario()
    known = [moment for moment in (DATA_THROUGH.get(), row["data_through"]) if moment is not None]
    DATA_THROUGH.set(min(known, default=None))
    return row


def stored_architecture(row: asyncpg.Record) -> Architecture:
    return architecture_of(msgspec.json.decode(row["architecture"]))


def changed(architecture: Architecture, change: dict[str, Any]) -> Architecture:
    try:
        return changed_architecture(architecture, change)
    except ArchitectureError as error:
        raise RefusedError("invalid_body", _under_architecture(error)) from None


def scenario_of(row: asyncpg.Record) -> Scenario:
    architecture = stored_architecture(row)
    return Scenario(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        region=architecture.region,
        architecture=architecture_document(architecture),
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _checked(document: dict[str, Any], preset: str | None) -> Architecture:
    try:
        return architecture_of(document) if preset is None else preset_architecture(preset, document)
    except ArchitectureError as error:
        raise RefusedError("invalid_body", _under_architecture(error)) from None


def _under_architecture(error: ArchitectureError) -> str:
    return str(error).replace("`$", "`$.architecture")


def _stored(architecture: Architecture) -> str:
    return msgspec.json.encode(architecture).decode()


def _answer(row: asyncpg.Record, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return answer(scenario_of(row), status, {"ETag": f'"{row["version"]}"', **(headers or {})})


def _wanted_version(call: Call, change: ScenarioChange) -> int:
    stated = call.request.headers.get("if-match", "").strip('"')
    if change.version is not None:
        return change.version
    if not stated.isdigit():
        raise RefusedError("invalid_body", 'state the version you read: `$.version`, or a header `If-Match: "3"`')
    return int(stated)


def _unknown_scenario() -> RefusedError:
    return RefusedError("not_found", "there is no such scenario")
