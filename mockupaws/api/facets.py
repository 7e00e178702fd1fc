"""How a scenario's lines are spread over time, source, level and findings: exact counts of whole hours.

Counted when lines are stored (`scenario_facets`), so a month costs no look at its lines. Only hits that ask for text,
attributes or steps below an hour are counted line by line, and then of so many lines at most.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.errors import RefusedError
from mockupaws.api.logs import LineConditions, LogFilter, Text, attributes_wanted, check_filter
from mockupaws.api.metrics import MAX_POINTS, STEP_PATTERN, step_seconds
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.api.scenarios import find_measured_scenario
from mockupaws.api.summaries import measured_quantities
from mockupaws.runtime.postgres import Connection
from mockupaws.schemas.pii_types import PII_TYPES

MAX_LINES_COUNTED = 100_000
"""Of hits that are counted line by line."""
_MAX_COMBINATIONS = 10_000
_DEFAULT_WINDOW = timedelta(days=1)
_MAX_WINDOW = timedelta(days=366)
_HOUR = timedelta(hours=1)
Field = Literal["source", "level", "pii_type"]


class FacetQuery(LineConditions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whole hours: the one `from` is in is the first, the one `to` is in the last. The default is the day until now."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 20
    """Values of each field, the most frequent first."""


class ValueQuery(FacetQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    field: Field = "source"
    starts_with: Text = ""


class HitQuery(LineConditions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Steps of whole hours without `q` and `attributes` count whole hours, as facets do."""

    q: Text | None = None
    attributes: Annotated[str, Meta(max_length=2000)] | None = None
    step: Annotated[str, Meta(pattern=STEP_PATTERN, examples=["1h", "1d"])] = "1h"


class FieldValue(msgspec.Struct, frozen=True):
    value: str | None
    """null: of the sources that aren't told apart, since an hour had too many."""
    entries: int


class Facets(msgspec.Struct, frozen=True, kw_only=True):
    entries: int
    fields: dict[Field, list[FieldValue]]
    """A line with findings of two types counts under both."""
    complete: bool
    """False: there are more than 10,000 combinations; the counts are of the most frequent ones."""
    first_hour: datetime
    last_hour: datetime
    stale: bool


class Values(msgspec.Struct, frozen=True, kw_only=True):
    field: Field
    values: list[FieldValue]
    found: int
    complete: bool
    stale: bool


class SourceFindings(msgspec.Struct, frozen=True):
    source: str | None
    entries: int
    pii_entries: int
    types: dict[str, int]


class PiiSummary(msgspec.Struct, frozen=True, kw_only=True):
    entries: int
    pii_entries: int
    types: dict[str, int]
    """Lines with at least one finding of the type."""
    sources: list[SourceFindings]
    """The ones with most findings first."""
    complete: bool
    first_hour: datetime
    last_hour: datetime
    stale: bool


class Hit(msgspec.Struct, frozen=True):
    timestamp: datetime
    entries: int


class Hits(msgspec.Struct, frozen=True, kw_only=True):
    step_seconds: int
    hits: list[Hit]
    """Steps without lines are left out."""
    entries: int
    stale: bool


class _Spread(msgspec.Struct, frozen=True, kw_only=True):
    rows: list[tuple[str | None, str, list[str], int]]
    complete: bool
    first: datetime
    last: datetime
    stale: bool


async def get_facets(call: Call) -> Response:
    spread = await _read_spread(call, call.query)
    return answer(
        Facets(
            entries=sum(row[3] for row in spread.rows),
            fields={
                field: _values(_count(spread, field), call.query.limit) for field in ("source", "level", "pii_type")
            },
            complete=spread.complete,
            first_hour=spread.first,
            last_hour=spread.last,
            stale=spread.stale,
        )
    )


async def get_values(call: Call) -> Response:
    query: ValueQuery = call.query
    spread = await _read_spread(call, query)
    counts = _count(spread, query.field)
    found = {value: n for value, n in counts.items() if (value or "").startswith(query.starts_with)}
    values = _values(Counter(found), query.limit)
    return answer(
        Values(field=query.field, values=values, found=len(found), complete=spread.complete, stale=spread.stale)
    )


async def get_pii_summary(call: Call) -> Response:
    spread = await _read_spread(call, call.query)
    entries: Counter[str | None] = Counter()
    with_findings: Counter[str | None] = Counter()
    types: dict[str | None, Counter[str]] = {}
    for source, _, names, count in spread.rows:
        entries[source] += count
        with_findings[source] += count if names else 0
        types.setdefault(source, Counter()).update(dict.fromkeys(names, count))
    totals: Counter[str] = Counter()
    for counted in types.values():
        totals.update(counted)
    dearest = sorted(entries, key=lambda source: (-with_findings[source], source or ""))[: call.query.limit]
    return answer(
        PiiSummary(
            entries=entries.total(),
            pii_entries=with_findings.total(),
            types=dict(totals.most_common()),
            sources=[SourceFindings(s, entries[s], with_findings[s], dict(types[s].most_common())) for s in dearest],
            complete=spread.complete,
            first_hour=spread.first,
            last_hour=spread.last,
            stale=spread.stale,
        )
    )


async def get_hits(call: Call) -> Response:
    query: HitQuery = call.query
    check_filter(LogFilter(pii_type=query.pii_type, attributes=query.attributes))
    step = step_seconds(query.step)
    since, to = _window(call, query.from_, query.to)
    if (to - since).total_seconds() / step > MAX_POINTS:
        raise RefusedError("invalid_parameter", f"more than {MAX_POINTS:,} steps: use a larger `step`")
    scenario_id = call.id("scenario_id")
    conditions = query.source, query.level, query.has_pii, query.pii_type, float(step)
    async with call.services.databases.read(call.tenant_id) as reading:
        await find_measured_scenario(reading.connection, scenario_id)
        if step % 3600 == 0 and query.q is None and query.attributes is None:
            window = _hour_of(since), _hour_of(to) + _HOUR
            rows = await reading.connection.fetch(SQL["hits_by_hour"], scenario_id, *window, *conditions)
        else:
            await _check_lines(reading.connection, scenario_id, since, to)
            rows = await reading.connection.fetch(
                SQL["hits_by_line"], scenario_id, since, to, *conditions, query.q, attributes_wanted(query.attributes)
            )
    hits = [Hit(*row.values()) for row in rows]
    return answer(Hits(step_seconds=step, hits=hits, entries=sum(hit.entries for hit in hits), stale=reading.stale))


async def _check_lines(connection: Connection, scenario_id: UUID, since: datetime, to: datetime) -> None:
    minute = timedelta(minutes=1)
    first = since.replace(second=0, microsecond=0)
    lines = (await measured_quantities(connection, scenario_id, first, to + minute)).entries
    if lines > MAX_LINES_COUNTED:
        raise RefusedError(
            "too_much_to_look_at",
            f"the window holds {lines:,} lines, and {MAX_LINES_COUNTED:,} can be counted one by one: "
            "narrow `from` and `to`, or leave out `q` and `attributes` and use a `step` of whole hours",
        )


async def _read_spread(call: Call, query: FacetQuery) -> _Spread:
    if query.pii_type is not None and query.pii_type not in PII_TYPES:
        raise RefusedError("invalid_parameter", f"`pii_type` must be one of {', '.join(PII_TYPES)}")
    since, to = _window(call, query.from_, query.to)
    first, last = _hour_of(since), _hour_of(to)
    scenario_id = call.id("scenario_id")
    async with call.services.databases.read(call.tenant_id) as reading:
        await find_measured_scenario(reading.connection, scenario_id)
        rows = await reading.connection.fetch(
            SQL["facets"],
            scenario_id,
            first,
            last + _HOUR,
            query.source,
            query.level,
            query.has_pii,
            query.pii_type,
            _MAX_COMBINATIONS + 1,
        )
    return _Spread(
        rows=[tuple(row) for row in rows[:_MAX_COMBINATIONS]],
        complete=len(rows) <= _MAX_COMBINATIONS,
        first=first,
        last=last,
        stale=reading.stale,
    )


def _window(call: Call, from_: datetime | None, to: datetime | None) -> tuple[datetime, datetime]:
    to = to or datetime.fromtimestamp(call.services.clock.now_us() / 1e6, UTC)
    since = from_ or to - _DEFAULT_WINDOW
    if since > to:
        raise RefusedError("invalid_parameter", "`from` is after `to`")
    if to - since > _MAX_WINDOW:
        raise RefusedError("invalid_parameter", f"`from` may be {_MAX_WINDOW.days} days before `to`")
    return since, to


def _count(spread: _Spread, field: Field) -> Counter[str | None]:
    counts: Counter[str | None] = Counter()
    for source, level, types, entries in spread.rows:
        values: list[str | None] = [*types] if field == "pii_type" else [source if field == "source" else level]
        for value in values:
            counts[value] += entries
    return counts


def _values(counts: Counter[str | None], limit: int) -> list[FieldValue]:
    return [FieldValue(value, entries) for value, entries in counts.most_common(limit)]


def _hour_of(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
