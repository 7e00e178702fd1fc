"""The bill of a scenario's measured traffic, and what another architecture would change in it."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from mockupaws.api.routing import Call, answer
from mockupaws.api.scenarios import changed, find_scenario, stored_architecture
from mockupaws.api.summaries import measured_quantities
from mockupaws.cost_model.architecture import Architecture, architecture_document
from mockupaws.cost_model.bill import bill, bill_document
from mockupaws.cost_model.price_file import prices_in_force
from mockupaws.cost_model.quantities import Quantities
from mockupaws.cost_model.what_if import difference


class WhatIf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    architecture: dict[str, Any]
    """What changes, as in a PATCH of the scenario."""


async def get_costs(call: Call) -> Response:
    architecture, quantities, stale = await _measured(call)
    document = bill_document(bill(quantities, architecture, prices_in_force(call.services.settings)))
    return answer({**document, "architecture": architecture_document(architecture), "stale": stale})


async def what_if(call: Call) -> Response:
    """Reads the rollups only, never the lines again; stores nothing."""
    body: WhatIf = call.body
    architecture, quantities, stale = await _measured(call)
    other = changed(architecture, body.architecture)
    prices = prices_in_force(call.services.settings)
    before, after = bill(quantities, architecture, prices), bill(quantities, other, prices)
    return answer(
        {
            "before": bill_document(before),
            "after": bill_document(after),
            "difference": {
                "measured": bill_document(difference(before.measured, after.measured)),
                "month": bill_document(difference(before.month, after.month)),
            },
            "architecture": architecture_document(other),
            "stale": stale,
        }
    )


async def _measured(call: Call) -> tuple[Architecture, Quantities, bool]:
    scenario_id = call.id("scenario_id")
    async with call.services.databases.read(call.tenant_id) as reading:
        row = await find_scenario(reading.connection, scenario_id)
        return stored_architecture(row), await measured_quantities(reading.connection, scenario_id), reading.stale
