"""Figures of a scenario from the rollups: series of one metric, and exact totals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.errors import RefusedError
from mockupaws.api.logs import Instant
from mockupaws.api.routing import Call, answer
from mockupaws.api.scenarios import find_measured_scenario, stored_architecture
from mockupaws.api.summaries import (
    Window,
    find_coverage,
    measured_counts,
    measured_series,
    quantities_of,
    totals_of,
)
from mockupaws.cost_model.bill import bill_document
from mockupaws.cost_model.profile import Profile, profile_of
from mockupaws.cost_model.quantities import Quantities
from mockupaws.cost_model.tokenizers import ModelTokens, model_tokens
from mockupaws.schemas.rollups import ROLLUP_METRICS, SHADOW_RULE, RollupMetric, unit_of

MAX_POINTS = 10_000
STEP_PATTERN = r"^[1-9][0-9]{0,6}[smhd]?$"
_DEFAULT_WINDOW = timedelta(days=1)
_SIZES, _TOKENS, _RATES = ("ingest", "bytes"), ("bedrock", "tokens"), ("ingest", "entries")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class SeriesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    name: Annotated[str, Meta(max_length=100)] = "ingest.entries"
    """`<type>.<name>` of the rollup catalogue, such as ingest.entries, bedrock.tokens, sqs.blocks, pii.EMAIL."""
    from_: Instant | None = msgspec.field(default=None, name="from")
    """Default: a day before `to`."""
    to: Instant | None = None
    """Default: now."""
    step: Annotated[str, Meta(pattern=STEP_PATTERN, examples=["5m", "1h", "1d"])] = "1m"
    """Whole minutes: 60, 60s, 5m, 1h, 1d."""


class SummaryQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    from_: Instant | None = msgspec.field(default=None, name="from")
    to: Instant | None = None


class Point(msgspec.Struct, frozen=True):
    timestamp: datetime
    value: int


class Series(msgspec.Struct, frozen=True):
    name: str
    unit: str
    step_seconds: int
    points: list[Point]
    """Steps without traffic are left out."""
    stale: bool


class SizeBucket(msgspec.Struct, frozen=True):
    up_to_bytes: int
    entries: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    requests: int
    entries: int
    bytes: int
    tokens: int
    """Input tokens: reported by the producer, else counted with a public tokenizer."""
    model_tokens: ModelTokens
    """The same as the scenario's model counts them."""
    sqs_blocks: int
    pii_entries: int
    pii: dict[str, int]
    """Lines with at least one finding of the type."""
    sizes: list[SizeBucket]
    first_minute: datetime | None
    last_minute: datetime | None
    active_minutes: int
    data_through: datetime | None
    stale: bool


class ProfileAnswer(Profile, frozen=True, kw_only=True):
    stale: bool


async def get_series(call: Call) -> Response:
    query: SeriesQuery = call.query
    metric = _metric(query.name)
    step = step_seconds(query.step)
    to = query.to or datetime.fromtimestamp(call.services.clock.now_us() / 1e6, UTC)
    since = query.from_ or to - _DEFAULT_WINDOW
    if since > to:
        raise RefusedError("invalid_parameter", "`from` is after `to`")
    if (to - since).total_seconds() / step > MAX_POINTS:
        raise RefusedError("invalid_parameter", f"more than {MAX_POINTS:,} steps: use a larger `step`")
    scenario_id = call.id("scenario_id")
    async with call.services.databases.read(call.tenant_id) as reading:
        await find_measured_scenario(reading.connection, scenario_id)
        points = await measured_series(reading.connection, Window(scenario_id, since, to), metric, step)
    name = f"{metric.metric_type}.{metric.metric_name}"
    shown = ",".join([f'{{"timestamp":"{_moment(start)}","value":{value}}}' for start, value in points])
    encoded = msgspec.Raw(f"[{shown}]".encode())  # a month of hours as objects costs more than reading it
    document = {"name": name, "unit": metric.unit, "step_seconds": step, "points": encoded, "stale": reading.stale}
    return answer(document)  # as Series says


async def get_summary(call: Call) -> Response:
    query = _checked_window(call)
    scenario_id = call.id("scenario_id")
    async with call.services.databases.read(call.tenant_id) as reading:
        scenario = await find_measured_scenario(reading.connection, scenario_id)
        quantities = await totals_of(reading.connection, Window(scenario_id, query.from_, query.to))
    model_id = stored_architecture(scenario).model.id
    return answer(summary_of(quantities, model_id, scenario["data_through"], reading.stale))


async def get_profile(call: Call) -> Response:
    """Percentiles of size, tokens and arrival rate, and what SQS bills in batches: all minutes from `from` to `to`."""
    query = _checked_window(call)
    scenario_id = call.id("scenario_id")
    async with call.services.databases.read(call.tenant_id) as reading:
        await find_measured_scenario(reading.connection, scenario_id)
        coverage = await find_coverage(reading.connection, Window(scenario_id, query.from_, query.to))
        quantities = await quantities_of(reading.connection, coverage)
        counts = await measured_counts(reading.connection, coverage, [_SIZES, _TOKENS, _RATES])
    profile = profile_of(quantities, counts[_SIZES], counts[_TOKENS], counts[_RATES])
    return answer({**bill_document(profile), "stale": reading.stale})  # as ProfileAnswer says


def _checked_window(call: Call) -> SummaryQuery:
    query: SummaryQuery = call.query
    if query.from_ is not None and query.to is not None and query.from_ > query.to:
        raise RefusedError("invalid_parameter", "`from` is after `to`")
    return query


def summary_of(quantities: Quantities, model_id: str, data_through: datetime | None, stale: bool) -> Summary:
    return Summary(
        requests=quantities.requests,
        entries=quantities.entries,
        bytes=quantities.size_bytes,
        tokens=quantities.tokens,
        model_tokens=model_tokens(quantities.token_totals, model_id),
        sqs_blocks=quantities.sqs_blocks,
        pii_entries=quantities.pii_entries,
        pii=quantities.pii,
        sizes=[SizeBucket(bound, count) for bound, count in quantities.sizes.items()],
        first_minute=_minute(quantities.first_minute),
        last_minute=_minute(quantities.last_minute),
        active_minutes=quantities.active_minutes,
        data_through=data_through,
        stale=stale,
    )


def _metric(name: str) -> RollupMetric:
    """By `type.name`; a bare name is the first of that name in the catalogue."""
    for metric in ROLLUP_METRICS:
        if name in (f"{metric.metric_type}.{metric.metric_name}", metric.metric_name):
            return metric
    metric_type, _, metric_name = name.partition(".")
    if metric_type == SHADOW_RULE and (unit := unit_of(metric_type, metric_name)) is not None:
        return RollupMetric(metric_type, metric_name, unit, "what a shadow rule would find")
    raise RefusedError(
        "invalid_parameter", "`name` is no metric: use for example ingest.entries, sqs.blocks, pii.EMAIL"
    )


def step_seconds(step: str) -> int:
    count, unit = (step[:-1], step[-1]) if step[-1] in _UNIT_SECONDS else (step, "s")
    seconds = int(count) * _UNIT_SECONDS[unit]
    if seconds % 60 or seconds > 366 * 86_400:
        raise RefusedError("invalid_parameter", "`step` must be whole minutes, at most a year")
    return seconds


@lru_cache(maxsize=50_000)
def _moment(epoch_seconds: int) -> str:
    """As msgspec writes it. Dashboards ask for the same hours again and again."""
    return f"{datetime.fromtimestamp(epoch_seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _minute(epoch_seconds: int | None) -> datetime | None:
    return None if epoch_seconds is None else datetime.fromtimestamp(epoch_seconds, UTC)
