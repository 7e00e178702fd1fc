"""Bedrock: the tokens of the lines sent to the model as it counts them, its prompt for each, and what it answers."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from mockupaws.cost_model.architecture import Model
from mockupaws.cost_model.quantities import Traffic
from mockupaws.cost_model.tokenizers import counted_tokens, is_estimated, tokenizer_of
from mockupaws.cost_model.usage import Range, Usage

_REGIONAL_PROFILES = ("us.", "eu.")
"""Inference profiles of our regions that cost what the model's own id costs."""


def bedrock_usage(traffic: Traffic, model: Model) -> list[Usage]:
    """low and high: the estimated part of the tokens ± `token_spread`. Lines that report their tokens were a call each,
    prompt and answer included, whatever `share_of_lines` says."""
    totals, tokenizer = traffic.tokens, tokenizer_of(model.id)
    if not model.share_of_lines and not totals.reported_entries:
        return []
    estimated = is_estimated(totals, tokenizer)
    spread = model.token_spread if estimated else Decimal(0)
    lines = _up((traffic.entries - totals.reported_entries) * model.share_of_lines)
    counted = counted_tokens(totals, tokenizer)
    read = _up(counted * model.share_of_lines) + lines * model.prompt_tokens_per_line
    written = lines * model.output_tokens_per_line
    meter = f"bedrock.{billed_model_id(model.id)}"
    reported = f" + {totals.reported_input:,} reported" if totals.reported_entries else ""
    usages = [
        Usage(
            "Bedrock",
            "input tokens",
            f"{meter}.input_tokens",
            _spread(read, spread, totals.reported_input),
            f"{_up(counted):,} tokens × {model.share_of_lines} of the lines "
            f"+ {lines:,} lines × {model.prompt_tokens_per_line:,} prompt tokens{reported}",
            estimated,
        )
    ]
    if written or totals.reported_output:
        reported = f" + {totals.reported_output:,} reported" if totals.reported_output else ""
        usages.append(
            Usage(
                "Bedrock",
                "output tokens",
                f"{meter}.output_tokens",
                _spread(written, spread, totals.reported_output),
                f"{lines:,} lines × {model.output_tokens_per_line:,} tokens{reported}",
                bool(written) and estimated,
            )
        )
    return usages


def billed_model_id(model_id: str) -> str:
    """The id prices stand under: a regional inference profile is billed as its model, a global one has its own."""
    for prefix in _REGIONAL_PROFILES:
        if model_id.startswith(prefix):
            return model_id.removeprefix(prefix)
    return model_id


def _spread(tokens: Decimal, spread: Decimal, reported: int) -> Range:
    return Range(
        _up(tokens * (1 - spread)) + reported,
        tokens + reported,
        _up(tokens * (1 + spread)) + reported,
    )


def _up(tokens: Decimal) -> Decimal:
    return tokens.to_integral_value(ROUND_CEILING)
