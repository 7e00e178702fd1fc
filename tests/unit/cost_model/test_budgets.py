"""What a budget compares with its limit, and which thresholds that reaches."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mockupaws.cost_model.architecture import Architecture, architecture_of
from mockupaws.cost_model.bill import bill
from mockupaws.cost_model.budgets import INCOMPLETE, METRICS, Metric, Peaks, Standing, reached, standing
from mockupaws.cost_model.prices import PriceBook, current_prices
from mockupaws.cost_model.quantities import Quantities

D = Decimal
PEAKS = Peaks(second_lines=1234, minute_lines=20_000, minute_tokens=500_000)
TRAFFIC = Quantities(requests=10, entries=100_000, size_bytes=10**7, tokens=10**6, first_minute=0, last_minute=86_340)


@pytest.fixture(scope="module")
def prices() -> PriceBook:
    return current_prices()


def of(metric: Metric, prices: PriceBook, architecture: Architecture | None = None, limit: str = "1000") -> Standing:
    return standing(metric, D(limit), TRAFFIC, PEAKS, architecture or Architecture(), prices)


def test_the_month_is_that_of_the_bill(prices: PriceBook) -> None:
    likely = bill(TRAFFIC, Architecture(), prices).month.total.likely
    assert likely > 0
    stands = of("month_cost", prices, limit=str(likely * 2))
    assert (stands.amount, stands.percent, stands.complete) == (likely, D(50), True)
    lines = of("month_lines", prices)
    assert lines.amount == bill(TRAFFIC, Architecture(), prices).projection.lines_likely


def test_quotas_are_those_of_the_busiest_moment(prices: PriceBook) -> None:
    assert of("lines_per_second", prices).amount == of("sqs_messages_per_second", prices).amount == 1234
    function = {"batch_size": 10, "duration_ms": 500}
    assert of("lambda_concurrency", prices, architecture_of({"function": function})).amount == D(124) / 2
    by_size = function | {"duration_ms_per_kb": "10.24"}
    assert of("lambda_concurrency", prices, architecture_of({"function": by_size})).amount == 124 * (D(500) + 10) / 1000
    measured = function | {"measured_duration": {"low_ms": 100, "likely_ms": 500, "high_ms": 2000}}
    assert of("lambda_concurrency", prices, architecture_of({"function": measured})).amount == D(124) * 2
    assert of("lambda_concurrency", prices, architecture_of({"function": {"used": False}})).amount == 0
    model = {"id": "anthropic.claude-3-haiku-20240307-v1:0", "share_of_lines": "0.5", "prompt_tokens_per_line": 10}
    tokens = of("model_tokens_per_minute", prices, architecture_of({"model": model})).amount
    assert tokens >= (500_000 + 200_000) / 2


def test_a_threshold_is_reached_from_its_share_of_the_limit_on(prices: PriceBook) -> None:
    stands = Standing(metric="month_cost", amount=D(80), limit=D(100), percent=D(80), complete=True)
    assert reached(stands, [100, 80, 50]) == [50, 80]
    assert reached(_with(stands, amount="79.999999"), [80]) == []
    assert reached(_with(stands, amount="0"), [1]) == []


def _with(stands: Standing, amount: str) -> Standing:
    return Standing(metric=stands.metric, amount=D(amount), limit=stands.limit, percent=D(0), complete=True)


def test_a_cost_without_all_prices_is_told_whatever_the_limit(prices: PriceBook) -> None:
    nowhere = of("month_cost", prices, architecture_of({"region": "xx-nowhere-1"}), limit="1000000")
    assert not nowhere.complete
    assert reached(nowhere, [80, 100]) == [INCOMPLETE]


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_measured_is_no_error(metric: Metric, prices: PriceBook) -> None:
    empty = standing(metric, D(1), Quantities(), Peaks(0, 0, 0), Architecture(), prices)
    assert empty.amount >= 0
