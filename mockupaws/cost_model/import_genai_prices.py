"""Bedrock rows of a price book, read from the genai-prices package: `python -m` this module.

Run when a new price book is made; the served price book is the dated file, so a bill doesn't change under an upgrade.
Only text models with one flat price are taken: prices that depend on a call's length, or audio, would be wrong as a
single row. A row stands for the regions whose inference profiles the package names under that price.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import msgspec
from genai_prices import data

from mockupaws.cost_model.prices import PriceRow

_US = ("us-east-1", "us-east-2", "us-west-2")
_EU = ("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-3")
_PROFILE_REGIONS: dict[str, tuple[str, ...]] = {
    "us": _US,
    "eu": _EU,
    "apac": ("ap-northeast-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
    "jp": ("ap-northeast-1",),
    "au": ("ap-southeast-2",),
}
"""Where an inference profile with this prefix is called from."""
_ALL = tuple(sorted({region for regions in _PROFILE_REGIONS.values() for region in regions}))
_METERS = {
    "input_tokens": "input_mtok",
    "output_tokens": "output_mtok",
    "cache_read_tokens": "cache_read_mtok",
    "cache_write_tokens": "cache_write_mtok",
}
"""Meter → the package's name for its price; writes are those of the cache that lasts 5 minutes."""
_SOURCE = "https://aws.amazon.com/bedrock/pricing/"


def bedrock_rows(effective_date: str, checked_date: str) -> list[PriceRow]:
    """Token rows of Anthropic, Nova and gpt-oss models, in the regions their list price is the same in."""
    rows: list[PriceRow] = []
    provider = next(p for p in data.providers if p.id == "aws")
    for model in provider.models:
        billed_id, regions = _billed(model)
        prices = {meter: getattr(model.prices, name, None) for meter, name in _METERS.items()}
        if not regions or not all(isinstance(prices[meter], Decimal) for meter in ("input_tokens", "output_tokens")):
            continue
        if getattr(model.prices, "input_audio_mtok", None) is not None:
            continue
        rows.extend(
            PriceRow(
                id=f"bedrock.{billed_id}.{meter}.{region}",
                meter=f"bedrock.{billed_id}.{meter}",
                region=region,
                unit="1M tokens",
                unit_quantity=1_000_000,
                price=price,
                source=_SOURCE,
                taken_from=f"genai-prices {version('genai-prices')}, aws/{model.id}",
                effective_date=effective_date,
                checked_date=checked_date,
            )
            for meter, price in prices.items()
            if isinstance(price, Decimal)
            for region in regions
        )
    return rows


def _billed(model: Any) -> tuple[str, tuple[str, ...]]:
    """The id that prices stand under and the regions they hold in; no regions where the model isn't taken.

    "regional." stands for the model's own id and its profiles of a geography; "global." is an id of its own.
    """
    scope, _, name = model.id.rpartition("anthropic.") if "anthropic." in model.id else ("", "", "")
    if name:
        if scope != "regional.":
            return f"global.anthropic.{name}", _ALL
        named = [prefix for prefix in _PROFILE_REGIONS if f"'{prefix}.anthropic" in repr(model.match)]
        return f"anthropic.{name}", tuple(sorted({r for p in named or ("us", "eu") for r in _PROFILE_REGIONS[p]}))
    if model.id.startswith("amazon.nova-"):
        return model.id, _US
    if model.id.startswith("openai.gpt-oss-"):
        return model.id, ("us-west-2",)
    return "", ()


if __name__ == "__main__":
    for row in bedrock_rows(sys.argv[1], sys.argv[2]):
        print(msgspec.json.encode(row).decode() + ",")
