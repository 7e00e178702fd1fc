"""Which input moves the month most: each is raised by a tenth, alone, and the likely total is computed again. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import msgspec

from mockupaws.cost_model.architecture import Architecture, ArchitectureError, architecture_document, architecture_of
from mockupaws.cost_model.bill import likely_total, likely_traffic
from mockupaws.cost_model.prices import PriceBook
from mockupaws.cost_model.projection import Projected
from mockupaws.cost_model.quantities import Quantities, TokenTotals, Traffic

STEP = Decimal("0.1")
_PLACES = Decimal("0.0001")
_INPUTS: tuple[tuple[str, ...], ...] = (
    ("queue", "batch_size"),
    ("queue", "pollers"),
    ("queue", "wait_seconds"),
    ("queue", "compressed_share"),
    ("function", "memory_mb"),
    ("function", "duration_ms"),
    ("function", "duration_ms_per_kb"),
    ("function", "batch_size"),
    ("function", "ephemeral_mb"),
    ("function", "failure_share"),
    ("model", "share_of_lines"),
    ("model", "prompt_tokens_per_line"),
    ("model", "cached_share"),
    ("model", "output_tokens_per_line"),
    ("log_group", "retention_days"),
    ("log_group", "stored_share"),
    ("log_group", "scanned_gb_per_month"),
    ("archive", "retention_days"),
    ("archive", "stored_share"),
    ("archive", "scanned_gb_per_month"),
    ("transfer_out_share",),
)


class Influence(msgspec.Struct, frozen=True, kw_only=True):
    input: str
    """`traffic.lines`, `traffic.bytes_per_line`, `traffic.tokens_per_line`, or a field of the architecture."""
    before: Decimal
    after: Decimal
    month_change: Decimal
    """Of the likely total."""
    elasticity: Decimal
    """Percent the total changes for each percent the input does; 0 moves nothing, 1 moves it in proportion."""


def influences(
    quantities: Quantities, architecture: Architecture, prices: PriceBook, month: Projected
) -> list[Influence]:
    """Strongest first. Inputs that are 0, or of a part that isn't used, are left out."""
    traffic = likely_traffic(quantities, month)
    total = likely_total(traffic, architecture, prices)
    found = []
    for name, before, after, changed in _variants(traffic, architecture, prices):
        change = changed - total
        relative = (after - before) / before
        elasticity = (change / total / relative).quantize(_PLACES) if total and relative else Decimal(0)
        found.append(Influence(input=name, before=before, after=after, month_change=change, elasticity=elasticity))
    return sorted(found, key=lambda influence: (-abs(influence.elasticity), influence.input))


def _variants(
    traffic: Traffic, architecture: Architecture, prices: PriceBook
) -> Iterator[tuple[str, Decimal, Decimal, Decimal]]:
    entries = Decimal(traffic.entries)
    if entries:
        tokens = traffic.tokens.cl100k + traffic.tokens.o200k + traffic.tokens.reported_input
        per_line = {
            "traffic.lines": (entries, _more_lines),
            "traffic.bytes_per_line": (traffic.size_bytes / entries, _larger_lines),
            "traffic.tokens_per_line": (tokens / entries, _more_tokens),
        }
        for name, (value, change) in per_line.items():
            if value:
                yield name, value, value * (1 + STEP), likely_total(change(traffic), architecture, prices)
    document = architecture_document(architecture)
    for path in _INPUTS:
        before = _value(document, path)
        if not before:
            continue
        for step in (STEP, -STEP):  # downwards where there is no more
            after = before * (1 + step)
            if _whole(document, path):
                after = after.to_integral_value(ROUND_CEILING if step > 0 else ROUND_FLOOR)
            try:
                changed = architecture_of(_with(document, path, after))
            except ArchitectureError:
                continue
            if after != before:
                yield ".".join(path), before, after, likely_total(traffic, changed, prices)
                break


def _value(document: dict[str, Any], path: tuple[str, ...]) -> Decimal | None:
    part = document if len(path) == 1 else document[path[0]]
    if not part.get("used", True):
        return None
    return Decimal(part[path[-1]])


def _whole(document: dict[str, Any], path: tuple[str, ...]) -> bool:
    part = document if len(path) == 1 else document[path[0]]
    return isinstance(part[path[-1]], int)


def _with(document: dict[str, Any], path: tuple[str, ...], value: Decimal) -> dict[str, Any]:
    written = int(value) if _whole(document, path) else format(value, "f")
    if len(path) == 1:
        return {**document, path[0]: written}
    return {**document, path[0]: {**document[path[0]], path[1]: written}}


def _more(count: int) -> int:
    """By STEP, rounded up."""
    return -(-count * 11 // 10)


def _more_lines(traffic: Traffic) -> Traffic:
    return dataclasses.replace(
        traffic,
        requests=_more(traffic.requests),
        entries=_more(traffic.entries),
        size_bytes=_more(traffic.size_bytes),
        tokens=TokenTotals(*map(_more, traffic.tokens)),
        sqs_blocks=_more(traffic.sqs_blocks),
        sqs_batched={batch: _more(requests) for batch, requests in traffic.sqs_batched.items()},
    )


def _larger_lines(traffic: Traffic) -> Traffic:
    """Chunks beyond the first of their call grow with the bytes."""
    batched = {}
    for batch, requests in traffic.sqs_batched.items():
        full = -(-traffic.entries // batch)
        batched[batch] = min(full, requests) + _more(max(requests - full, 0))
    return dataclasses.replace(
        traffic,
        size_bytes=_more(traffic.size_bytes),
        sqs_blocks=traffic.entries + _more(traffic.sqs_blocks - traffic.entries),
        sqs_batched=batched,
    )


def _more_tokens(traffic: Traffic) -> Traffic:
    more = TokenTotals(*map(_more, traffic.tokens))
    return dataclasses.replace(traffic, tokens=more._replace(reported_entries=traffic.tokens.reported_entries))
