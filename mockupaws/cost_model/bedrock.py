"""Bedrock: the measured tokens of the lines sent to the model, its prompt for each, and what it answers."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from mockupaws.cost_model.architecture import Model
from mockupaws.cost_model.quantities import Traffic
from mockupaws.cost_model.usage import Range, Usage

_REGIONAL_PROFILES = ("us.", "eu.")
"""Inference profiles of our regions that cost what the model's own id costs."""


def bedrock_usage(traffic: Traffic, model: Model) -> list[Usage]:
    """low and high: our token count ± `token_spread`, since the model's tokenizer is not ours."""
    if not model.share_of_lines:
        return []
    lines = (traffic.entries * model.share_of_lines).to_integral_value(ROUND_CEILING)
    read = (traffic.tokens * model.share_of_lines).to_integral_value(ROUND_CEILING) + lines * (
        model.prompt_tokens_per_line
    )
    meter = f"bedrock.{billed_model_id(model.id)}"
    usages = [
        Usage(
            "Bedrock",
            "input tokens",
            f"{meter}.input_tokens",
            _spread(read, model.token_spread),
            f"{traffic.tokens:,} tokens × {model.share_of_lines} of the lines "
            f"+ {lines:,} lines × {model.prompt_tokens_per_line:,} prompt tokens",
        )
    ]
    if model.output_tokens_per_line:
        written = lines * model.output_tokens_per_line
        usages.append(
            Usage(
                "Bedrock",
                "output tokens",
                f"{meter}.output_tokens",
                _spread(written, model.token_spread),
                f"{lines:,} lines × {model.output_tokens_per_line:,} tokens",
            )
        )
    return usages


def billed_model_id(model_id: str) -> str:
    """The id prices stand under: a regional inference profile is billed as its model, a global one has its own."""
    for prefix in _REGIONAL_PROFILES:
        if model_id.startswith(prefix):
            return model_id.removeprefix(prefix)
    return model_id


def _spread(tokens: Decimal, spread: Decimal) -> Range:
    return Range(
        (tokens * (1 - spread)).to_integral_value(ROUND_CEILING),
        tokens,
        (tokens * (1 + spread)).to_integral_value(ROUND_CEILING),
    )
