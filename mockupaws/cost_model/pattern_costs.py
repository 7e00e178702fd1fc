"""What each template of a scenario's lines costs: its share of what the bill counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

import msgspec

from mockupaws.cost_model.price_usage import Estimate

_SHARE_PLACES = Decimal("0.0001")
_BY_TOKENS = frozenset({"Bedrock"})
_BY_BLOCKS = frozenset({"SQS"})
_BY_BYTES = frozenset({"CloudWatch Logs", "S3", "Athena", "Data transfer"})


class PatternTotals(NamedTuple):
    template: str
    entries: int
    size_bytes: int
    tokens: int
    sqs_blocks: int


class PatternCost(msgspec.Struct, frozen=True, kw_only=True):
    """All but the template are estimates, weighted from a sample."""

    template: str
    """What varies is `<n>` (numbers, digests) or `<*>`; empty for all lines that were in no template."""
    entries: int
    bytes: int
    tokens: int
    share_of_entries: Decimal
    share_of_bytes: Decimal
    share_of_tokens: Decimal
    share_of_cost: Decimal
    month_cost: Decimal
    """Its part of the month's likely total: Bedrock by tokens, SQS by 64 KiB chunks, logs, storage and transfer by
    bytes, all else by entries."""


def price_patterns(patterns: Iterable[PatternTotals], month: Estimate) -> list[PatternCost]:
    """Dearest first. The parts add up to the month's likely total."""
    known = list(patterns)
    total = PatternTotals("", *(sum(column) for column in list(zip(*known, strict=True))[1:])) if known else None
    if total is None:
        return []
    by_tokens = _amount(month, _BY_TOKENS)
    by_blocks = _amount(month, _BY_BLOCKS)
    by_bytes = _amount(month, _BY_BYTES)
    by_entries = month.total.likely - by_tokens - by_blocks - by_bytes
    costs = []
    for pattern in known:
        cost = (
            by_tokens * _part(pattern.tokens, total.tokens)
            + by_blocks * _part(pattern.sqs_blocks, total.sqs_blocks)
            + by_bytes * _part(pattern.size_bytes, total.size_bytes)
            + by_entries * _part(pattern.entries, total.entries)
        )
        costs.append(
            PatternCost(
                template=pattern.template,
                entries=pattern.entries,
                bytes=pattern.size_bytes,
                tokens=pattern.tokens,
                share_of_entries=_share(pattern.entries, total.entries),
                share_of_bytes=_share(pattern.size_bytes, total.size_bytes),
                share_of_tokens=_share(pattern.tokens, total.tokens),
                share_of_cost=_share(cost, month.total.likely),
                month_cost=cost,
            )
        )
    return sorted(costs, key=lambda pattern: (-pattern.month_cost, -pattern.entries, pattern.template))


def _amount(month: Estimate, services: frozenset[str]) -> Decimal:
    return sum((item.amount.likely for item in month.items if item.service in services), Decimal(0))


def _part(part: int, whole: int) -> Decimal:
    return Decimal(part) / whole if whole else Decimal(0)


def _share(part: int | Decimal, whole: int | Decimal) -> Decimal:
    return (Decimal(part) / Decimal(whole)).quantize(_SHARE_PLACES) if whole else Decimal(0)
