"""`mockupaws dead-letters list|show|redrive`: what could not be processed, and sending it on again."""

from __future__ import annotations

import asyncio
import base64
import os
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from mockupaws.cli.operated_settings import operated_settings
from mockupaws.cli.record_in_audit_log import append_as_operator, as_owner, record_as_operator
from mockupaws.cli.replay import parse_time
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.failpoints import enable_failpoints
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.analysed import decode_analysed
from mockupaws.schemas.dead_letters import REASONS, STATES, STEPS
from mockupaws.schemas.requests import decode_bundle, decode_request
from mockupaws.sinks.dead_letters.find_letters import find_letter, list_letters, tenants_of_letters
from mockupaws.sinks.dead_letters.redrive import UNREDRIVABLE
from mockupaws.sinks.dead_letters.redrive_letters import LetterFilter, RedriveTotals, redrive_letters

dead_letters = typer.Typer(no_args_is_help=True, help="Shows what could not be processed, and sends it on again.")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Tenant = Annotated[UUID | None, typer.Option(help="Only of this tenant.")]
Scenario = Annotated[UUID | None, typer.Option(help="Only of this scenario.")]
Reason = Annotated[str | None, typer.Option(help=f"Only with this reason: {', '.join(REASONS)}.")]
Step = Annotated[str | None, typer.Option(help=f"Only of this step: {', '.join(STEPS)}.")]
Since = Annotated[str | None, typer.Option(help="Failed at or after this time (RFC 3339; UTC if unsaid).")]


@dead_letters.command("list")
def list_(
    tenant: Tenant = None,
    scenario: Scenario = None,
    reason: Reason = None,
    step: Step = None,
    state: Annotated[str | None, typer.Option(help=f"Only in this state: {', '.join(STATES)}.")] = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects instead of lines.")] = False,
) -> None:
    """Lists letters, the newest first: id, time, state, attempts, reason, step, lines, tenant."""
    wanted = _filter(tenant, scenario, reason, step, since)
    _check(state, STATES, "--state")
    settings = _settings()
    rows = asyncio.run(list_letters(settings, wanted, state, limit))
    tenants = {row["tenant_id"] for row in rows} - {None}
    told = {"filter": {**_told(wanted), "state": state}}
    asyncio.run(record_as_operator(settings, tenants, "dead_letters.listed", "dead_letters", told))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode([dict(row) for row in rows])).decode())
    elif rows:
        for row in rows:
            typer.echo(_line_of(row))
    else:
        typer.echo("no dead letters")


@dead_letters.command()
def show(
    letter: Annotated[UUID, typer.Argument(help="The letter's id.")],
    payload: Annotated[bool, typer.Option("--payload", help="Also its lines as sent, with all personal data.")] = False,
) -> None:
    """Shows one letter: where and why it failed."""
    settings = _settings()
    row = asyncio.run(find_letter(settings, letter))
    if row is None:
        typer.echo(f"there is no dead letter {letter}", err=True)
        raise typer.Exit(1)
    tenants = {row["tenant_id"]} - {None}
    asyncio.run(record_as_operator(settings, tenants, "dead_letter.viewed", str(letter), {"payload": payload}))
    fields = dict(row)
    original: bytes = fields.pop("original")
    for name, value in fields.items():
        typer.echo(f"{name:17} {'-' if value is None else value}")
    typer.echo(f"{'size_bytes':17} {len(original)}")
    if row["reason"] in UNREDRIVABLE:
        typer.echo(f"{'redrive':17} impossible: {UNREDRIVABLE[row['reason']]}")
    if payload:
        typer.echo(readable(original))


@dead_letters.command()
def redrive(
    letters: Annotated[
        list[UUID] | None, typer.Argument(help="Ids of letters; none: all that the options choose.")
    ] = None,
    tenant: Tenant = None,
    scenario: Scenario = None,
    reason: Reason = None,
    step: Step = None,
    since: Since = None,
    everything: Annotated[bool, typer.Option("--all", help="All letters, where nothing else chooses.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be sent on; send nothing.")] = False,
    rate: Annotated[float | None, typer.Option(min=1, help="Send on at most this many lines per second.")] = None,
) -> None:
    """Sends letters on to the topic they came from. What fails again comes back, with one more attempt."""
    wanted = _filter(tenant, scenario, reason, step, since, letters)
    if wanted == LetterFilter() and not everything:
        raise typer.BadParameter("name letters, choose by an option, or say --all")
    settings = _settings()
    enable_failpoints(settings.failpoints)
    now = _EPOCH + timedelta(microseconds=SystemClock().now_us())
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=Console(stderr=True)) as progress:
        task = progress.add_task("redriving")

        def tell(totals: RedriveTotals) -> None:
            progress.update(task, description=f"{totals.letters:,} letters, {totals.lines:,} lines")

        if not dry_run:
            asyncio.run(_record_redrive(settings, wanted))
        totals = asyncio.run(
            redrive_letters(settings, wanted, now, dry_run=dry_run, lines_per_second=rate, on_progress=tell)
        )
    verb = "would redrive" if dry_run else "redrove"
    typer.echo(f"{verb} {totals.letters:,} letters with {totals.lines:,} lines")
    if totals.unredrivable:
        for name, why in UNREDRIVABLE.items():
            typer.echo(f"{totals.unredrivable:,} can't be redriven ({name}): {why}", err=True)
    missing = len(set(letters or ())) - totals.letters - totals.unredrivable
    if letters and missing:
        typer.echo(f"{missing:,} of the ids name no letter that waits: unknown, or redriven already", err=True)
    if letters and totals.letters < len(set(letters)):
        raise typer.Exit(1)


async def _record_redrive(settings: Settings, wanted: LetterFilter) -> None:
    """Each tenant is told of its own letters only."""
    ids_of_tenant = await tenants_of_letters(settings, wanted)
    async with as_owner(settings) as connection, connection.transaction():
        for tenant_id, ids in sorted(ids_of_tenant.items()):
            told = {"filter": {**_told(wanted), "ids": None if ids is None else [str(id_) for id_ in ids]}}
            await append_as_operator(connection, settings, [tenant_id], "dead_letters.redriven", "dead_letters", told)


def _told(wanted: LetterFilter) -> dict[str, Any]:
    """The filter as a tenant's audit log holds it."""
    return {
        "scenario_id": wanted.scenario_id and str(wanted.scenario_id),
        "reason": wanted.reason,
        "step": wanted.step,
        "since": wanted.since and wanted.since.isoformat(),
    }


def readable(original: bytes) -> str:
    """The lines as JSON where the bytes can be read, else base64."""
    for decode in (decode_request, decode_bundle, decode_analysed):
        try:
            return msgspec.json.encode(decode(original)).decode()
        except (msgspec.DecodeError, TypeError, ValueError):
            continue
    return f"base64:{base64.b64encode(original).decode()}"


def _settings() -> Settings:
    return operated_settings(os.environ)


def _filter(
    tenant: UUID | None,
    scenario: UUID | None,
    reason: str | None,
    step: str | None,
    since: str | None,
    ids: list[UUID] | None = None,
) -> LetterFilter:
    _check(reason, REASONS, "--reason")
    _check(step, STEPS, "--step")
    moment = None if since is None else _EPOCH + timedelta(microseconds=parse_time(since, "--since"))
    return LetterFilter(tenant_id=tenant, scenario_id=scenario, reason=reason, step=step, since=moment, ids=ids or None)


def _check(value: str | None, known: tuple[str, ...], option: str) -> None:
    if value is not None and value not in known:
        raise typer.BadParameter(f"{value!r} is none of {', '.join(known)}", param_hint=option)


def _line_of(row: Any) -> str:
    return (
        f"{row['id']}  {row['occurred_at']:%Y-%m-%dT%H:%M:%SZ}  {row['state']:9}  {row['attempts']}x  "
        f"{row['reason']:22}  {row['step']:13}  {len(row['entry_indexes']):6} lines  {row['tenant_id'] or '-'}"
    )
