"""`mockupaws estimate`: the bill and the findings of log files, without any server."""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from mockupaws.cli.batch_entries import MAX_BATCH_BYTES
from mockupaws.cli.measure_files import REQUEST_LINES, Measured, measure_files
from mockupaws.cli.render_bill import (
    render_bill,
    render_patterns,
    render_pii,
    render_profile,
    render_quantities,
    render_sizes,
)
from mockupaws.cli.render_comparison import render_comparison, render_influences, render_suggestions
from mockupaws.cost_model.architecture import PRESETS, Architecture, architecture_of, preset_architecture
from mockupaws.cost_model.bill import Bill, bill, bill_document
from mockupaws.cost_model.compare_estimates import compare_estimates
from mockupaws.cost_model.pattern_costs import PatternCost, PatternTotals, price_patterns
from mockupaws.cost_model.price_file import prices_in_force
from mockupaws.cost_model.projection import project_month
from mockupaws.cost_model.quantities import Quantities, quantities_of_deltas, volume_step, volumes_of_minutes
from mockupaws.cost_model.sensitivity import influences
from mockupaws.cost_model.snapshot import decode_snapshot, snapshot_of
from mockupaws.cost_model.suggestions import suggestions
from mockupaws.cost_model.tokenizers import model_tokens, tokenizer_of
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.errors import PermanentError, PipelineError
from mockupaws.runtime.replace_file import replace_file
from mockupaws.runtime.settings import Settings

MAX_PERCENT = 1_000_000
_MINUTE_SECONDS = 60
_NO_SPAN = "The lines name no span of time; --hours H adds the bill of a month like them, H being what the files cover."


class BadLimitError(PermanentError):
    """What was given as --fail-above is no limit."""


class NothingToCompareError(PermanentError):
    """The files hold no line, which would pass for the cheapest release of all."""


class NoArchitectureError(PermanentError):
    """The file given as architecture holds no JSON."""


def estimate(
    files: Annotated[list[str], typer.Argument(help="Log files: text or JSON, plain or compressed; - is stdin.")],
    architecture: Annotated[
        Path | None, typer.Option(help="JSON file: region, queue, function, model, and so on. [default: AWS's own]")
    ] = None,
    preset: Annotated[str | None, typer.Option(help=f"Start from one of: {', '.join(PRESETS)}.")] = None,
    region: Annotated[str | None, typer.Option(help="Region, instead of the architecture's.")] = None,
    hours: Annotated[
        float | None,
        typer.Option(min=0.02, max=87_600, help="Time the files cover. [default: by the lines' own times]"),
    ] = None,
    source: Annotated[str | None, typer.Option(help="Source of lines that name none. [default: file name]")] = None,
    patterns: Annotated[
        int, typer.Option(min=0, max=100, help="Also the N templates of lines that cost most: what to cut first.")
    ] = 0,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Also what moves the bill most, and what to change.")
    ] = False,
    save: Annotated[
        Path | None, typer.Option(help="Keep all the bill is made of in this file, for --baseline.")
    ] = None,
    baseline: Annotated[Path | None, typer.Option(help="Compare with an estimate that was kept.")] = None,
    fail_above: Annotated[
        str | None, typer.Option(help="Exit code 3 where the likely total is by more percent above the baseline's: 5%.")
    ] = None,
    per_million_lines: Annotated[
        bool, typer.Option("--per-million-lines", help="Compare the cost of a million lines, not of a month.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Prints what log files would cost on AWS and what they leak. Needs no server and sends nothing."""
    try:
        allowed = _percent(fail_above, baseline)
        plan = _read_architecture(architecture, preset, region)
        before = None if baseline is None else decode_snapshot(baseline.read_bytes())
        encoding = tokenizer_of(plan.model.id).encoding
        wanted = patterns > 0 or suggest
        measured = measure_files(files, source, SystemClock().now_us(), encoding=encoding, patterns=wanted)
        quantities = quantities_of(measured, hours)
        if before is not None and not quantities.entries:
            raise NothingToCompareError(f"no line stands in {', '.join(files)}: nothing to compare with {baseline}")
        prices = prices_in_force(Settings.from_environ(os.environ))
        snapshot = snapshot_of(quantities, plan, prices)
        if save is not None:
            replace_file(save, snapshot.encode())
    except (PipelineError, OSError) as error:
        Console(stderr=True).print(f"error: {error}", markup=False)
        raise typer.Exit(1) from None
    no_span = quantities.span_seconds <= _MINUTE_SECONDS
    month = project_month(quantities, plan.growth)
    costs = bill(quantities, plan, prices, month)
    dearest = _dearest(measured, costs) if wanted else []
    advice = suggestions(quantities, plan, prices, month, dearest) if suggest else []
    moved = influences(quantities, plan, prices, month) if suggest else []
    comparison = None
    if before is not None:
        comparison = compare_estimates(
            before, snapshot, prices, per_million_lines=per_million_lines, allowed_percent=allowed
        )
    if as_json:
        document = _document(measured, quantities, plan)
        document |= {"estimate_id": snapshot.estimate_id, "costs": bill_document(costs)}
        document["notes"] = [_NO_SPAN] if no_span else []
        if patterns:
            document["patterns"] = [bill_document(pattern) for pattern in dearest[:patterns]]
        if suggest:
            document["influences"] = [bill_document(influence) for influence in moved]
            document["suggestions"] = [bill_document(suggestion) for suggestion in advice]
        if comparison is not None:
            document["comparison"] = bill_document(comparison)
        typer.echo(json.dumps(document, indent=1))
    else:
        console = Console(highlight=False)
        if comparison is None:
            console.print(render_quantities(quantities))
            if told := measured.counts.peculiarities():
                console.print(f"Of the lines: {told}.", markup=False)
            console.print(render_pii(quantities))
            if measured.minutes and hours is None:
                console.print(_span_text(measured.minutes), markup=False)
            console.print(render_sizes(quantities))
            console.print(render_profile(measured.profile(quantities)))
            console.print(render_bill(costs))
            if no_span:
                console.print(_NO_SPAN)
        else:
            console.print(render_comparison(comparison))
        if patterns:
            console.print(render_patterns(dearest[:patterns]))
        if suggest:
            console.print(render_influences(moved))
            console.print(render_suggestions(advice))
        if save is not None:
            console.print(f"kept as {snapshot.estimate_id} in {save}", markup=False)
    if comparison is not None and comparison.exceeded:
        raise typer.Exit(3)


def _span_text(minutes: Counter[int]) -> str:
    first, last = (f"{datetime.fromtimestamp(minute, UTC):%Y-%m-%d %H:%M}" for minute in (min(minutes), max(minutes)))
    return f"The lines' own times go from {first} to {last} UTC; --hours H takes another span."


def _percent(text: str | None, baseline: Path | None) -> Decimal | None:
    """`5`, `5%`, `0.5 %`. Raises BadLimitError."""
    if text is None:
        return None
    if baseline is None:
        raise BadLimitError("--fail-above needs --baseline: a file that `estimate --save` wrote")
    try:
        percent = Decimal(text.strip().removesuffix("%").strip())
    except InvalidOperation:
        percent = Decimal("NaN")
    if not percent.is_finite() or not 0 <= percent <= MAX_PERCENT:
        raise BadLimitError(f"--fail-above must be a percentage from 0 to {MAX_PERCENT:,}, as 5%")
    return percent


def _dearest(measured: Measured, costs: Bill) -> list[PatternCost]:
    found = measured.patterns.patterns()
    totals = [PatternTotals(p.template, p.entries, p.size_bytes, p.tokens, p.sqs_blocks) for p in found]
    return price_patterns(totals, costs.month)


def quantities_of(measured: Measured, hours: float | None) -> Quantities:
    """The totals a scenario has after `send` of the same files, over the time the lines themselves tell.

    A served scenario's time is when its lines arrived, so only its span differs.
    """
    totals = quantities_of_deltas(measured.deltas)
    requests = max(-(-totals.entries // REQUEST_LINES), -(-totals.size_bytes // MAX_BATCH_BYTES))
    totals = dataclasses.replace(totals, requests=requests)
    if hours is not None and totals.entries:
        last, spanned = totals.first_minute or 0, max(1, round(hours * 60))
        first = last - (spanned - 1) * _MINUTE_SECONDS
        return dataclasses.replace(totals, first_minute=first, active_minutes=spanned, volumes={})
    minutes = measured.minutes
    if not minutes or not totals.entries:
        return totals
    step = volume_step(min(minutes), max(minutes))
    return dataclasses.replace(
        totals,
        first_minute=min(minutes),
        last_minute=max(minutes),
        active_minutes=len(minutes),
        volumes=volumes_of_minutes(minutes, step),
        volume_seconds=step,
    )


def _read_architecture(path: Path | None, preset: str | None, region: str | None) -> Architecture:
    document: Any = {}
    if path is not None:
        try:
            document = msgspec.json.decode(path.read_bytes())
        except msgspec.DecodeError as error:
            raise NoArchitectureError(f"{path} holds no JSON: {error}") from None
    if region is not None and isinstance(document, dict):
        document["region"] = region
    return architecture_of(document) if preset is None else preset_architecture(preset, document)


def _document(measured: Measured, quantities: Quantities, plan: Architecture) -> dict[str, Any]:
    return {
        "read": dataclasses.asdict(measured.counts),
        "totals": {
            "entries": quantities.entries,
            "bytes": quantities.size_bytes,
            "tokens": quantities.tokens,
            "sqs_blocks": quantities.sqs_blocks,
            "pii_entries": quantities.pii_entries,
            "pii": quantities.pii,
            "sizes": {str(bound): lines for bound, lines in quantities.sizes.items()},
            "span_seconds": quantities.span_seconds,
        },
        "model_tokens": bill_document(model_tokens(quantities.token_totals, plan.model.id)),
        "profile": bill_document(measured.profile(quantities)),
    }
