"""Budgets: a limit on what a scenario is projected to cost, or to need of a quota, and whom to tell.

`maintenance` checks them and sends the alerts; here they are made, changed, and looked at as they stand now.
"""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from mockupaws.api.audit import record
from mockupaws.api.errors import RefusedError
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.api.scenarios import find_measured_scenario, find_scenario, stored_architecture
from mockupaws.api.summaries import measured_peaks, measured_quantities
from mockupaws.cost_model.bill import bill_document
from mockupaws.cost_model.budgets import Metric, Standing, standing
from mockupaws.cost_model.price_file import prices_in_force
from mockupaws.runtime.outgoing_url import UrlRefusedError, check_plain_url, parse_networks
from mockupaws.runtime.postgres import Connection
from mockupaws.schemas.accounts import normalise_email
from mockupaws.schemas.identifiers import new_request_id

MAX_BUDGETS = 100
"""Of a tenant."""
_MAX_LIMIT = Decimal(10**15)
_MAX_DECIMALS = 6
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Thresholds = Annotated[list[Annotated[int, Meta(ge=1, le=1000)]], Meta(min_length=1, max_length=10)]
Emails = Annotated[list[Annotated[str, Meta(max_length=320)]], Meta(max_length=10)]
WebhookUrl = Annotated[str, Meta(max_length=2048)]
WindowDays = Annotated[int, Meta(ge=1, le=31)]
Version = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class NewBudget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    scenario_id: UUID
    name: Name
    metric: Metric = "month_cost"
    limit: Decimal
    thresholds: Thresholds = msgspec.field(default_factory=lambda: [80, 100])
    """Percent of the limit at which an alert is raised: once for each, in a month."""
    window_days: WindowDays = 7
    """Days before now whose traffic is projected."""
    webhook_url: WebhookUrl = ""
    """Where an alert is posted; it is shown to whoever may read budgets without its query."""
    emails: Emails = []


class BudgetChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    version: Version
    """The version that was read."""
    name: Name | UnsetType = UNSET
    limit: Decimal | UnsetType = UNSET
    thresholds: Thresholds | UnsetType = UNSET
    window_days: WindowDays | UnsetType = UNSET
    webhook_url: WebhookUrl | UnsetType = UNSET
    new_webhook_secret: bool = False
    """Signs with another secret from now on; also what signs the webhook of a budget from before there were secrets."""
    emails: Emails | UnsetType = UNSET


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    scenario_id: UUID
    name: str
    metric: Metric
    limit: Decimal
    thresholds: list[int]
    window_days: int
    webhook_url: str
    webhook_signed: bool
    emails: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


class ChangedBudget(Budget, frozen=True, kw_only=True, omit_defaults=True):
    webhook_secret: str | None = None
    """What its webhook is signed with; only in the answer that made it."""


class Budgets(msgspec.Struct, frozen=True):
    budgets: list[Budget]


class StandingBudget(Budget, frozen=True, kw_only=True):
    standing: Standing
    """What `maintenance` would compare with the limit now."""
    stale: bool


class BudgetAlert(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    month: date
    threshold: int
    """Percent of the limit; 0: something has no price, so that no limit holds."""
    amount: Decimal
    limit: Decimal
    complete: bool
    budget_version: int
    created_at: datetime
    webhook_sent_at: datetime | None
    email_sent_at: datetime | None
    attempts: int
    last_error: str


class BudgetAlerts(msgspec.Struct, frozen=True):
    alerts: list[BudgetAlert]


async def create_budget(call: Call) -> Response:
    body: NewBudget = call.body
    _check_limit(body.limit)
    _check_webhook(call, body.webhook_url)
    secret = _mint_secret() if body.webhook_url else None
    async with call.services.databases.write(call.tenant_id) as connection:
        await find_scenario(connection, body.scenario_id)
        if await connection.fetchval(SQL["count_budgets"]) >= MAX_BUDGETS:
            raise RefusedError("invalid_body", f"a tenant may have {MAX_BUDGETS} budgets: delete one first")
        row = await connection.fetchrow(
            SQL["insert_budget"],
            call.tenant_id,
            new_request_id(call.services.clock.now_us(), secrets.token_bytes(10)),
            body.scenario_id,
            body.name,
            body.metric,
            body.limit,
            sorted(set(body.thresholds)),
            body.window_days,
            body.webhook_url,
            _emails(body.emails),
            secret or "",
        )
        assert row is not None
        await record(call, connection, "budget.created", row["id"], after=_budget(row))
    return answer(_changed(row, secret), 201, {"Location": f"/api/v1/budgets/{row['id']}"})


async def list_budgets(call: Call) -> Response:
    async with call.services.databases.read(call.tenant_id) as reading:
        rows = await reading.connection.fetch(SQL["list_budgets"])
    return answer(bill_document(Budgets([_budget(row) for row in rows])))


async def get_budget(call: Call) -> Response:
    """As it stands now: what `maintenance` would compare with the limit."""
    async with call.services.databases.read(call.tenant_id) as reading:
        connection = reading.connection
        row = await _find(call, connection)
        scenario = await find_measured_scenario(connection, row["scenario_id"])
        now = datetime.fromtimestamp(call.services.clock.now_us() / 1e6, UTC)
        since = now - timedelta(days=row["window_days"])
        quantities = await measured_quantities(connection, row["scenario_id"], since)
        peaks = await measured_peaks(connection, row["scenario_id"], since)
    prices = prices_in_force(call.services.settings)
    stands = standing(row["metric"], row["limit"], quantities, peaks, stored_architecture(scenario), prices)
    standing_now = StandingBudget(**msgspec.structs.asdict(_budget(row)), standing=stands, stale=reading.stale)
    return answer(bill_document(standing_now))


async def change_budget(call: Call) -> Response:
    """A changed budget is a new version: its thresholds are told anew."""
    change: BudgetChange = call.body
    async with call.services.databases.write(call.tenant_id) as connection:
        row = await _find(call, connection)
        before = _budget(row)
        after = msgspec.structs.replace(
            before,
            **{
                name: value
                for name in ("name", "limit", "thresholds", "window_days", "webhook_url", "emails")
                if (value := getattr(change, name)) is not UNSET
            },
        )
        url = row["webhook_url"] if change.webhook_url is UNSET else change.webhook_url
        _check_limit(after.limit)
        if change.webhook_url is not UNSET:
            _check_webhook(call, url)
        secret = _mint_secret() if url and (change.new_webhook_secret or not before.webhook_signed) else None
        changed = await connection.fetchrow(
            SQL["update_budget"],
            before.id,
            change.version,
            after.name,
            after.limit,
            sorted(set(after.thresholds)),
            after.window_days,
            url,
            _emails(after.emails),
            secret,
        )
        if changed is None:
            raise RefusedError("version_conflict", f"the budget is at version {before.version}: read it again")
        await record(call, connection, "budget.changed", before.id, before=before, after=_budget(changed))
    return answer(_changed(changed, secret))


async def delete_budget(call: Call) -> Response:
    async with call.services.databases.write(call.tenant_id) as connection:
        budget_id = await connection.fetchval(SQL["delete_budget"], call.id("budget_id"))
        if budget_id is None:
            raise RefusedError("not_found", "there is no such budget")
        await record(call, connection, "budget.deleted", budget_id)
    return Response(status_code=204)


async def list_alerts(call: Call) -> Response:
    """The last hundred, newest first."""
    async with call.services.databases.read(call.tenant_id) as reading:
        row = await _find(call, reading.connection)
        rows = await reading.connection.fetch(SQL["list_budget_alerts"], row["id"])
    return answer(bill_document(BudgetAlerts([BudgetAlert(**alert) for alert in rows])))


async def _find(call: Call, connection: Connection) -> asyncpg.Record:
    row = await connection.fetchrow(SQL["find_budget"], call.id("budget_id"))
    if row is None:
        raise RefusedError("not_found", "there is no such budget")
    return row


def _check_limit(limit: Decimal) -> None:
    exponent = limit.as_tuple().exponent
    if not isinstance(exponent, int) or not 0 < limit <= _MAX_LIMIT or exponent < -_MAX_DECIMALS:
        raise RefusedError("invalid_body", f"`$.limit` must be above 0, up to {_MAX_LIMIT:,}, with 6 decimals at most")


def _check_webhook(call: Call, url: str) -> None:
    """What would never be called is refused at once: whoever sets it would wait for alerts in vain."""
    if url:
        try:
            check_plain_url(url, parse_networks(call.services.settings.outgoing_allowed_networks))
        except UrlRefusedError as error:
            raise RefusedError("invalid_body", f"`$.webhook_url`: {error}") from None


def _mint_secret() -> str:
    return "whs_" + secrets.token_urlsafe(32)


def _changed(row: asyncpg.Record, secret: str | None) -> Any:
    return bill_document(ChangedBudget(**msgspec.structs.asdict(_budget(row)), webhook_secret=secret))


def _emails(addresses: list[str]) -> list[str]:
    found = []
    for address in addresses:
        normal = normalise_email(address)
        if normal is None:
            raise RefusedError("invalid_body", "`$.emails` holds what is no e-mail address")
        found.append(normal)
    return sorted(set(found))


def _budget(row: asyncpg.Record) -> Budget:
    """The query of a webhook's URL often is its secret: it is kept, and not shown."""
    url, _, query = row["webhook_url"].partition("?")
    return Budget(**{**row, "webhook_url": f"{url}?…" if query else url})
