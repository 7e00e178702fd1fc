"""`mockupaws prices update|audit|show`: the price book, anew from AWS's price list, compared, and looked into."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from mockupaws.cli.fetch_offers import MAX_OFFER_BYTES, OFFER_SECONDS, Fetched, PriceList
from mockupaws.cli.render_prices import render_audit, render_rows
from mockupaws.cost_model.bill import bill_document
from mockupaws.cost_model.compare_books import audit_books
from mockupaws.cost_model.offer_files import OFFERS, REGION_PREFIXES, merged_book
from mockupaws.cost_model.price_file import price_file, prices_in_force, read_price_file
from mockupaws.cost_model.prices import PriceBook, shipped_book, shipped_book_names
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.errors import PermanentError
from mockupaws.runtime.outgoing_url import OutgoingCalls, parse_networks
from mockupaws.runtime.replace_file import replace_file
from mockupaws.runtime.settings import Settings

prices = typer.Typer(no_args_is_help=True, help="The price book: update, audit, show.")

MAX_AGE_DAYS = 90


class UnknownBookError(PermanentError):
    """Neither a version of the price book nor a file."""


@prices.command()
def update(
    region: Annotated[list[str] | None, typer.Option(help="Only these regions. [default: the book's]")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Where the new book goes. [default: the file that is in force]")
    ] = None,
) -> None:
    """Reads AWS's public price list and writes a new book. Needs no AWS account.

    Prices that can't be read now are taken from the last reading, and said to be; where there was none they stay.
    Exit code 1, and no new book, where nothing at all could be read.
    """
    settings = Settings.from_environ(os.environ)
    before = prices_in_force(settings)
    wanted = tuple(region or before.regions())
    unknown = [name for name in wanted if name not in REGION_PREFIXES]
    if unknown:
        raise UnknownBookError(f"no such region in the price list: {', '.join(unknown)}")
    today = _today()
    fetched = asyncio.run(fetch(settings, wanted, today))
    console = Console(highlight=False)
    for line in fetched.missing:
        console.print(f"missing: {line}", markup=False)
    for line in fetched.stale:
        console.print(f"stale: {line}", markup=False)
    unclear = [line for part in fetched.prices for line in part.unclear]
    for line in unclear:
        console.print(f"unclear, left as it was: {line}", markup=False)
    rows = [row for part in fetched.prices for row in part.rows]
    if not rows:
        Console(stderr=True).print("error: no price could be read; the book stays as it is", markup=False)
        raise typer.Exit(1)
    after = merged_book(before, rows, f"{today} (price list)", today)
    path = output or price_file(settings)
    replace_file(path, msgspec.json.encode(after))
    console.print(render_audit(audit_books(before, after, date.fromisoformat(today), MAX_AGE_DAYS)))
    console.print(f"{fetched.fresh} files read, {len(fetched.stale)} stale, {len(fetched.missing)} missing: {path}")


@prices.command()
def audit(
    before: Annotated[str | None, typer.Argument(help="A version or a file. [default: the release before]")] = None,
    after: Annotated[str | None, typer.Argument(help="A version or a file. [default: the book in force]")] = None,
    max_age_days: Annotated[int, typer.Option(min=0, help="Rows checked longer ago are listed.")] = MAX_AGE_DAYS,
    fail_above: Annotated[
        float | None, typer.Option(min=0, help="Exit code 3 where a price changed by more percent than this.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Compares two versions of the price book, and tells which rows are old or have one source only."""
    settings = Settings.from_environ(os.environ)
    new = _book(after) if after else prices_in_force(settings)
    names = shipped_book_names()
    old = (
        _book(before) if before else shipped_book(names[-2] if len(names) > 1 and new.name == names[-1] else names[-1])
    )
    found = audit_books(old, new, date.fromisoformat(_today()), max_age_days)
    if as_json:
        typer.echo(json.dumps(bill_document(found), indent=1))
    else:
        Console(highlight=False).print(render_audit(found))
    if fail_above is not None and any(change.percent and abs(change.percent) > fail_above for change in found.changes):
        raise typer.Exit(3)


@prices.command()
def show(
    meter: Annotated[str, typer.Argument(help="Part of a meter's name, as sqs or bedrock.amazon.nova.")] = "",
    region: Annotated[str | None, typer.Option(help="Only this region.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with every source.")] = False,
) -> None:
    """Lists rows of the book in force: price, unit, source, dates."""
    book = prices_in_force(Settings.from_environ(os.environ))
    rows = [row for row in book.rows if meter in row.meter and region in (None, row.region)]
    if as_json:
        typer.echo(json.dumps([bill_document(row) for row in rows], indent=1))
    else:
        Console(highlight=False).print(render_rows(book.name, rows))


async def fetch(settings: Settings, regions: tuple[str, ...], today: str) -> Fetched:
    calls = OutgoingCalls(
        parse_networks(settings.outgoing_allowed_networks),
        total_seconds=OFFER_SECONDS,
        max_answer_bytes=MAX_OFFER_BYTES,
    )
    price_list = PriceList(calls, settings.price_list_url, settings.home / "prices" / "offers")
    return await price_list.fetch(OFFERS, regions, today)


def _book(name: str) -> PriceBook:
    if name in shipped_book_names():
        return shipped_book(name)
    if not Path(name).exists():
        raise UnknownBookError(
            f"{name} is no file and no version of the price book ({', '.join(shipped_book_names())})"
        )
    return read_price_file(Path(name))


def _today() -> str:
    return datetime.fromtimestamp(SystemClock().now_us() / 1e6, UTC).date().isoformat()
