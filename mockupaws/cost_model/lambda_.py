"""Lambda: one request an invocation, and its billed time × memory as GB-seconds."""

from __future__ import annotations

from decimal import Decimal

from mockupaws.cost_model.architecture import Function
from mockupaws.cost_model.quantities import Traffic
from mockupaws.cost_model.usage import Range, Usage, calls


def lambda_usage(traffic: Traffic, function: Function) -> list[Usage]:
    """An invocation takes `duration_ms` whatever its number of lines, so lines that come alone cost the most."""
    invocations = calls(traffic.entries, traffic.requests, function.batch_size)
    each = Decimal(function.duration_ms) / 1000 * function.memory_mb / 1024
    gb_seconds = Range(invocations.low * each, invocations.likely * each, invocations.high * each)
    meter = f"lambda.{function.architecture}"
    return [
        Usage(
            "Lambda",
            "invocations",
            f"{meter}.requests",
            invocations,
            f"{traffic.entries:,} lines in invocations of up to {function.batch_size:,}",
        ),
        Usage(
            "Lambda",
            "compute",
            f"{meter}.gb_seconds",
            gb_seconds,
            f"{invocations.likely:,} invocations × {function.duration_ms:,} ms × {function.memory_mb:,} MB / 1024",
        ),
    ]
