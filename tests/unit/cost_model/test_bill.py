from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest

from mockupaws.cost_model.architecture import Architecture, changed_architecture
from mockupaws.cost_model.bill import Bill, bill, bill_document
from mockupaws.cost_model.price_usage import LineItem
from mockupaws.cost_model.prices import charges, current_prices
from mockupaws.cost_model.quantities import (
    MONTH_SECONDS,
    MetricTotal,
    Quantities,
    quantities_of_deltas,
    scaled_traffic,
)
from mockupaws.cost_model.what_if import difference
from mockupaws.schemas.analysed import Delta
from mockupaws.stream_processors.count_sqs_blocks import count_batched_requests

D = Decimal
PRICES = current_prices()
SIZES = [100, 65_536, 65_537, 200_000, 1]


def quantities(first_minute: int = 0, last_minute: int = 0, active_minutes: int = 1) -> Quantities:
    return Quantities(
        requests=2,
        entries=len(SIZES),
        size_bytes=sum(SIZES),
        tokens=1_000_000,
        sqs_blocks=sum(ceil(size / 65_536) for size in SIZES),
        sqs_batched=count_batched_requests(SIZES),
        first_minute=first_minute,
        last_minute=last_minute,
        active_minutes=active_minutes,
    )


def item(subject: Bill, service: str, name: str) -> LineItem:
    return next(i for i in subject.measured.items if (i.service, i.name) == (service, name))


def test_unbatched_sends_are_the_hand_count_and_not_that_of_the_average() -> None:
    one_by_one = changed_architecture(Architecture(), {"queue": {"batch_size": 1}})
    send = item(bill(quantities(), one_by_one, PRICES), "SQS", "send")
    assert send.quantity.low == send.quantity.likely == send.quantity.high == 1 + 1 + 2 + 4 + 1
    assert send.quantity.likely != ceil(sum(SIZES) / len(SIZES) / 65_536) * len(SIZES)


def test_the_bill_is_what_a_hand_gets() -> None:
    subject = bill(quantities(), Architecture(), PRICES)
    sends = ceil(sum(SIZES) / 65_536)  # 6: all five messages in one call
    expected = (
        D(sends + sends + 2) * D("0.40") / 1_000_000
        + D(2) * D("0.20") / 1_000_000
        + D(2) * D("0.1") * 128 / 1024 * D("0.0000166667")
        + D("1.1") * D("1.15")  # a Claude model: estimated from the tokens of cl100k_base
    )
    assert subject.measured.total.likely == expected
    assert subject.complete
    for estimate in (subject.measured, subject.month):
        assert estimate.total.low <= estimate.total.likely <= estimate.total.high
        assert estimate.total.likely == sum(i.amount.likely for i in estimate.items)


def test_every_amount_names_its_price_row() -> None:
    rows = {row.id: row for row in PRICES.rows}
    for line in bill(quantities(), Architecture(), PRICES).month.items:
        row = rows[line.price.row]
        assert line.unit_price == row.price
        assert line.price.source.startswith("https://")
        assert line.price.effective_date


@pytest.mark.parametrize(
    "change", [{"model": {"id": "nobody.knows-it"}}, {"region": "xx-nowhere-1"}], ids=["model", "region"]
)
def test_what_has_no_price_is_unpriced_and_not_zero(change: dict[str, object]) -> None:
    subject = bill(quantities(), changed_architecture(Architecture(), change), PRICES)
    assert not subject.complete
    missing = {(u.service, u.name) for u in subject.measured.unpriced}
    assert ("Bedrock", "input tokens") in missing
    assert not any(i.service == "Bedrock" for i in subject.measured.items)


def test_tiers_are_marginal() -> None:
    tiers = PRICES.tiers("sqs.standard.requests", "eu-west-1")
    split = list(charges(tiers, D(0), D(250 * 10**9)))
    assert [c.quantity for c in split] == [D(100 * 10**9), D(100 * 10**9), D(50 * 10**9)]
    assert sum(c.amount for c in split) == D(100_000) * D("0.40") + D(100_000) * D("0.30") + D(50_000) * D("0.24")
    assert [c.row.id for c in charges(tiers, D(100 * 10**9), D(1))] == [tiers[1].id]


def test_the_free_tier_is_an_option_of_the_month() -> None:
    free = changed_architecture(Architecture(), {"free_tier": True, "model": {"share_of_lines": 0}})
    small = quantities(first_minute=0, last_minute=MONTH_SECONDS - 60, active_minutes=MONTH_SECONDS // 60)
    assert bill(small, free, PRICES).month.total.likely == 0
    paid = changed_architecture(free, {"free_tier": False})
    assert bill(small, paid, PRICES).month.total.likely > 0


def test_a_month_is_the_span_scaled_up_and_nothing_stays_nothing() -> None:
    assert scaled_traffic(quantities(), Fraction(MONTH_SECONDS, 60), MONTH_SECONDS).entries == 5 * MONTH_SECONDS // 60
    assert scaled_traffic(quantities(), Fraction(10, 7), MONTH_SECONDS).entries == 8, "counts are rounded up"
    assert bill(Quantities(), Architecture(), PRICES).measured.total.high == 0


def test_deltas_and_rows_fold_to_the_same_quantities() -> None:
    deltas = [
        Delta(60, "ingest", "entries", 3),
        Delta(60, "ingest", "requests", 1),
        Delta(180, "ingest", "entries", 4),
        Delta(60, "ingest", "entries", 5),
        Delta(180, "pii", "EMAIL", 2),
        Delta(180, "size", "64", 2),
    ]
    totals = [
        MetricTotal("size", "64", 2),
        MetricTotal("pii", "EMAIL", 2),
        MetricTotal("ingest", "entries", 12),
        MetricTotal("ingest", "requests", 1),
    ]
    folded = quantities_of_deltas(deltas)
    assert folded == Quantities.of_totals(totals, 60, 180, 2, None, {60: 8, 180: 4}, 60)
    assert folded.span_seconds == 180


def test_what_if_shows_the_change() -> None:
    before = bill(quantities(), Architecture(), PRICES)
    after = bill(quantities(), changed_architecture(Architecture(), {"function": {"architecture": "arm64"}}), PRICES)
    change = difference(before.month, after.month)
    assert change.total.likely == after.month.total.likely - before.month.total.likely < 0
    assert [(i.service, i.name) for i in change.items] == [("Lambda", "compute")]


def test_amounts_are_plain_decimal_text() -> None:
    text = str(bill_document(bill(quantities(), Architecture(), PRICES)))
    assert "E-" not in text
    assert "Decimal" not in text
