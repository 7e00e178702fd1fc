"""The price book that ships: what each row must say, how far it reaches, and what it must not claim."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from mockupaws.cost_model.architecture import Architecture, changed_architecture
from mockupaws.cost_model.bill import bill
from mockupaws.cost_model.compare_books import audit_books
from mockupaws.cost_model.import_genai_prices import bedrock_rows
from mockupaws.cost_model.offer_files import METERS, REGION_PREFIXES
from mockupaws.cost_model.price_file import PriceFileError, price_file, prices_in_force, read_price_file
from mockupaws.cost_model.prices import (
    PriceRow,
    charges,
    current_prices,
    shipped_book,
    shipped_book_names,
    unpriced_part,
)
from mockupaws.cost_model.quantities import Quantities
from mockupaws.runtime.settings import Settings

D = Decimal
PRICES = current_prices()
TODAY = date(2026, 11, 25)
SERVICES = ("sqs", "lambda", "bedrock", "s3", "cloudwatch_logs", "api_gateway", "data_transfer", "athena")


def test_each_row_says_where_its_price_is_from_and_when() -> None:
    assert len({row.id for row in PRICES.rows}) == len(PRICES.rows)
    assert len({(row.meter, row.region, row.from_quantity) for row in PRICES.rows}) == len(PRICES.rows)
    for row in PRICES.rows:
        assert row.price > 0, row.id
        assert row.source.startswith("https://"), row.id
        assert all((row.taken_from, row.unit)), row.id
        assert date.fromisoformat(row.effective_date) <= date.fromisoformat(row.checked_date), row.id
        assert row.taken_from not in row.agrees_with, row.id


def test_the_book_covers_the_services_and_regions_it_is_for() -> None:
    found = defaultdict(set)
    for row in PRICES.rows:
        found[row.meter.partition(".")[0]].add(row.region)
    assert set(found) == set(SERVICES)
    for service in ("sqs", "lambda", "bedrock", "cloudwatch_logs", "api_gateway", "data_transfer"):
        assert len(found[service]) >= 8, service


def test_tiers_follow_each_other_without_a_gap() -> None:
    for meter, region in {(row.meter, row.region) for row in PRICES.rows}:
        tiers = PRICES.tiers(meter, region)
        assert tiers[0].from_quantity == 0
        assert [row.to_quantity for row in tiers[:-1]] == [None] * (len(tiers) - 1), (meter, region)


def test_rows_of_the_price_list_bear_the_name_aws_bills_them_under() -> None:
    meters = {meter.name: meter for meter in METERS}
    for row in PRICES.rows:
        if row.usage_type:
            names = [
                prefix + usage for prefix in REGION_PREFIXES[row.region] for usage in meters[row.meter].usage_types
            ]
            assert row.usage_type in names, row.id
            assert row.unit_quantity == meters[row.meter].unit_quantity


def test_beyond_the_last_known_tier_the_price_is_unknown_and_not_that_of_the_tier() -> None:
    tiers = PRICES.tiers("sqs.standard.requests", "us-west-2")
    assert tiers[-1].to_quantity == 100 * 10**9
    assert [part.quantity for part in charges(tiers, D(0), D(101 * 10**9))] == [D(100 * 10**9)]
    assert unpriced_part(tiers, D(0), D(101 * 10**9)) == D(10**9)
    assert unpriced_part(tiers, D(10**11), D(5)) == 5
    architecture = changed_architecture(Architecture(), {"region": "us-west-2", "model": {"share_of_lines": 0}})
    huge = Quantities(requests=1, entries=10**12, size_bytes=10**14, sqs_blocks=10**12, first_minute=0, last_minute=0)
    estimate = bill(huge, architecture, PRICES).measured
    assert {item.name for item in estimate.unpriced if item.service == "SQS"} >= {"send", "receive"}
    assert all("a month on" in item.reason for item in estimate.unpriced if item.service == "SQS")


def test_bedrock_rows_are_those_of_the_pinned_package() -> None:
    def facts(rows: list[PriceRow]) -> dict[str, D]:
        return {row.id: row.price for row in rows}

    booked = [row for row in PRICES.rows if row.meter.startswith("bedrock.")]
    package = bedrock_rows("-", "-")
    if {row.taken_from.split(",")[0] for row in booked} != {row.taken_from.split(",")[0] for row in package}:
        pytest.skip("another version of genai-prices is installed than the price book was made from")
    assert facts(booked) == facts(package)


def test_a_model_has_rows_for_what_it_reads_writes_and_keeps_in_its_cache() -> None:
    meter = "bedrock.global.anthropic.claude-haiku-4-5-20251001-v1:0"
    kinds = ("input", "output", "cache_read", "cache_write")
    prices = [PRICES.tiers(f"{meter}.{kind}_tokens", "eu-west-1")[0].price for kind in kinds]
    assert prices == [D(1), D(5), D("0.1"), D("1.25")]
    assert "anthropic.claude-haiku-4-5-20251001-v1:0" in PRICES.models("ap-northeast-1")
    assert not PRICES.models("xx-nowhere-1")


def test_earlier_versions_stay_readable_and_can_be_compared() -> None:
    before = shipped_book(shipped_book_names()[0])
    found = audit_books(before, PRICES, TODAY, max_age_days=90)
    assert (found.before, found.after) == (before.name, PRICES.name)
    gone = [change for change in found.changes if change.after is None]
    assert gone, "rows that could not be sourced were taken out, and the audit says so"
    assert found.agreed + len(found.single) == found.rows == len(PRICES.rows)
    assert not found.old
    assert audit_books(PRICES, PRICES, date(2027, 6, 1), 90).old


def test_an_audit_compares_prices_of_one_unit() -> None:
    row = PRICES.rows[0]
    dearer = msgspec.structs.replace(row, price=row.price * 2)
    same = msgspec.structs.replace(row, price=row.price / 1000, unit_quantity=row.unit_quantity // 1000)
    book = msgspec.structs.replace(PRICES, rows=[row])
    changes = audit_books(book, msgspec.structs.replace(PRICES, rows=[dearer]), TODAY, 90).changes
    assert [(change.percent, change.before, change.after) for change in changes] == [(D(100), row.price, row.price * 2)]
    assert not audit_books(book, msgspec.structs.replace(PRICES, rows=[same]), TODAY, 90).changes


def test_the_book_in_force_is_the_file_once_there_is_one(tmp_path: Path) -> None:
    settings = dataclasses.replace(Settings(), home=tmp_path)
    assert prices_in_force(settings) is PRICES
    path = price_file(settings)
    path.parent.mkdir(parents=True)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(PRICES, name="mine")))
    assert prices_in_force(settings).name == "mine"
    path.write_text(json.dumps({"name": "broken"}))
    assert prices_in_force(settings) is PRICES, "prices of a known day are better than none"
    with pytest.raises(PriceFileError, match=r"book\.json"):
        read_price_file(path)
    assert price_file(dataclasses.replace(settings, price_book="/srv/prices.json")) == Path("/srv/prices.json")
