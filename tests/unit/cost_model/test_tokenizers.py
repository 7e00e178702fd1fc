"""Exact where the model's tokenizer is public, elsewhere an estimate that says so; reports stay as they are."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

import pytest

from mockupaws.cost_model.architecture import Architecture, changed_architecture
from mockupaws.cost_model.bill import bill
from mockupaws.cost_model.price_usage import LineItem, UnpricedItem
from mockupaws.cost_model.prices import current_prices
from mockupaws.cost_model.quantities import Quantities
from mockupaws.cost_model.tokenizers import TOKENIZERS, model_tokens, tokenizer_of
from mockupaws.cost_model.what_if import difference

D = Decimal
GPT = "openai.gpt-oss-120b-1:0"
CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"


MEASURED = Quantities(
    requests=1,
    entries=100,
    size_bytes=100,
    tokens=1000,
    sqs_blocks=100,
    active_minutes=1,
    first_minute=0,
    last_minute=0,
)


def measured(**changes: int) -> Quantities:
    return dataclasses.replace(MEASURED, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model_id", "prefix"),
    [
        (GPT, "openai.gpt-oss"),
        (f"us.{CLAUDE}", "anthropic."),
        ("global.anthropic.claude-opus-4-8-v1:0", "anthropic.claude-opus-4-8"),
        ("apac.amazon.nova-lite-v1:0", "amazon.nova"),
        ("us.meta.llama3-3-70b-instruct-v1:0", "meta.llama"),
        ("nobody.knows-it", ""),
    ],
)
def test_a_model_or_profile_finds_its_tokenizer(model_id: str, prefix: str) -> None:
    assert tokenizer_of(model_id).model_prefix == prefix


def test_each_row_of_the_table_is_reached_and_names_its_source() -> None:
    for row in TOKENIZERS:
        assert tokenizer_of(f"{row.model_prefix}x") == row
        assert row.source
        assert row.exact == (row.encoding == "o200k_base") == (row.factor == 1 and "tiktoken" in row.source)


def test_counted_by_the_models_own_tokenizer_is_exact() -> None:
    totals = measured(o200k_tokens=1000).token_totals
    found = model_tokens(totals, GPT)
    assert (found.input_tokens, found.estimated) == (1000, False)


def test_counted_by_another_is_converted_and_estimated() -> None:
    assert model_tokens(measured().token_totals, GPT).input_tokens == 1010
    assert model_tokens(measured().token_totals, GPT).estimated
    found = model_tokens(measured().token_totals, CLAUDE)
    assert (found.input_tokens, found.estimated, found.factor) == (1150, True, D("1.15"))
    mixed = model_tokens(measured(o200k_tokens=505).token_totals, CLAUDE)
    assert mixed.input_tokens == 1145  # (495 + 505 / 1.01) × 1.15, rounded up


def test_what_is_reported_is_neither_scaled_nor_estimated() -> None:
    totals = measured(reported_input_tokens=1000, reported_entries=2).token_totals
    found = model_tokens(totals, CLAUDE)
    assert (found.input_tokens, found.reported, found.estimated) == (1000, 1000, False)


def items(quantities: Quantities, **model: object) -> dict[str, LineItem | UnpricedItem]:
    estimate = bill(quantities, changed_architecture(Architecture(), {"model": model}), current_prices()).measured
    found: list[LineItem | UnpricedItem] = [*estimate.items, *estimate.unpriced]
    return {item.name: item for item in found if item.service == "Bedrock"}


def test_the_bill_marks_estimates_and_spreads_only_them() -> None:
    claude = items(measured(), id=CLAUDE)["input tokens"]
    assert claude.estimated
    assert (claude.quantity.low, claude.quantity.likely, claude.quantity.high) == (D(978), D(1150), D(1323))
    exact = items(measured(o200k_tokens=1000), id=GPT)["input tokens"]
    assert not exact.estimated
    assert exact.quantity.low == exact.quantity.likely == exact.quantity.high == 1000


def test_reported_calls_bring_their_own_prompt_and_answer() -> None:
    quantities = measured(reported_input_tokens=600, reported_output_tokens=50, reported_entries=10)
    found = items(quantities, id=CLAUDE, prompt_tokens_per_line=5, output_tokens_per_line=2, share_of_lines=1)
    assert found["input tokens"].quantity.likely == 400 * D("1.15") + 90 * 5 + 600
    assert found["output tokens"].quantity.likely == 90 * 2 + 50
    only = items(quantities, id=CLAUDE, share_of_lines=0)
    assert (only["input tokens"].quantity.high, only["output tokens"].quantity.low) == (D(600), D(50))


def test_a_what_if_marks_them_too() -> None:
    before = bill(measured(), changed_architecture(Architecture(), {"model": {"id": CLAUDE}}), current_prices())
    nova = changed_architecture(Architecture(), {"model": {"id": "amazon.nova-lite-v1:0"}})
    change = difference(before.month, bill(measured(), nova, current_prices()).month)
    assert [item.estimated for item in change.items if item.service == "Bedrock"] == [True]
