"""`mockupaws estimate`: the bill and the findings of log files, without any server."""

from __future__ import annotations

import dataclasses
import json
import os
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
from mockupaws.cost_model.architecture import Architecture, architecture_of
from mockupaws.cost_model.bill import Bill, bill, bill_document
from mockupaws.cost_model.pattern_costs import PatternCost, PatternTotals, price_patterns
from mockupaws.cost_model.price_file import prices_in_force
from mockupaws.cost_model.quantities import Quantities, quantities_of_deltas, volume_step, volumes_of_minutes
from mockupaws.cost_model.tokenizers import model_tokens, tokenizer_of
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.errors import PermanentError, PipelineError
from mockupaws.runtime.settings import Settings

_MINUTE_SECONDS = 60


class NoArchitectureError(PermanentError):
    """The file given as architecture holds no JSON."""


def estimate(
    files: Annotated[list[str], typer.Argument(help="Log files: text, JSON lines, gzip, Zstandard; - is stdin.")],
    architecture: Annotated[
        Path | None, typer.Option(help="JSON file: region, queue, function, model. [default: AWS's own defaults]")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Region, instead of the architecture's.")] = None,
    hours: Annotated[
        float | None, typer.Option(min=0.02, help="Time the files cover. [default: by the lines' own timestamps]")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Source of lines that name none. [default: file name]")] = None,
    patterns: Annotated[
        int, typer.Option(min=0, max=100, help="Also the N templates of lines that cost most: what to cut first.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Prints what log files would cost on AWS and what they leak. Needs no server and keeps nothing."""
    try:
        plan = _read_architecture(architecture, region)
        encoding = tokenizer_of(plan.model.id).encoding
        measured = measure_files(files, source, SystemClock().now_us(), encoding=encoding, patterns=patterns > 0)
    except (PipelineError, OSError) as error:
        Console(stderr=True).print(f"error: {error}", markup=False)
        raise typer.Exit(1) from None
    quantities = quantities_of(measured, hours)
    costs = bill(quantities, plan, prices_in_force(Settings.from_environ(os.environ)))
    dearest = _dearest(measured, costs)[:patterns]
    if as_json:
        document = _document(measured, quantities, plan) | {"costs": bill_document(costs)}
        if patterns:
            document["patterns"] = [bill_document(pattern) for pattern in dearest]
        typer.echo(json.dumps(document, indent=1))
        return
    console = Console(highlight=False)
    console.print(render_quantities(quantities))
    console.print(render_pii(quantities))
    console.print(render_sizes(quantities))
    console.print(render_profile(measured.profile(quantities)))
    console.print(render_bill(costs))
    if patterns:
        console.print(render_patterns(dearest))
    if quantities.span_seconds <= _MINUTE_SECONDS:
        console.print("The lines name no span of time; --hours H adds the bill of a month like them.")


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


def _read_architecture(path: Path | None, region: str | None) -> Architecture:
    document: Any = {}
    if path is not None:
        try:
            document = msgspec.json.decode(path.read_bytes())
        except msgspec.DecodeError as error:
            raise NoArchitectureError(f"{path} holds no JSON: {error}") from None
    if region is not None and isinstance(document, dict):
        document["region"] = region
    return architecture_of(document)


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
