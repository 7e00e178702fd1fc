"""What a scenario's logs would run through: queue, function, model, in one region.

Where AWS has a default, it is the default here too, so that an empty architecture is "what you'd get".
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mockupaws.runtime.errors import PermanentError


class ArchitectureError(PermanentError):
    """An architecture that can't be: the message names the field and what it allows."""


class Queue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """SQS. Each log line is one message."""

    type: Literal["standard", "fifo"] = "standard"
    batch_size: Annotated[int, Meta(ge=1, le=10)] = 10
    """Messages in one SendMessageBatch, ReceiveMessage and DeleteMessageBatch, at most."""
    pollers: Annotated[int, Meta(ge=0, le=1000)] = 5
    """Receivers that poll all the time; Lambda's event source mapping starts with 5."""
    wait_seconds: Annotated[int, Meta(ge=1, le=20)] = 20
    """How long a poll waits for a message (long polling) before it is an empty receive."""


class Function(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Lambda, fed by the queue."""

    memory_mb: Annotated[int, Meta(ge=128, le=10240)] = 128
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    duration_ms: Annotated[int, Meta(ge=1, le=900_000)] = 100
    """Billed time of one invocation, whatever the number of lines in it."""
    batch_size: Annotated[int, Meta(ge=1, le=10_000)] = 10
    """Lines given to one invocation, at most."""


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bedrock, on demand."""

    id: Annotated[str, Meta(min_length=1, max_length=200)] = "anthropic.claude-haiku-4-5-20251001-v1:0"
    """A Bedrock model or inference profile id; one without a price makes its lines `unpriced`."""
    share_of_lines: Decimal = Decimal(1)
    """Part of the lines sent to the model: 0 (none) to 1 (all)."""
    prompt_tokens_per_line: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Instructions sent along with each line."""
    output_tokens_per_line: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Tokens the model answers for each line."""
    token_spread: Decimal = Decimal("0.15")
    """How far the model's own tokenizer may count below or above ours, as a share; an assumption, not a measurement."""

    def __post_init__(self) -> None:
        for name in ("share_of_lines", "token_spread"):
            share: Decimal = getattr(self, name)
            if not share.is_finite() or not 0 <= share <= 1:
                raise ValueError(f"Expected `{name}` from 0 to 1")


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    region: Annotated[str, Meta(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", max_length=30)] = "us-east-1"
    """Region code; one without prices makes its items `unpriced`."""
    queue: Queue = Queue()
    function: Function = Function()
    model: Model = Model()
    free_tier: bool = False
    """Take the account-wide monthly free quantities off the month's bill; they are shared with all else you run."""


def architecture_of(document: Any) -> Architecture:
    """Checks a decoded JSON document. Raises ArchitectureError naming the field, as `$.queue.batch_size`."""
    try:
        return msgspec.convert(document, Architecture, strict=True)
    except msgspec.ValidationError as error:
        raise ArchitectureError(_with_path(str(error))) from None


def architecture_document(architecture: Architecture) -> dict[str, Any]:
    """The JSON document `architecture_of` makes this architecture of."""
    document: dict[str, Any] = msgspec.to_builtins(architecture)
    return document


def changed_architecture(architecture: Architecture, change: Any) -> Architecture:
    """Applies a partial document (RFC 7396: objects merge, null means the default) and checks the outcome."""
    if not isinstance(change, dict):
        raise ArchitectureError("Expected `object` - at `$`")
    return architecture_of(_merged(architecture_document(architecture), change))


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merged(merged[key], value)
        else:
            merged[key] = value
    return merged


def _with_path(message: str) -> str:
    return message if " - at `" in message else f"{message} - at `$`"
