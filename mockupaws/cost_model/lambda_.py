"""Lambda: one request an invocation, and its billed time × memory as GB-seconds; /tmp above 512 MB by its own meter."""

from __future__ import annotations

from decimal import Decimal

from mockupaws.cost_model.architecture import Architecture, Function
from mockupaws.cost_model.quantities import Traffic
from mockupaws.cost_model.usage import Range, Usage, attempts, calls, rounded_up

FREE_EPHEMERAL_MB = 512
_KB = 1024


def lambda_usage(traffic: Traffic, architecture: Architecture) -> list[Usage]:
    """An invocation has a time of its own whatever its number of lines, so lines that come alone cost the most."""
    function = architecture.function
    if not function.used:
        return []
    tried = attempts(function)
    planned = calls(traffic.entries, traffic.requests, function.batch_size)
    invocations = rounded_up(planned.times(tried))
    again = f" × {tried:.4f} attempts" if tried != 1 else ""
    seconds, duration = _seconds(traffic, function, invocations, tried)
    meter = f"lambda.{function.architecture}"
    usages = [
        Usage(
            "Lambda",
            "invocations",
            f"{meter}.requests",
            invocations,
            f"{traffic.entries:,} lines in invocations of up to {function.batch_size:,}{again}",
        ),
        Usage(
            "Lambda",
            "compute",
            f"{meter}.gb_seconds",
            seconds.times(Decimal(function.memory_mb) / 1024),
            f"{duration} × {function.memory_mb:,} MB / 1024",
        ),
    ]
    if function.ephemeral_mb > FREE_EPHEMERAL_MB:
        usages.append(
            Usage(
                "Lambda",
                "ephemeral storage",
                f"{meter}.ephemeral_gb_seconds",
                seconds.times(Decimal(function.ephemeral_mb - FREE_EPHEMERAL_MB) / 1024),
                f"{duration} × {function.ephemeral_mb - FREE_EPHEMERAL_MB:,} MB above 512 / 1024",
            )
        )
    return usages


def _seconds(traffic: Traffic, function: Function, invocations: Range, tried: Decimal) -> tuple[Range, str]:
    """Billed time of all invocations, and how it comes about."""
    measured = function.measured_duration
    if measured is not None:
        seconds = Range(
            invocations.low * measured.low_ms / 1000,
            invocations.likely * measured.likely_ms / 1000,
            invocations.high * measured.high_ms / 1000,
        )
        return seconds, f"{invocations.likely:,} invocations × {measured.likely_ms:,} ms (measured)"
    fixed = invocations.times(Decimal(function.duration_ms) / 1000)
    formula = f"{invocations.likely:,} invocations × {function.duration_ms:,} ms"
    if not function.duration_ms_per_kb:
        return fixed, formula
    kilobytes = Decimal(traffic.size_bytes) / _KB * tried
    by_size = kilobytes * function.duration_ms_per_kb / 1000
    per_kb = f"{function.duration_ms_per_kb:f}"
    return fixed + Range.of(by_size, by_size, by_size), f"({formula} + {kilobytes:,.0f} KB × {per_kb} ms)"
