"""`mockupaws replay`: publishes a range of accepted requests again."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mockupaws.archive.replay.choose_requests import ReplayRange
from mockupaws.archive.replay.replay_requests import ReplayTotals, replay_requests
from mockupaws.cli.operated_settings import operated_settings
from mockupaws.cli.record_in_audit_log import record_as_operator, tenants_of_scenario
from mockupaws.runtime.errors import PermanentError


class UnknownScenarioError(PermanentError):
    """A slip in the id would pass for a range without requests."""


def replay(
    scenario: Annotated[UUID, typer.Option(help="The scenario whose requests are taken.")],
    from_: Annotated[str, typer.Option("--from", help="Received at or after this time (RFC 3339; UTC if unsaid).")],
    to: Annotated[str, typer.Option("--to", help="Received before this time.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be published; publish nothing.")] = False,
    rate: Annotated[float | None, typer.Option(min=1, help="Publish at most this many lines per second.")] = None,
) -> None:
    """Publishes a range of accepted requests again, with their ids: what is stored stays, what is missing is added."""
    wanted = ReplayRange(scenario, parse_time(from_, "--from"), parse_time(to, "--to"))
    if wanted.from_us >= wanted.to_us:
        raise typer.BadParameter("must be later than --from", param_hint="--to")
    settings = operated_settings(os.environ)
    tenants = asyncio.run(tenants_of_scenario(settings, scenario))
    if not tenants:
        raise UnknownScenarioError(f"there is no scenario {scenario}, and never was: nothing was published")
    if not dry_run:
        details = {"from_us": wanted.from_us, "to_us": wanted.to_us}
        asyncio.run(record_as_operator(settings, tenants, "scenario.replayed", str(scenario), details))
    columns = (TextColumn("reading records"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=None)

        def show(totals: ReplayTotals) -> None:
            progress.update(bar, total=totals.records_to_read, completed=totals.records_read)

        totals = asyncio.run(
            replay_requests(settings, wanted, dry_run=dry_run, lines_per_second=rate, on_progress=show)
        )
    verb = "would publish" if dry_run else "published"
    typer.echo(
        f"{verb} {totals.requests:,} requests with {totals.lines:,} lines ({totals.records_read:,} records read)"
    )
    if totals.undecodable:
        typer.echo(f"{totals.undecodable:,} records can't be decoded; they are in the dead letters")


def parse_time(text: str, option: str) -> int:
    """Epoch µs. Raises typer.BadParameter."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time like 2026-11-24T05:00:00Z", param_hint=option) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
