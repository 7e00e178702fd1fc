"""Tokens a producer reports with a line, as the log of a model call does: they win over any count of ours. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

USAGE_ATTRIBUTES: tuple[tuple[str, str], ...] = (
    ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),  # OpenTelemetry
    ("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),  # OpenTelemetry before 1.27
    ("usage.input_tokens", "usage.output_tokens"),  # Anthropic's answer
    ("usage.inputTokens", "usage.outputTokens"),  # Bedrock's Converse
    ("usage.prompt_tokens", "usage.completion_tokens"),  # OpenAI's answer
)
"""Names of a line's attributes, input and output. A dot may also be a level of nested objects. The first pair whose
input is a whole number wins; without an output it is 0."""

MAX_TOKENS = 100_000_000
"""A report above it is an error of its producer, and not believed."""

_ROOTS = frozenset(root for pair in USAGE_ATTRIBUTES for name in pair for root in (name, name.partition(".")[0]))

_IN_EACH_NAME = b"usage"


class Usage(NamedTuple):
    input_tokens: int
    output_tokens: int


def may_report_usage(encoded: bytes) -> bool:
    """False where attributes, as JSON, surely report nothing: to be asked of many together before anything dearer."""
    return _IN_EACH_NAME in encoded


def reported_usage(attributes_of: Iterable[Mapping[str, Any] | None]) -> dict[int, Usage]:
    """What each entry reports in its attributes, by its position; entries without a report are missing."""
    found: dict[int, Usage] = {}
    for position, attributes in enumerate(attributes_of):
        if attributes and not _ROOTS.isdisjoint(attributes):
            usage = _usage_of(attributes)
            if usage is not None:
                found[position] = usage
    return found


def _usage_of(attributes: Mapping[str, Any]) -> Usage | None:
    for input_name, output_name in USAGE_ATTRIBUTES:
        read = _tokens(_look_up(attributes, input_name))
        if read is not None:
            return Usage(read, _tokens(_look_up(attributes, output_name)) or 0)
    return None


def _look_up(attributes: Mapping[str, Any], name: str) -> Any:
    if name in attributes:
        return attributes[name]
    root, _, rest = name.partition(".")
    inner = attributes.get(root)
    return _look_up(inner, rest) if rest and isinstance(inner, dict) else None


def _tokens(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else None
