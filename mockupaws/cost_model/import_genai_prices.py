"""Bedrock rows of a price book, read from the genai-prices package: `python -m` this module.

Run when a new price book is made; the served price book is the dated file, so a bill doesn't change under an upgrade.
Only text models with one flat price are taken: tiered or audio prices would be wrong as a single row.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from importlib.metadata import version

import msgspec
from genai_prices import data

from mockupaws.cost_model.prices import PriceRow

US_REGIONS = ("us-east-1", "us-east-2", "us-west-2")
EU_REGIONS = ("eu-central-1", "eu-west-1")
_SOURCE = "https://aws.amazon.com/bedrock/pricing/"


def bedrock_rows(effective_date: str, checked_date: str) -> list[PriceRow]:
    """Input and output token rows of Anthropic and Nova models, in the regions their list price is the same in."""
    rows: list[PriceRow] = []
    provider = next(p for p in data.providers if p.id == "aws")
    for model in provider.models:
        scope, _, name = model.id.rpartition("anthropic.") if "anthropic." in model.id else ("", "", "")
        if name:
            # "regional." stands for the model's own id and its us./eu./… profiles; "global." is an id of its own.
            billed_id = f"anthropic.{name}" if scope == "regional." else f"global.anthropic.{name}"
            regions: tuple[str, ...] = (*US_REGIONS, *EU_REGIONS)
        elif model.id.startswith("amazon.nova-"):
            billed_id, regions = model.id, US_REGIONS
        else:
            continue
        for meter, price in (
            ("input_tokens", getattr(model.prices, "input_mtok", None)),
            ("output_tokens", getattr(model.prices, "output_mtok", None)),
        ):
            if not isinstance(price, Decimal):
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
                for region in regions
            )
    return rows


if __name__ == "__main__":
    for row in bedrock_rows(sys.argv[1], sys.argv[2]):
        print(msgspec.json.encode(row).decode() + ",")
