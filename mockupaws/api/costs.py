"""The bill of a scenario's measured traffic: as it is, under another architecture, beside another scenario's, which
input moves it most, and what to change. All from the rollups: no line is read again, nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from starlette.responses import Response

from mockupaws.api.logs import Instant
from mockupaws.api.paging import check_range
from mockupaws.api.patterns import HOUR, stored_patterns
from mockupaws.api.routing import Call, answer
from mockupaws.api.scenarios import changed, find_measured_scenario, stored_architecture
from mockupaws.api.summaries import measured_quantities
from mockupaws.cost_model.architecture import Architecture, architecture_document
from mockupaws.cost_model.bill import Bill, bill, bill_document
from mockupaws.cost_model.pattern_costs import PatternTotals, price_patterns
from mockupaws.cost_model.price_file import prices_in_force
from mockupaws.cost_model.projection import project_month
from mockupaws.cost_model.quantities import Quantities
from mockupaws.cost_model.sensitivity import influences
from mockupaws.cost_model.suggestions import suggestions
from mockupaws.cost_model.what_if import difference
from mockupaws.runtime.postgres import Connection

_TEMPLATE_DAYS = 7
_MILLION = 1_000_000


class CostQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Minutes that count, `from` included and `to` not; default: all that was measured."""

    from_: Instant | None = msgspec.field(default=None, name="from")
    to: Instant | None = None


class CompareQuery(CostQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    with_: UUID = msgspec.field(name="with")
    """The other scenario."""


class WhatIf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    architecture: dict[str, Any]
    """What changes, as in a PATCH of the scenario."""


@dataclass(frozen=True, slots=True)
class MeasuredScenario:
    id: UUID
    name: str
    version: int
    architecture: Architecture
    quantities: Quantities


async def get_costs(call: Call) -> Response:
    measured, stale = await _measured(call)
    costs = bill(measured.quantities, measured.architecture, prices_in_force(call.services.settings))
    architecture = architecture_document(measured.architecture)
    return answer({**bill_document(costs), "architecture": architecture, "stale": stale})


async def what_if(call: Call) -> Response:
    body: WhatIf = call.body
    measured, stale = await _measured(call)
    other = changed(measured.architecture, body.architecture)
    prices = prices_in_force(call.services.settings)
    before = bill(measured.quantities, measured.architecture, prices)
    after = bill(measured.quantities, other, prices)
    return answer({**_differences(before, after), "architecture": architecture_document(other), "stale": stale})


async def compare_costs(call: Call) -> Response:
    """Two scenarios, each with its own traffic and architecture; for a million lines too, since traffic differs."""
    query: CompareQuery = call.query
    prices = prices_in_force(call.services.settings)
    async with call.services.databases.read(call.tenant_id) as reading:
        one = await measure_scenario(reading.connection, call.id("scenario_id"), query)
        other = await measure_scenario(reading.connection, query.with_, query)
    before = bill(one.quantities, one.architecture, prices)
    after = bill(other.quantities, other.architecture, prices)
    sides = {
        name: {"scenario_id": side.id, "name": side.name, "architecture": architecture_document(side.architecture)}
        for name, side in (("one", one), ("other", other))
    }
    per_million = {
        name: bill_document(costs.month.total.times(_per_million(costs)))
        for name, costs in (("one", before), ("other", after))
    }
    document = {**_differences(before, after), **sides, "month_per_million_lines": per_million}
    return answer({**document, "stale": reading.stale})


async def get_sensitivity(call: Call) -> Response:
    measured, stale = await _measured(call)
    prices = prices_in_force(call.services.settings)
    month = project_month(measured.quantities, measured.architecture.growth)
    found = influences(measured.quantities, measured.architecture, prices, month)
    total = bill(measured.quantities, measured.architecture, prices, month).month.total
    return answer(
        {
            "currency": prices.currency,
            "month": bill_document(total),
            "influences": [bill_document(influence) for influence in found],
            "stale": stale,
        }
    )


async def get_suggestions(call: Call) -> Response:
    scenario_id = call.id("scenario_id")
    now = datetime.fromtimestamp(call.services.clock.now_us() / 1e6, UTC)
    async with call.services.databases.read(call.tenant_id) as reading:
        measured = await measure_scenario(reading.connection, scenario_id, call.query)
        since = now - timedelta(days=_TEMPLATE_DAYS)
        found, _ = await stored_patterns(reading.connection, scenario_id, since, now + HOUR)
    prices = prices_in_force(call.services.settings)
    month = project_month(measured.quantities, measured.architecture.growth)
    costs = bill(measured.quantities, measured.architecture, prices, month).month
    totals = [PatternTotals(p.template, p.entries, p.size_bytes, p.tokens, p.sqs_blocks) for p in found]
    advice = suggestions(measured.quantities, measured.architecture, prices, month, price_patterns(totals, costs))
    return answer(
        {
            "currency": prices.currency,
            "month": bill_document(costs.total),
            "suggestions": [bill_document(suggestion) for suggestion in advice],
            "stale": reading.stale,
        }
    )


async def measure_scenario(connection: Connection, scenario_id: UUID, query: CostQuery) -> MeasuredScenario:
    """Raises RefusedError where there is no such scenario, or the window is upside down."""
    check_range(query)
    row = await find_measured_scenario(connection, scenario_id)
    quantities = await measured_quantities(connection, scenario_id, query.from_, query.to)
    return MeasuredScenario(row["id"], row["name"], row["version"], stored_architecture(row), quantities)


async def _measured(call: Call) -> tuple[MeasuredScenario, bool]:
    query = call.query if isinstance(call.query, CostQuery) else CostQuery()
    async with call.services.databases.read(call.tenant_id) as reading:
        return await measure_scenario(reading.connection, call.id("scenario_id"), query), reading.stale


def _differences(before: Bill, after: Bill) -> dict[str, Any]:
    return {
        "before": bill_document(before),
        "after": bill_document(after),
        "difference": {
            "measured": bill_document(difference(before.measured, after.measured)),
            "month": bill_document(difference(before.month, after.month)),
        },
    }


def _per_million(costs: Bill) -> Decimal:
    lines = costs.projection.lines_likely
    return Decimal(_MILLION) / lines if lines else Decimal(0)
