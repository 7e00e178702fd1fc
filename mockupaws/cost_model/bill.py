"""The bill: what the measured traffic costs, and what a month of it would, as a range.

The range is of usage, not of prices. It has two parts. How full batches are and how often something is done in vain:
low: every batch full, no receive in vain, fewer tokens by the model's count. likely: batches as full as the way the
lines arrived allows, pollers idle while no line came. high: one line a call and an invocation, pollers idle all the
time, more tokens. And, for the month, how much traffic it will have, from the measured spread (projection.py): low is
the low end of the lesser traffic, high the high end of the greater. Each step's module says so for its quantities.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from mockupaws.cost_model.architecture import Architecture, Model
from mockupaws.cost_model.bedrock import bedrock_usage
from mockupaws.cost_model.lambda_ import lambda_usage
from mockupaws.cost_model.price_usage import Estimate, price_usage
from mockupaws.cost_model.prices import PriceBook
from mockupaws.cost_model.projection import Projected, Projection, project_month
from mockupaws.cost_model.quantities import MONTH_SECONDS, Quantities, Traffic, measured_traffic, scaled_traffic
from mockupaws.cost_model.sqs import sqs_usage
from mockupaws.cost_model.storage import api_gateway_usage, archive_usage, log_group_usage, transfer_out_usage
from mockupaws.cost_model.tokenizers import is_estimated, tokenizer_of
from mockupaws.cost_model.usage import Usage, between

_MINUTE_SECONDS = 60


class Bill(msgspec.Struct, frozen=True):
    currency: str
    region: str
    price_book: str
    prices_checked: str
    measured: Estimate
    """What was seen, over the span it was seen in."""
    month: Estimate
    """30.4 days of it."""
    complete: bool
    """False where something is unpriced: the totals are then too low."""
    assumptions: list[str]
    projection: Projection
    """How the month follows from what was seen."""


def bill(quantities: Quantities, architecture: Architecture, prices: PriceBook, month: Projected | None = None) -> Bill:
    """`month`: what `project_month` says of these quantities and this growth, where it is known already."""
    factors, projection = month or project_month(quantities, architecture.growth)
    seen = usage_of(measured_traffic(quantities), architecture)
    low, likely, high = (
        usage_of(scaled_traffic(quantities, factor, MONTH_SECONDS), architecture)
        for factor in (factors.low, factors.likely, factors.high)
    )
    region = architecture.region
    measured = price_usage(seen, region, prices, quantities.span_seconds, free=False)
    of_month = price_usage(between(low, likely, high), region, prices, MONTH_SECONDS, free=architecture.free_tier)
    return Bill(
        currency=prices.currency,
        region=region,
        price_book=prices.name,
        prices_checked=prices.checked_date,
        measured=measured,
        month=of_month,
        complete=not (measured.unpriced or of_month.unpriced),
        assumptions=_assumptions(quantities, architecture, projection),
        projection=projection,
    )


def likely_total(traffic: Traffic, architecture: Architecture, prices: PriceBook) -> Decimal:
    """The likely month alone, of `likely_traffic`: for comparing many variants quickly."""
    usages = usage_of(traffic, architecture)
    priced = price_usage(usages, architecture.region, prices, MONTH_SECONDS, free=architecture.free_tier)
    return priced.total.likely


def likely_traffic(quantities: Quantities, month: Projected) -> Traffic:
    return scaled_traffic(quantities, month[0].likely, MONTH_SECONDS)


def usage_of(traffic: Traffic, architecture: Architecture) -> list[Usage]:
    """What each part of the architecture uses, in the order a line goes through them."""
    return [
        *api_gateway_usage(traffic, architecture),
        *sqs_usage(traffic, architecture),
        *lambda_usage(traffic, architecture),
        *bedrock_usage(traffic, architecture),
        *log_group_usage(traffic, architecture),
        *archive_usage(traffic, architecture),
        *transfer_out_usage(traffic, architecture),
    ]


def bill_document(subject: msgspec.Struct) -> dict[str, Any]:
    """The bill as JSON values, each Decimal as a plain decimal string without exponent."""
    document: dict[str, Any] = _plain(msgspec.to_builtins(subject, builtin_types=(Decimal,)))
    return document


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            text = format(value, "f")
            return text.rstrip("0").rstrip(".") if "." in text else text
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
    return value


def _token_assumptions(quantities: Quantities, model: Model) -> list[str]:
    tokenizer, totals = tokenizer_of(model.id), quantities.token_totals
    lines = []
    if totals.reported_entries:
        lines.append(f"{totals.reported_entries:,} lines report their tokens: these are taken as they are.")
    if is_estimated(totals, tokenizer):
        spread = _plain(model.token_spread * 100)
        lines.append(
            f"Tokens of {model.id} are estimated: {_plain(tokenizer.factor)} × those of {tokenizer.encoding} "
            f"({tokenizer.source}); it may count up to {spread} % less (low) or more (high)."
        )
    elif not totals.reported_entries or totals.cl100k or totals.o200k:
        lines.append(f"Tokens are counted exactly as {model.id} does, with {tokenizer.encoding}.")
    return lines


def _assumptions(quantities: Quantities, architecture: Architecture, projection: Projection) -> list[str]:
    span = quantities.span_seconds
    lines = [*_step_assumptions(architecture), *_token_assumptions(quantities, architecture.model)]
    if quantities.entries and span <= _MINUTE_SECONDS:
        lines.append(
            f"All traffic fell within one minute: a month of {MONTH_SECONDS:,} s (30.4 days) supposes that every "
            "minute is like it. Nothing can be planned with that; measure at least a day."
        )
    else:
        lines.append(
            f"A month is {MONTH_SECONDS:,} s (30.4 days) of the traffic measured over {span:,} s (whole minutes)"
            + (", each hour of the day by its own mean." if projection.by_hour_of_day else ".")
        )
    if projection.stretches:
        lines.append(
            f"Low and high months have {_plain(projection.relative_error * 100)} % less and more traffic: 95 % bounds "
            f"of the mean, from the spread of {projection.stretches:,} {projection.stretch}."
        )
    elif quantities.entries and span > _MINUTE_SECONDS:
        lines.append("Too little was measured to tell how traffic varies: low and high have as much as likely.")
    growth = architecture.growth
    if growth.months and growth.share_per_month:
        lines.append(f"Growth: {_plain(growth.share_per_month * 100)} % a month, {growth.months} months on.")
    lines.append("Free tier: " + ("taken off the month." if architecture.free_tier else "not taken off."))
    if not quantities.entries:
        lines.append("No traffic was measured yet: at most consumers that poll cost something.")
    return lines


def _step_assumptions(architecture: Architecture) -> list[str]:
    lines = []
    function, group, archive = architecture.function, architecture.log_group, architecture.archive
    if architecture.queue.used or function.used:
        failed = (
            f"{_plain(function.failure_share * 100)} % of invocations fail, and are repeated up to "
            f"{function.max_retries} times."
            if function.used and function.failure_share
            else "failed invocations are not repeated."
        )
        lines.append(f"Each log line is one SQS message and is handled by the function once; {failed}")
        lines.append(
            "Low: every batch is full and no receive comes back empty. Likely: no batch spans two ingest requests, and "
            "pollers receive in vain only in minutes without traffic. High: one line per call and per invocation, and "
            "pollers receive in vain all the time."
        )
    if group.used:
        lines.append(
            f"CloudWatch Logs keeps {_plain(group.stored_share * 100)} % of the ingested bytes for "
            f"{group.retention_days} days: a steady state, not a first month."
        )
    if archive.used:
        lines.append(
            f"S3 holds {_plain(archive.stored_share * 100)} % of the lines' bytes for {archive.retention_days} days: a "
            "steady state, not a first month."
        )
    return lines
