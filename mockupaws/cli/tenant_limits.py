"""`mockupaws tenants limits`: what a tenant may use, shown and changed; a change is recorded in its audit log."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

import msgspec
import typer

from mockupaws.cli.operated_settings import operated_settings
from mockupaws.cli.record_in_audit_log import append_as_operator, as_owner
from mockupaws.runtime.errors import PermanentError
from mockupaws.runtime.limits.plans import limit_of
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.limits import OVERRIDABLE, TIERS, TenantPlan

MAX_NUMBER = 10**15
_NAMES = ", ".join(OVERRIDABLE)


class LimitsError(PermanentError):
    """The limits can't be what they were asked to be."""


@dataclass(frozen=True, slots=True)
class Change:
    tier: str | None = None
    overrides: dict[str, int] = field(default_factory=dict)
    back_to_tier: tuple[str, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        return self.tier is None and not self.overrides and not self.back_to_tier


def limits(
    tenant: Annotated[str, typer.Argument(help="Id of the tenant, as `tenants list` shows it.")],
    tier: Annotated[str | None, typer.Option(help=f"Puts it into a tier: {', '.join(TIERS)}.")] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", help=f"NAME=NUMBER, a limit of its own; 0: none. Names: {_NAMES}.")
    ] = None,
    unset: Annotated[list[str] | None, typer.Option(help="NAME, back to the number of its tier.")] = None,
) -> None:
    """Shows a tenant's limits, or changes them; in force within 2 s."""
    change = Change(tier, _numbers(override or []), tuple(unset or []))
    settings = operated_settings(os.environ)
    plan = asyncio.run(change_limits(settings, _id(tenant), change))
    typer.echo(f"tier              {plan.tier}")
    for name in OVERRIDABLE:
        limit = limit_of(plan, name, settings)
        shown = "no limit" if limit is None else f"{limit.maximum:,} {limit.unit} a {limit.period}"
        typer.echo(f"{name:<17} {shown}{'  (of its own)' if name in plan.overrides else ''}")


async def change_limits(settings: Settings, tenant_id: UUID, change: Change) -> TenantPlan:
    """The plan as it is then. Raises LimitsError, NotRecordedError."""
    _check(change)
    async with as_owner(settings) as connection, connection.transaction():
        row = await connection.fetchrow("SELECT tier, limit_overrides FROM tenants WHERE id = $1 FOR UPDATE", tenant_id)
        if row is None:
            raise LimitsError("there is no such tenant; `mockupaws tenants list` shows them")
        before: dict[str, int] = msgspec.json.decode(row["limit_overrides"], type=dict[str, int])
        kept = {name: number for name, number in before.items() if name not in change.back_to_tier}
        plan = TenantPlan(tenant_id.bytes, change.tier or row["tier"], kept | change.overrides)
        if not change.changes_nothing:
            await connection.execute(
                "UPDATE tenants SET tier = $2, limit_overrides = $3, limits_changed_at = clock_timestamp() "
                "WHERE id = $1",
                tenant_id,
                plan.tier,
                msgspec.json.encode(plan.overrides).decode(),
            )
            details = {"before": _told(row["tier"], before), "after": _told(plan.tier, plan.overrides)}
            await append_as_operator(
                connection, settings, [tenant_id], "tenant.limits_changed", str(tenant_id), details
            )
    return plan


def _told(tier: str, overrides: dict[str, int]) -> dict[str, Any]:
    return {"tier": tier, "overrides": overrides}


def _check(change: Change) -> None:
    if change.tier is not None and change.tier not in TIERS:
        raise LimitsError(f"--tier must be one of {', '.join(TIERS)}")
    unknown = sorted({*change.overrides, *change.back_to_tier} - set(OVERRIDABLE))
    if unknown:
        raise LimitsError(f"there is no limit {', '.join(unknown)}; there are {_NAMES}")
    if any(not 0 <= number <= MAX_NUMBER for number in change.overrides.values()):
        raise LimitsError("a limit is a whole number, 0 (none) or more")


def _numbers(given: list[str]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for text in given:
        name, _, number = text.partition("=")
        if not number.isascii() or not number.replace("_", "").isdecimal():
            raise LimitsError(f"--set takes NAME=NUMBER, as {OVERRIDABLE[1]}=5000")
        numbers[name] = int(number)
    return numbers


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise LimitsError("the tenant is named by its id; `mockupaws tenants list` shows it") from None
