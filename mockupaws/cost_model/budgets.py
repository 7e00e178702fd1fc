"""Budgets: what a scenario is projected to cost or to need of a quota, against a limit. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NamedTuple, get_args

import msgspec

from mockupaws.cost_model.architecture import Architecture
from mockupaws.cost_model.bill import bill
from mockupaws.cost_model.prices import PriceBook
from mockupaws.cost_model.quantities import Quantities
from mockupaws.cost_model.tokenizers import tokenizer_of

Metric = Literal[
    "month_cost", "month_lines", "lines_per_second", "lambda_concurrency", "sqs_messages_per_second",
    "model_tokens_per_minute",
]  # fmt: skip
METRICS: tuple[Metric, ...] = get_args(Metric)
MEANINGS: dict[Metric, str] = {
    "month_cost": "the likely month, in the price book's currency",
    "month_lines": "lines of the likely month",
    "lines_per_second": "most lines received in one second",
    "lambda_concurrency": "invocations at once in the busiest second: AWS gives an account 1,000 a region by default",
    "sqs_messages_per_second": "messages sent in the busiest second: a FIFO queue takes 3,000 in batches by default",
    "model_tokens_per_minute": "tokens the model reads in the busiest minute: see the account's quota of the model",
}
INCOMPLETE = 0
"""Threshold that is reached where something has no price: the projected cost is then too low, and no limit holds."""


class Peaks(NamedTuple):
    second_lines: int
    """Most lines received in one second."""
    minute_lines: int
    minute_tokens: int


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    metric: Metric
    amount: Decimal
    limit: Decimal
    percent: Decimal
    complete: bool
    """False where something has no price."""


def standing(
    metric: Metric,
    limit: Decimal,
    quantities: Quantities,
    peaks: Peaks,
    architecture: Architecture,
    prices: PriceBook,
) -> Standing:
    complete = True
    match metric:
        case "month_cost":
            costs = bill(quantities, architecture, prices)
            amount, complete = costs.month.total.likely, not costs.month.unpriced
        case "month_lines":
            amount = Decimal(bill(quantities, architecture, prices).projection.lines_likely)
        case "lines_per_second" | "sqs_messages_per_second":
            amount = Decimal(peaks.second_lines)
        case "lambda_concurrency":
            amount = _concurrency(quantities, peaks, architecture)
        case "model_tokens_per_minute":
            model = architecture.model
            each = (
                peaks.minute_tokens * tokenizer_of(model.id).factor + peaks.minute_lines * model.prompt_tokens_per_line
            )
            amount = each * model.share_of_lines
    percent = (amount / limit * 100).quantize(Decimal("0.01"))
    return Standing(metric=metric, amount=amount, limit=limit, percent=percent, complete=complete)


def reached(stands: Standing, thresholds: list[int]) -> list[int]:
    """The thresholds (percent of the limit) that are reached, and INCOMPLETE where the amount is too low."""
    found = [threshold for threshold in sorted(thresholds) if stands.amount * 100 >= stands.limit * threshold]
    return found if stands.complete else [INCOMPLETE, *found]


def _concurrency(quantities: Quantities, peaks: Peaks, architecture: Architecture) -> Decimal:
    """Invocations begun in the busiest second times how long each takes, with lines of the mean size."""
    function = architecture.function
    if not function.used or not quantities.entries:
        return Decimal(0)
    invocations = -(-peaks.second_lines // function.batch_size)
    lines = min(peaks.second_lines, function.batch_size)
    kilobytes = Decimal(quantities.size_bytes) * lines / quantities.entries / 1024
    milliseconds = function.duration_ms + function.duration_ms_per_kb * kilobytes
    if function.measured_duration is not None:
        milliseconds = Decimal(function.measured_duration.high_ms)
    return Decimal(invocations) * milliseconds / 1000
