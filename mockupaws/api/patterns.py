"""What the lines of a scenario mostly say, and what each template of them costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.errors import RefusedError
from mockupaws.api.logs import Instant
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.api.scenarios import find_scenario, stored_architecture
from mockupaws.api.summaries import Window, measured_quantities, measured_series
from mockupaws.cost_model.bill import bill, bill_document
from mockupaws.cost_model.pattern_costs import PatternCost, PatternTotals, price_patterns
from mockupaws.cost_model.price_file import prices_in_force
from mockupaws.schemas.rollups import ROLLUP_METRICS
from mockupaws.stream_processors.mine_patterns import PatternMiner

_DEFAULT_WINDOW = timedelta(days=1)
_MAX_WINDOW = timedelta(days=92)
_MAX_TEMPLATES = 2000
"""Stored templates put together for one answer: the most frequent ones."""
_MINED = 500
_HOUR = timedelta(hours=1)
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
        architecture = stored_architecture(await find_scenario(reading.connection, scenario_id))
        hours = await measured_series(reading.connection, Window(scenario_id, first, last + _HOUR), _ENTRIES, 3600)
        rows = await reading.connection.fetch(
            SQL["patterns"], scenario_id, first, last + _HOUR, *_columns(hours), _MAX_TEMPLATES
        )
        quantities = await measured_quantities(reading.connection, scenario_id, first, last + _HOUR)
    prices = prices_in_force(call.services.settings)
    miner = PatternMiner(_MINED)
    for row in rows:  # most frequent first, so that rare forms of a template join it
        miner.add(row["template"], row["bytes"], row["tokens"], row["sqs_blocks"], row["entries"])
    costs = price_patterns(
        (PatternTotals(p.template, p.entries, p.size_bytes, p.tokens, p.sqs_blocks) for p in miner.patterns()),
        bill(quantities, architecture, prices).month,
    )
    found = Patterns(
        patterns=costs[: query.limit],
        found=len(costs),
        entries=quantities.entries,
        sampled_entries=sum(row["sampled_entries"] for row in rows),
        currency=prices.currency,
        first_hour=first,
        last_hour=last,
        stale=reading.stale,
    )
    return answer(bill_document(found))


def _columns(hours: list[tuple[datetime, int]]) -> tuple[list[datetime], list[int]]:
    return [hour for hour, _ in hours], [entries for _, entries in hours]


def _hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
