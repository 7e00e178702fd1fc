"""What to change, ranked by what it saves in a month, each with its arithmetic. Pure.

A suggestion is a change of the architecture that could be sent to `what-if` as it is, or a template of lines to drop.
Whether a change is a good idea is for people to say: a cheaper model answers otherwise, larger batches wait longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import msgspec

from mockupaws.cost_model.architecture import Architecture, ArchitectureError, changed_architecture
from mockupaws.cost_model.bill import bill, likely_total, likely_traffic
from mockupaws.cost_model.pattern_costs import PatternCost
from mockupaws.cost_model.price_usage import Amounts, Estimate
from mockupaws.cost_model.prices import PriceBook
from mockupaws.cost_model.projection import Projected
from mockupaws.cost_model.quantities import Quantities
from mockupaws.cost_model.what_if import difference

MAX_SUGGESTIONS = 10
MODELS = 3
"""Cheaper models that are suggested, at most."""
TEMPLATES = 3
COMPRESSED_SHARE = Decimal("0.2")
CACHED_SHARE = Decimal("0.9")
MIN_CACHED_PROMPT = 1024
"""Tokens below which Bedrock caches no prompt of most models."""


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    saves: Amounts
    """Of the month: low, likely and high before less those after."""
    share: Decimal
    """Of the likely month."""
    change: dict[str, Any] | None
    """For `what-if`, or a PATCH of the scenario; None: not a change of the architecture."""
    arithmetic: list[str]
    """The items that change: quantity × price = amount, before and after."""
    caution: str = ""


def suggestions(
    quantities: Quantities,
    architecture: Architecture,
    prices: PriceBook,
    month: Projected,
    patterns: Iterable[PatternCost] = (),
) -> list[Suggestion]:
    """Largest saving first; changes that save nothing are left out. `patterns`: dearest first."""
    now = bill(quantities, architecture, prices, month).month
    traffic = likely_traffic(quantities, month)
    if not now.total.likely:
        return []
    ranked = []
    for title, change, caution in _candidates(architecture, prices):
        try:
            changed = changed_architecture(architecture, change)
        except ArchitectureError:
            continue  # for this architecture it is none
        saved = now.total.likely - likely_total(traffic, changed, prices)
        if saved > 0:
            ranked.append((saved, title, change, caution, changed))
    ranked.sort(key=lambda candidate: -candidate[0])
    found = []
    for _, title, change, caution, changed in _without_more_models(ranked)[:MAX_SUGGESTIONS]:
        after = bill(quantities, changed, prices, month)
        if len(after.month.unpriced) <= len(now.unpriced):  # what has no price saves nothing
            found.append(_suggestion(title, change, caution, now, after.month))
    found += [_drop(pattern, now) for pattern in list(patterns)[:TEMPLATES] if pattern.template and pattern.month_cost]
    return sorted(found, key=lambda suggestion: -suggestion.saves.likely)[:MAX_SUGGESTIONS]


Candidate = tuple[str, dict[str, Any], str]
_Ranked = tuple[Decimal, str, dict[str, Any], str, Architecture]


def _candidates(architecture: Architecture, prices: PriceBook) -> Iterator[Candidate]:
    queue, function, model = architecture.queue, architecture.function, architecture.model
    change: dict[str, Any]
    if queue.used:
        if queue.batch_size < 10:
            yield "Send and receive up to 10 messages a call", {"queue": {"batch_size": 10}}, "lines wait for a batch"
        if queue.wait_seconds < 20:
            yield "Poll for 20 s (long polling)", {"queue": {"wait_seconds": 20}}, ""
        if queue.type == "fifo":
            yield "Use a standard queue", {"queue": {"type": "standard"}}, "order and deduplication are then yours"
        if queue.compressed_share == 1:
            change = {"queue": {"compressed_share": str(COMPRESSED_SHARE)}}
            yield f"Compress messages to {COMPRESSED_SHARE:.0%}", change, "the ratio is assumed: measure it"
    if function.used:
        if function.architecture == "x86_64":
            yield "Run the function on arm64", {"function": {"architecture": "arm64"}}, "its code must run there"
        for batch_size in (100, 1000):
            if function.batch_size < batch_size:
                change = {"function": {"batch_size": batch_size}}
                yield f"Handle up to {batch_size:,} lines an invocation", change, "as long as its duration holds"
    if model.share_of_lines:
        for model_id in prices.models(architecture.region):
            if model_id != model.id:
                yield f"Use {model_id}", {"model": {"id": model_id}}, "answers differ: compare them first"
        if model.cached_share == 0 and model.prompt_tokens_per_line >= MIN_CACHED_PROMPT:
            change = {"model": {"cached_share": str(CACHED_SHARE)}}
            yield f"Cache the prompt ({CACHED_SHARE:.0%} read from it)", change, "the share is assumed"
        if model.share_of_lines > Decimal("0.1"):
            half = {"model": {"share_of_lines": format(model.share_of_lines / 2, "f")}}
            yield "Send half as many lines to the model", half, "decide which by a rule or a sample"
    if architecture.log_group.used:
        change = {"log_group": {"used": False}, "archive": {"used": True}}
        yield "Keep the lines in S3 instead of CloudWatch Logs", change, "queries are Athena's, minutes later"
        if architecture.log_group.retention_days > 7:
            yield "Keep logs for 7 days", {"log_group": {"retention_days": 7}}, ""
    if architecture.archive.used and architecture.archive.storage_class == "standard":
        change = {"archive": {"storage_class": "standard_ia"}}
        yield "Store objects as infrequently accessed", change, "reading them costs more; 30 days at least"


def _without_more_models(ranked: list[_Ranked]) -> list[_Ranked]:
    """Of the models only the cheapest few."""
    kept, models = [], 0
    for candidate in ranked:
        models += "id" in candidate[2].get("model", {})
        if "id" not in candidate[2].get("model", {}) or models <= MODELS:
            kept.append(candidate)
    return kept


def _suggestion(title: str, change: dict[str, Any], caution: str, now: Estimate, after: Estimate) -> Suggestion:
    saved = difference(after, now).total
    lines = [
        f"{item.service} {item.name}: {_product(now, item.service, item.name)} → "
        f"{_product(after, item.service, item.name)}"
        for item in difference(now, after).items
    ]
    share = (saved.likely / now.total.likely).quantize(Decimal("0.0001"))
    return Suggestion(title=title, saves=saved, share=share, change=change, arithmetic=lines, caution=caution)


def _product(estimate: Estimate, service: str, name: str) -> str:
    parts = [
        f"{item.quantity.likely.normalize():,f} × {item.unit_price:f} / {item.unit} = {item.amount.likely:.4f}"
        for item in estimate.items
        if (item.service, item.name) == (service, name)
    ]
    return " + ".join(parts) or "nothing"


def _drop(pattern: PatternCost, now: Estimate) -> Suggestion:
    part = pattern.month_cost / now.total.likely
    return Suggestion(
        title=f"Drop lines like: {pattern.template}",
        saves=Amounts(now.total.low * part, pattern.month_cost, now.total.high * part),
        share=pattern.share_of_cost,
        change=None,
        arithmetic=[
            f"{pattern.entries:,} lines ({pattern.share_of_entries:.2%}), {pattern.share_of_bytes:.2%} of the bytes, "
            f"{pattern.share_of_tokens:.2%} of the tokens: {pattern.share_of_cost:.2%} of {now.total.likely:.4f}"
        ],
        caution="from a sample of redacted lines",
    )
