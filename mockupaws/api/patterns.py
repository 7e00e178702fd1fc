"""What the lines of a scenario mostly say, and what each template of them costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.errors import RefusedError
from mockupaws.api.logs import Instant
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.api.scenarios import find_measured_scenario, stored_architecture
from mockupaws.api.summaries import Window, measured_quantities, measured_series
from mockupaws.cost_model.bill import bill, bill_document
from mockupaws.cost_model.pattern_costs import PatternCost, PatternTotals, price_patterns
from mockupaws.cost_model.price_file import prices_in_force
from mockupaws.runtime.postgres import Connection
from mockupaws.schemas.rollups import ROLLUP_METRICS
from mockupaws.stream_processors.mine_patterns import Pattern, PatternMiner

_DEFAULT_WINDOW = timedelta(days=1)
_MAX_WINDOW = timedelta(days=92)
_MAX_TEMPLATES = 2000
"""Stored templates put together for one answer: the most frequent ones."""
_MINED = 500
HOUR = timedelta(hours=1)
_ENTRIES = next(metric for metric in ROLLUP_METRICS if metric[:2] == ("ingest", "entries"))


class PatternQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whole hours: the one `from` is in is the first, the one `to` is in the last."""

    from_: Instant | None = msgspec.field(default=None, name="from")
    """Default: a day before `to`."""
    to: Instant | None = None
    """Default: now."""
    limit: Annotated[int, Meta(ge=1, le=_MINED)] = 20


class Patterns(msgspec.Struct, frozen=True, kw_only=True):
    patterns: list[PatternCost]
    """Dearest first."""
    found: int
    """Templates found, of which `limit` are shown."""
    entries: int
    """Stored in these hours: exact."""
    sampled_entries: int
    """Of which so many were looked at; 0 where no sample was taken."""
    currency: str
    first_hour: datetime
    last_hour: datetime
    stale: bool


async def get_patterns(call: Call) -> Response:
    query: PatternQuery = call.query
    to = query.to or datetime.fromtimestamp(call.services.clock.now_us() / 1e6, UTC)
    since = query.from_ or to - _DEFAULT_WINDOW
    if since > to:
        raise RefusedError("invalid_parameter", "`from` is after `to`")
    if to - since > _MAX_WINDOW:
        raise RefusedError("invalid_parameter", f"`from` may be {_MAX_WINDOW.days} days before `to`")
    first, last = _hour_of(since), _hour_of(to)
    scenario_id = call.id("scenario_id")
    async with call.services.databases.read(call.tenant_id) as reading:
        architecture = stored_architecture(await find_measured_scenario(reading.connection, scenario_id))
        mined, sampled = await stored_patterns(reading.connection, scenario_id, first, last + HOUR)
        quantities = await measured_quantities(reading.connection, scenario_id, first, last + HOUR)
    prices = prices_in_force(call.services.settings)
    costs = price_patterns(
        (PatternTotals(p.template, p.entries, p.size_bytes, p.tokens, p.sqs_blocks) for p in mined),
        bill(quantities, architecture, prices).month,
    )
    found = Patterns(
        patterns=costs[: query.limit],
        found=len(costs),
        entries=quantities.entries,
        sampled_entries=sampled,
        currency=prices.currency,
        first_hour=first,
        last_hour=last,
        stale=reading.stale,
    )
    return answer(bill_document(found))


async def stored_patterns(
    connection: Connection, scenario_id: UUID, since: datetime, to: datetime
) -> tuple[list[Pattern], int]:
    """Templates of the hours from `since` to before `to`, and how many lines they were sampled from."""
    hours = await measured_series(connection, Window(scenario_id, since, to), _ENTRIES, 3600)
    weights = [datetime.fromtimestamp(hour, UTC) for hour, _ in hours], [entries for _, entries in hours]
    rows = await connection.fetch(SQL["patterns"], scenario_id, since, to, *weights, _MAX_TEMPLATES)
    miner = PatternMiner(_MINED)
    for row in rows:  # most frequent first, so that rare forms of a template join it
        miner.add(row["template"], row["bytes"], row["tokens"], row["sqs_blocks"], row["entries"])
    return list(miner.patterns()), sum(row["sampled_entries"] for row in rows)


def _hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
