"""How each Bedrock model's tokens follow from those we count: exactly, by a public tokenizer, or by a measured factor.

Log lines of services, access logs, JSON lines and package logs were counted with each public vocabulary; models without
one take the factor others have published for log text and code. What is not exact is an estimate, and says so.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

import msgspec

from mockupaws.cost_model.quantities import TokenTotals
from mockupaws.schemas.token_encodings import DEFAULT_ENCODING, TokenEncoding

O200K_PER_CL100K = Decimal("1.01")
"""Measured on log lines: 1.00 to 1.05."""
_TIKTOKEN = "https://github.com/openai/tiktoken/blob/main/tiktoken/model.py"
_CLAUDE = (
    "16 % (prose) to 30 % (code) above OpenAI's, as published: https://thisweekinai.news/2025/05/03/"
    "hidden-costs-for-ai-provision-why-claude-models-in-corporate-settings-are-20-30-dearer-than-gpt"
)
_CLAUDE_NEWER = (
    "from Opus 4.7 on about 30 % above the models before, as published: "
    "https://jackin.tailrocks.com/research/token-optimization/11-tokenizer-arbitrage/"
)
_NOVA = "13 % above Claude 3 Haiku on /var/log, as published: https://heuristicandrew.blogspot.com/2025"


class Tokenizer(msgspec.Struct, frozen=True):
    """Of the models whose id begins with `model_prefix`."""

    model_prefix: str
    encoding: TokenEncoding
    factor: Decimal
    """The model's tokens for each of the encoding's."""
    exact: bool
    """Whether `encoding` is the model's own."""
    source: str


def _estimated(prefix: str, factor: str, source: str) -> Tokenizer:
    return Tokenizer(prefix, DEFAULT_ENCODING, Decimal(factor), False, source)


TOKENIZERS: tuple[Tokenizer, ...] = (
    *(
        Tokenizer(prefix, "o200k_base", Decimal(1), True, _TIKTOKEN)
        for prefix in ("openai.gpt-oss", "openai.gpt-4o", "openai.gpt-4.1", "openai.gpt-5", "openai.o")
    ),
    *(
        _estimated(f"anthropic.claude-{name}", "1.50", _CLAUDE_NEWER)
        for name in ("opus-4-7", "opus-4-8", "opus-5", "sonnet-5", "fable-", "mythos-")
    ),
    _estimated("anthropic.", "1.15", _CLAUDE),
    _estimated("amazon.nova", "1.30", _NOVA),
    _estimated("amazon.titan", "1.00", "no count is published: taken as cl100k_base"),
    _estimated("meta.llama", "1.00", "measured with the vocabulary of Llama 3: cl100k_base's and more"),
    _estimated("mistral.", "1.38", "measured with Mistral's Tekken: digits singly, 1.30 to 1.44"),
    _estimated("qwen.", "1.25", "measured with the vocabulary of Qwen 3: digits singly, 1.00 to 1.40"),
)
_UNKNOWN = _estimated("", "1.15", "no tokenizer is known of this model: taken as for Claude")

_PROFILES = ("us.", "us-gov.", "eu.", "apac.", "jp.", "au.", "ca.", "global.")
"""What an inference profile puts before its model's id."""


def tokenizer_of(model_id: str) -> Tokenizer:
    """Of a model's or an inference profile's id."""
    profile = next((profile for profile in _PROFILES if model_id.startswith(profile)), "")
    name = model_id.removeprefix(profile)
    return next((known for known in TOKENIZERS if name.startswith(known.model_prefix)), _UNKNOWN)


class ModelTokens(msgspec.Struct, frozen=True, kw_only=True):
    """What a model would read of the measured lines."""

    model_id: str
    input_tokens: int
    """As the model counts: reported by the lines' producers, counted by ours, or estimated from that."""
    reported: int
    """Part of them that producers reported."""
    estimated: bool
    """Whether any part is more than a count of the model's own tokens."""
    encoding: TokenEncoding
    factor: Decimal
    source: str
    """Where `factor` is from."""


def model_tokens(totals: TokenTotals, model_id: str) -> ModelTokens:
    tokenizer = tokenizer_of(model_id)
    counted = counted_tokens(totals, tokenizer)
    return ModelTokens(
        model_id=model_id,
        input_tokens=int(counted.to_integral_value(ROUND_CEILING)) + totals.reported_input,
        reported=totals.reported_input,
        estimated=is_estimated(totals, tokenizer),
        encoding=tokenizer.encoding,
        factor=tokenizer.factor,
        source=tokenizer.source,
    )


def counted_tokens(totals: TokenTotals, tokenizer: Tokenizer) -> Decimal:
    """The model's tokens of the lines that report none."""
    cl100k, o200k = totals.cl100k, totals.o200k
    if tokenizer.encoding == "o200k_base":
        return (o200k + cl100k * O200K_PER_CL100K) * tokenizer.factor
    return (cl100k + o200k / O200K_PER_CL100K) * tokenizer.factor


def is_estimated(totals: TokenTotals, tokenizer: Tokenizer) -> bool:
    """False where all that was counted was counted with the model's own tokenizer."""
    foreign = totals.cl100k if tokenizer.encoding == "o200k_base" else totals.o200k
    return bool(foreign) or (not tokenizer.exact and bool(totals.cl100k + totals.o200k))
