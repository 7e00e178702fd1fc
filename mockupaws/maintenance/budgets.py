"""Budget checks: every few minutes each budget is looked at, and what is newly reached is told, once.

Reads rollups, scenarios and budgets of all tenants as the owner; writes `budget_alerts`.

1. An alert is a row first, in its own statement: one for each threshold, month and version of the budget, so that
   neither a second check, nor a second process, nor an amount that falls and rises again makes another.
2. Then it is sent. An alert is taken by putting off its next attempt; one that was sent and not noted (a crash between)
   is sent again with the same `alert_id`. What can't be delivered is tried again after 1, 2, 4, … minutes,
   `MAX_ATTEMPTS` times; webhook and e-mail each on their own.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec

from mockupaws.api.summaries import measured_peaks, measured_quantities
from mockupaws.cost_model.architecture import architecture_of
from mockupaws.cost_model.budgets import INCOMPLETE, reached, standing
from mockupaws.cost_model.price_file import prices_in_force
from mockupaws.maintenance.notify import NotSentError, mail_alert, post_alert
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.errors import PipelineError
from mockupaws.runtime.outgoing_url import OutgoingCallError, OutgoingCalls, UrlRefusedError, parse_networks
from mockupaws.runtime.postgres import Connection, load_queries, owner_connection
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import BUDGET_ALERTS, BUDGET_CHECK_FAILURES, get_logger
from mockupaws.runtime.upkeep import repeat
from mockupaws.schemas.identifiers import new_request_id

MAX_ATTEMPTS = 8
ALERTS_AT_ONCE = 50
"""Sent side by side: one slow webhook holds up no other alert."""
_ROUNDS = 20
KEPT_DAYS = 400
_TIMEOUT_SECONDS = 30
_QUERIES = load_queries("mockupaws.maintenance", "budgets.sql")

log = get_logger(__name__)


class BudgetChecks:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = SystemClock()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. What fails is counted, logged and tried at the next check."""
        await repeat(stop, self._settings.budget_check_seconds, self._clock, self._check, _note_failure)

    async def _check(self, now: datetime) -> None:
        await check_budgets(self._settings, now)


def _note_failure(error: Exception) -> None:
    BUDGET_CHECK_FAILURES.labels(type(error).__name__).inc()
    log.warning("budget_check_failed", error=type(error).__name__)


async def check_budgets(settings: Settings, now: datetime) -> int:
    """One check and one round of sending; answers how many alerts are new. Safe to run twice at once."""
    async with owner_connection(settings, "mockupaws-budgets", _TIMEOUT_SECONDS) as connection:
        new = 0
        for row in await connection.fetch(_QUERIES["budgets_to_check"]):
            new += await _check(connection, settings, row, now)
        await _send_alerts(connection, settings, now)
        await connection.execute(_QUERIES["forget_alerts"], now - timedelta(days=KEPT_DAYS))
        return new


async def _check(connection: Connection, settings: Settings, row: asyncpg.Record, now: datetime) -> int:
    """A budget that can't be looked at is counted and left for the next check; the others are looked at."""
    since = now - timedelta(days=row["window_days"])
    try:
        architecture = architecture_of(msgspec.json.decode(row["architecture"]))
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            quantities = await measured_quantities(connection, row["scenario_id"], since, now)
            peaks = await measured_peaks(connection, row["scenario_id"], since, now)
        stands = standing(row["metric"], row["limit"], quantities, peaks, architecture, prices_in_force(settings))
    except Exception as error:  # of one tenant's budget: it may end no other's
        if connection.is_closed():
            raise
        BUDGET_CHECK_FAILURES.labels(type(error).__name__).inc()
        log.warning("budget_not_checked", budget=str(row["id"]), error=type(error).__name__)
        return 0
    new = 0
    for threshold in reached(stands, row["thresholds"]):
        raised = await connection.fetchval(
            _QUERIES["raise_alert"],
            row["tenant_id"],
            new_request_id(int(now.timestamp() * 1e6), secrets.token_bytes(10)),
            row["id"],
            row["version"],
            now.date().replace(day=1),
            threshold,
            stands.amount,
            stands.limit,
            stands.complete,
            now,
        )
        if raised:
            BUDGET_ALERTS.labels("raised").inc()
            new += 1
    return new


async def _send_alerts(connection: Connection, settings: Settings, now: datetime) -> None:
    calls = OutgoingCalls(parse_networks(settings.outgoing_allowed_networks))
    for _ in range(_ROUNDS):
        rows = await connection.fetch(_QUERIES["take_alerts"], now, ALERTS_AT_ONCE)
        told = await asyncio.gather(*(_tell(calls, settings, row, now) for row in rows))
        for row, (webhook_at, email_at, over, errors) in zip(rows, told, strict=True):
            BUDGET_ALERTS.labels("sent" if not errors else ("given_up" if over else "failed")).inc()
            noted = "; ".join(errors)[:500]
            await connection.execute(
                _QUERIES["note_sending"], row["tenant_id"], row["id"], webhook_at, email_at, over, noted
            )
        if len(rows) < ALERTS_AT_ONCE:
            return


async def _tell(
    calls: OutgoingCalls, settings: Settings, row: asyncpg.Record, now: datetime
) -> tuple[datetime | None, datetime | None, bool, list[str]]:
    """When webhook and e-mail were sent, whether it is over, and what failed. Raises nothing but CancelledError."""
    errors: list[str] = []
    refused = False
    webhook_at, email_at = row["webhook_sent_at"], row["email_sent_at"]
    if row["webhook_url"] and webhook_at is None:
        try:
            await post_alert(calls, row["webhook_url"], alert_document(row), row["webhook_secret"], now)
            webhook_at = now
        except UrlRefusedError as error:
            errors.append(str(error))
            refused = True
        except (OutgoingCallError, NotSentError) as error:
            errors.append(str(error))
        except Exception as error:  # of one tenant's alert: it may end no other's
            errors.append(f"the webhook can't be called ({type(error).__name__})")
    if row["emails"] and email_at is None:
        try:
            await mail_alert(settings, list(row["emails"]), *_letter(row))
            email_at = now
        except PipelineError as error:
            errors.append(str(error))
        except Exception as error:
            errors.append(f"the e-mail can't be sent ({type(error).__name__})")
    waiting = (row["webhook_url"] and webhook_at is None and not refused) or (row["emails"] and email_at is None)
    return webhook_at, email_at, not waiting or row["attempts"] >= MAX_ATTEMPTS, errors


def alert_document(row: asyncpg.Record) -> dict[str, Any]:
    """What a webhook gets. Amounts are decimal text; `alert_id` tells a repeat from another alert."""
    return {
        "alert_id": str(row["id"]),
        "type": "budget.incomplete" if row["threshold"] == INCOMPLETE else "budget.threshold_reached",
        "budget": {"id": str(row["budget_id"]), "name": row["name"], "metric": row["metric"]},
        "scenario": {"id": str(row["scenario_id"]), "name": row["scenario"]},
        "threshold_percent": row["threshold"],
        "amount": format(row["amount"], "f"),
        "limit": format(row["limit"], "f"),
        "complete": row["complete"],
        "month": row["period"].isoformat()[:7],
        "raised_at": row["created_at"].isoformat(),
    }


def _letter(row: asyncpg.Record) -> tuple[str, str]:
    amount, limit = row["amount"].quantize(Decimal("0.01")), row["limit"].quantize(Decimal("0.01"))
    if row["threshold"] == INCOMPLETE:
        what = "something has no price, so the projected cost is too low"
    else:
        what = f"{row['threshold']} % of the limit is reached"
    text = (
        f"Budget {row['name']} of scenario {row['scenario']}: {what}.\n\n{row['metric']}: {amount:,f} of {limit:,f}\n"
        f"month: {row['period'].isoformat()[:7]}\nalert: {row['id']}\n"
    )
    return f"Budget {row['name']}: {what}", text
