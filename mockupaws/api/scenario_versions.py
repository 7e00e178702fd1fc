"""Architectures to start from, and what a scenario was in each of its versions. The audit log tells who changed it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import asyncpg
import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.errors import RefusedError
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.api.scenarios import find_scenario, stored_architecture
from mockupaws.cost_model.architecture import PRESETS, architecture_document, preset_architecture

_BEYOND_ALL = 2**31 - 1


class ScenarioVersionQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    before: Annotated[int, Meta(ge=1, le=_BEYOND_ALL)] = _BEYOND_ALL
    """Only versions below this one."""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class ScenarioVersion(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    name: str
    description: str
    architecture: dict[str, Any]
    created_at: datetime


class ScenarioVersions(msgspec.Struct, frozen=True):
    versions: list[ScenarioVersion]


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    architecture: dict[str, Any]


class Presets(msgspec.Struct, frozen=True):
    presets: list[Preset]


async def list_presets(call: Call) -> Response:
    made = [Preset(name=name, architecture=architecture_document(preset_architecture(name))) for name in PRESETS]
    return answer(Presets(made))


async def list_scenario_versions(call: Call) -> Response:
    query: ScenarioVersionQuery = call.query
    scenario_id = call.id("scenario_id")
    async with call.services.databases.read(call.tenant_id) as reading:
        await find_scenario(reading.connection, scenario_id)
        rows = await reading.connection.fetch(SQL["scenario_versions"], scenario_id, query.before, query.limit)
    return answer(ScenarioVersions([_version(row) for row in rows]))


async def get_scenario_version(call: Call) -> Response:
    number = call.request.path_params["version"]
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise RefusedError("not_found", "there is no such version")
    scenario_id = call.id("scenario_id")
    async with call.services.databases.read(call.tenant_id) as reading:
        await find_scenario(reading.connection, scenario_id)
        row = await reading.connection.fetchrow(SQL["scenario_version"], scenario_id, int(number))
    if row is None:
        raise RefusedError("not_found", "there is no such version")
    return answer(_version(row))


def _version(row: asyncpg.Record) -> ScenarioVersion:
    return ScenarioVersion(
        version=row["version"],
        name=row["name"],
        description=row["description"],
        architecture=architecture_document(stored_architecture(row)),
        created_at=row["created_at"],
    )
