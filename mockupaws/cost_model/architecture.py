"""What a scenario's logs would run through, in one region: queue, function, model, log group, archive, HTTP API.

Where AWS has a default, it is the default here too, so that an empty architecture is "what you'd get". A part that
isn't `used` costs nothing. All shares are from 0 to 1 and exact: JSON numbers or decimal strings.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mockupaws.runtime.errors import PermanentError
from mockupaws.schemas.http.explain import explained

MIN_POLL_MS = 20
"""A poll that finds nothing takes some time, however short it is meant to be."""
MAX_DECIMALS = 12
_MAX_GROWTH = Decimal(10)
_MAX_GB = Decimal(10**9)
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Milliseconds = Annotated[int, Meta(ge=1, le=900_000)]
Days = Annotated[int, Meta(ge=1, le=3653)]


class ArchitectureError(PermanentError):
    """An architecture that can't be: the message names the field and what it allows."""


def _shares(part: msgspec.Struct, *names: str) -> None:
    for name in names:
        _range(part, name, Decimal(0), Decimal(1))


def _range(part: msgspec.Struct, name: str, least: Decimal, greatest: Decimal) -> None:
    value: Decimal = getattr(part, name)
    exponent = value.as_tuple().exponent  # a word where the value is no number
    if not isinstance(exponent, int) or not least <= value <= greatest:
        raise ValueError(f"Expected `{name}` from {least:f} to {greatest:f}")
    if exponent < -MAX_DECIMALS:
        raise ValueError(f"Expected `{name}` with {MAX_DECIMALS} decimals at most")


class Queue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """SQS. Each log line is one message."""

    used: bool = True
    type: Literal["standard", "fifo"] = "standard"
    batch_size: Annotated[int, Meta(ge=1, le=10)] = 10
    """Messages in one SendMessageBatch, ReceiveMessage and DeleteMessageBatch, at most."""
    pollers: Annotated[int, Meta(ge=0, le=1000)] = 5
    """Consumers that poll all the time; Lambda's event source mapping starts with 5."""
    wait_seconds: Annotated[int, Meta(ge=0, le=20)] = 20
    """How long a poll waits for a message (long polling) before it is an empty receive; 0: short polling."""
    pause_ms: Annotated[int, Meta(ge=0, le=60_000)] = 0
    """What a consumer waits after an empty receive before it polls again."""
    compressed_share: Decimal = Decimal(1)
    """Bytes of a message left after compression; 1: sent as they are."""

    def __post_init__(self) -> None:
        _shares(self, "compressed_share")
        if self.wait_seconds * 1000 + self.pause_ms < MIN_POLL_MS:
            raise ValueError(f"Expected `pause_ms` of {MIN_POLL_MS} or more where `wait_seconds` is 0")


class MeasuredDuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Billed durations of the function as it runs elsewhere, say its 10th, 50th and 90th percentile."""

    low_ms: Milliseconds
    likely_ms: Milliseconds
    high_ms: Milliseconds

    def __post_init__(self) -> None:
        if not self.low_ms <= self.likely_ms <= self.high_ms:
            raise ValueError("Expected `low_ms` ≤ `likely_ms` ≤ `high_ms`")


class Function(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Lambda, fed by the queue. An invocation takes `duration_ms` and `duration_ms_per_kb` for each KB of its lines,
    or what was measured."""

    used: bool = True
    memory_mb: Annotated[int, Meta(ge=128, le=10240)] = 128
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    duration_ms: Milliseconds = 100
    """Billed time of one invocation, whatever the number of lines in it."""
    duration_ms_per_kb: Decimal = Decimal(0)
    """Time that is added for each KB (1,024 bytes) of lines."""
    measured_duration: MeasuredDuration | None = None
    """Stands for both durations where it is given."""
    ephemeral_mb: Annotated[int, Meta(ge=512, le=10240)] = 512
    """Size of /tmp; what is above 512 is billed."""
    batch_size: Annotated[int, Meta(ge=1, le=10_000)] = 10
    """Lines given to one invocation, at most."""
    failure_share: Decimal = Decimal(0)
    """Part of the invocations that fail and are repeated."""
    max_retries: Annotated[int, Meta(ge=0, le=100)] = 2
    """Repeats of an invocation, at most."""

    def __post_init__(self) -> None:
        _shares(self, "failure_share")
        _range(self, "duration_ms_per_kb", Decimal(0), Decimal(900_000))


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Bedrock, on demand; unused where no line goes to it."""

    id: Annotated[str, Meta(min_length=1, max_length=200)] = "anthropic.claude-haiku-4-5-20251001-v1:0"
    """A Bedrock model or inference profile id; one without a price makes its lines `unpriced`."""
    share_of_lines: Decimal = Decimal(1)
    """Part of the lines sent to the model: 0 (none) to 1 (all)."""
    prompt_tokens_per_line: Count = 0
    """Instructions sent along with each line."""
    cached_share: Decimal = Decimal(0)
    """Part of these read from the model's cache, at its price instead of that of input."""
    cache_write_share: Decimal = Decimal(0)
    """Part of these written to it, at the price of that."""
    output_tokens_per_line: Count = 0
    """Tokens the model answers for each line."""
    token_spread: Decimal = Decimal("0.15")
    """How far the model's own tokenizer may count below or above ours, as a share; an assumption, not a measurement."""

    def __post_init__(self) -> None:
        _shares(self, "share_of_lines", "cached_share", "cache_write_share", "token_spread")
        if self.cached_share + self.cache_write_share > 1:
            raise ValueError("Expected `cached_share` and `cache_write_share` to be 1 together at most")


class LogGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """CloudWatch Logs, standard class: what the same lines would cost there."""

    used: bool = False
    retention_days: Days = 30
    stored_share: Decimal = Decimal("0.3")
    """Bytes stored of each byte ingested: CloudWatch keeps lines compressed. An assumption."""
    scanned_gb_per_month: Decimal = Decimal(0)
    """What queries of Logs Insights read in a month."""

    def __post_init__(self) -> None:
        _shares(self, "stored_share")
        _range(self, "scanned_gb_per_month", Decimal(0), _MAX_GB)


class Archive(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """S3, queried by Athena."""

    used: bool = False
    storage_class: Literal["standard", "standard_ia", "glacier_flexible", "deep_archive"] = "standard"
    retention_days: Days = 30
    stored_share: Decimal = Decimal("0.2")
    """Bytes of an object for each byte of its lines (columns, compressed). An assumption."""
    object_mb: Annotated[int, Meta(ge=1, le=5120)] = 64
    """Size at which an object is written."""
    flush_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 300
    """Age at which it is written although it is smaller."""
    scanned_gb_per_month: Decimal = Decimal(0)
    """What queries of Athena read in a month."""

    def __post_init__(self) -> None:
        _shares(self, "stored_share")
        _range(self, "scanned_gb_per_month", Decimal(0), _MAX_GB)


class HttpApi(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """API Gateway, before the queue: one call for each request the lines came in."""

    used: bool = False
    type: Literal["http", "rest"] = "http"


class Growth(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which month is projected: the measured traffic grown by `share_per_month`, `months` times."""

    share_per_month: Decimal = Decimal(0)
    """0.1 is 10 % more each month; below 0 it shrinks."""
    months: Annotated[int, Meta(ge=0, le=60)] = 0

    def __post_init__(self) -> None:
        _range(self, "share_per_month", Decimal(-1), _MAX_GROWTH)


class Architecture(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    region: Annotated[str, Meta(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", max_length=30, examples=["eu-west-1"])] = (
        "us-east-1"
    )
    """Region code; one without prices makes its items `unpriced`."""
    api: HttpApi = HttpApi()
    queue: Queue = Queue()
    function: Function = Function()
    model: Model = Model()
    log_group: LogGroup = LogGroup()
    archive: Archive = Archive()
    transfer_out_share: Decimal = Decimal(0)
    """Bytes that leave AWS for the internet, for each byte of the lines."""
    growth: Growth = Growth()
    free_tier: bool = False
    """Take the account-wide monthly free quantities off the month's bill; they are shared with all else you run."""

    def __post_init__(self) -> None:
        _shares(self, "transfer_out_share")


PRESETS: dict[str, dict[str, Any]] = {
    "log-sqs-lambda": {"model": {"share_of_lines": "0"}},
    "log-llm-triage": {
        "model": {"share_of_lines": "0.1", "prompt_tokens_per_line": 400, "output_tokens_per_line": 60},
    },
    "cloudwatch-only": {
        "queue": {"used": False},
        "function": {"used": False},
        "model": {"share_of_lines": "0"},
        "log_group": {"used": True},
    },
    "s3-athena": {
        "queue": {"used": False},
        "function": {"used": False},
        "model": {"share_of_lines": "0"},
        "archive": {"used": True, "scanned_gb_per_month": "100"},
    },
}
"""Starting points by name: each a part of an architecture, merged into the defaults."""


def architecture_of(document: Any) -> Architecture:
    """Checks a decoded JSON document. Raises ArchitectureError naming the field, as `$.queue.batch_size`."""
    try:
        return msgspec.convert(document, Architecture, strict=True)
    except msgspec.ValidationError as error:
        raise ArchitectureError(_with_path(explained(str(error), Architecture))) from None


def architecture_document(architecture: Architecture) -> dict[str, Any]:
    """The JSON document `architecture_of` makes this architecture of."""
    document: dict[str, Any] = msgspec.to_builtins(architecture)
    return document


def changed_architecture(architecture: Architecture, change: Any) -> Architecture:
    """Applies a partial document (RFC 7396: objects merge, null means the default) and checks the outcome."""
    if not isinstance(change, dict):
        raise ArchitectureError("Expected `object` - at `$`")
    return architecture_of(_merged(architecture_document(architecture), change))


def preset_architecture(name: str, change: Any = None) -> Architecture:
    """A preset, changed as `changed_architecture` does. Raises ArchitectureError, also for a name that is none."""
    if name not in PRESETS:
        raise ArchitectureError(f"no preset `{name}`: use one of {', '.join(PRESETS)} - at `$`")
    return changed_architecture(architecture_of(PRESETS[name]), change or {})


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
