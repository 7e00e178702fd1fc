"""Bedrock: the tokens of the lines sent to the model as it counts them, its prompt for each, and what it answers."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

from mockupaws.cost_model.architecture import Architecture
from mockupaws.cost_model.quantities import Traffic
from mockupaws.cost_model.tokenizers import counted_tokens, is_estimated, tokenizer_of
from mockupaws.cost_model.usage import Range, Usage

_PROFILE_REGIONS = {"us": "us-", "eu": "eu-", "apac": "ap-", "jp": "ap-northeast-", "au": "ap-southeast-"}
"""Inference profiles that cost what the model's own id costs: prefix → how the regions begin they are called from."""


def bedrock_usage(traffic: Traffic, architecture: Architecture) -> list[Usage]:
    """low and high: the estimated part of the tokens ± `token_spread`. Lines that report their tokens were a call each,
    prompt and answer included, whatever `share_of_lines` says.

    A token of the prompt is billed once: read from the cache, written to it, or as input."""
    model = architecture.model
    totals, tokenizer = traffic.tokens, tokenizer_of(model.id)
    if not model.share_of_lines and not totals.reported_entries:
        return []
    estimated = is_estimated(totals, tokenizer)
    spread = model.token_spread if estimated else Decimal(0)
    lines = _up((traffic.entries - totals.reported_entries) * model.share_of_lines)
    counted = counted_tokens(totals, tokenizer)
    prompts = lines * model.prompt_tokens_per_line
    cached, kept = _up(prompts * model.cached_share), _up(prompts * model.cache_write_share)
    read = _up(counted * model.share_of_lines) + max(prompts - cached - kept, Decimal(0))
    written = lines * model.output_tokens_per_line
    meter = f"bedrock.{billed_model_id(model.id, architecture.region)}"
    reported = f" + {totals.reported_input:,} reported" if totals.reported_entries else ""
    apart = f" - {cached + kept:,} read from or written to the cache" if cached or kept else ""
    usages = [
        Usage(
            "Bedrock",
            "input tokens",
            f"{meter}.input_tokens",
            _spread(read, spread, totals.reported_input),
            f"{_up(counted):,} tokens × {model.share_of_lines:f} of the lines "
            f"+ {lines:,} lines × {model.prompt_tokens_per_line:,} prompt tokens{apart}{reported}",
            estimated,
        )
    ]
    for name, meter_name, quantity, share in (
        ("cache reads", "cache_read_tokens", cached, model.cached_share),
        ("cache writes", "cache_write_tokens", kept, model.cache_write_share),
    ):
        if quantity:
            formula = f"{lines:,} lines × {model.prompt_tokens_per_line:,} prompt tokens × {share:f}"
            usages.append(
                Usage("Bedrock", name, f"{meter}.{meter_name}", _spread(quantity, spread, 0), formula, estimated)
            )
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


def billed_model_id(model_id: str, region: str) -> str:
    """The id prices stand under: an inference profile of the region's geography is billed as its model, a global one
    has its own id; one of another geography can't be called there, and has no price."""
    profile, _, name = model_id.partition(".")
    return name if region.startswith(_PROFILE_REGIONS.get(profile, "-")) else model_id


def _spread(tokens: Decimal, spread: Decimal, reported: int) -> Range:
    return Range(
        _up(tokens * (1 - spread)) + reported,
        tokens + reported,
        _up(tokens * (1 + spread)) + reported,
    )


def _up(tokens: Decimal) -> Decimal:
    return tokens.to_integral_value(ROUND_CEILING)
