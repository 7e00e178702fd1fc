"""`mockupaws send`: ships log files to the gateway and waits until every line is stored."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mockupaws.cli.batch_entries import Batch, Batcher
from mockupaws.cli.client_settings import ClientSettings, read_demo_file
from mockupaws.cli.follow_log_files import FollowedFile
from mockupaws.cli.open_log_files import UnreadableFileError, is_packed
from mockupaws.cli.read_log_files import (
    Chunk,
    EntryReader,
    ReadCounts,
    default_source,
    read_chunks,
)
from mockupaws.cli.ship_batches import Patience, Shipper, Totals
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.errors import PipelineError
from mockupaws.schemas.requests import MAX_ENTRIES

STOPPED = 130
"""Exit code where Ctrl-C or SIGTERM ended the reading before the files' end: as shells have it."""
_FOLLOW_PAUSE_SECONDS = 0.5


class FileReading:
    """Reads the files of one run into batches; `position` and `counts` can be read meanwhile."""

    def __init__(self, batcher: Batcher, source: str | None, now_us: int) -> None:
        self._batcher = batcher
        self._source = source
        self._now_us = now_us
        self._readers: list[EntryReader] = []
        self._done_bytes = 0
        self.position = 0
        self.problems: list[UnreadableFileError] = []
        self.stop = threading.Event()
        self.unread = ""
        """What was not read because `stop` was set; empty where all was."""

    @property
    def counts(self) -> ReadCounts:
        total = ReadCounts()
        for reader in self._readers:
            total.add(reader.counts)
        return total

    def read_files(self, names: list[str]) -> Iterator[Batch]:
        for number, name in enumerate(names, start=1):
            reader, stopped, left = self._reader(name), False, len(names) - number
            try:
                for chunk in read_chunks(name, self._note_position):
                    stopped = self.stop.is_set()
                    if stopped:
                        break
                    yield from self._batches_of(reader, chunk)
            except UnreadableFileError as error:
                self.problems.append(error)  # what was read of it is sent, and so are the other files
            if stopped or (left and self.stop.is_set()):
                read = reader.counts.entries + reader.counts.empty_lines
                self.unread = f"{name} after its line {read}" + (f", and {left} more files" if left else "")
                break
            self._done_bytes = self.position
        yield from self._batcher.flush()

    def follow_files(self, names: list[str], *, from_end: bool = False) -> Iterator[Batch]:
        """Until `stop` is set. What is read is sent within the pause, full batch or not."""
        followed = [(FollowedFile(name, from_end=from_end), self._reader(name)) for name in names]
        while not self.stop.wait(_FOLLOW_PAUSE_SECONDS):
            for file, reader in followed:
                for chunk in file.read_new():
                    yield from self._batches_of(reader, chunk)
            yield from self._batcher.flush()
        for file, reader in followed:
            for chunk in file.finish():
                yield from self._batches_of(reader, chunk)
        yield from self._batcher.flush()

    def _reader(self, name: str) -> EntryReader:
        reader = EntryReader(self._source or default_source(name), self._now_us)
        self._readers.append(reader)
        return reader

    def _batches_of(self, reader: EntryReader, chunk: Chunk) -> Iterator[Batch]:
        for entry in reader.entries_of(chunk):
            yield from self._batcher.add(entry)

    def _note_position(self, position: int) -> None:
        self.position = self._done_bytes + position


def send(
    files: Annotated[list[str], typer.Argument(help="Log files: text or JSON, plain or compressed; - is stdin.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the files grow, until Ctrl-C.")] = False,
    from_end: Annotated[
        bool, typer.Option("--from-end", help="With --follow: only what is written from now on.")
    ] = False,
    scenario: Annotated[str | None, typer.Option(help="Id of the scenario the lines belong to.")] = None,
    source: Annotated[str | None, typer.Option(help="Source of lines that name none. [default: file name]")] = None,
    batch_lines: Annotated[int, typer.Option(min=1, max=MAX_ENTRIES, help="Lines in one request.")] = 1000,
    give_up_after: Annotated[float, typer.Option(help="Seconds without success before the run ends.")] = 120.0,
    ingest_url: Annotated[str | None, typer.Option(help="The gateway's address.")] = None,
    api_url: Annotated[str | None, typer.Option(help="The API's address.")] = None,
    api_key: Annotated[str | None, typer.Option(help="Key with the scopes ingest and read.")] = None,
) -> None:
    """Ships log files to the gateway, each line once, and waits until they are stored.

    Addresses, key and scenario come from the options, else from MOCKUPAWS_* variables, else from .mockupaws/demo.env.
    Each run sends the files anew: to send the same file twice is to store it twice. So let a --follow that is started
    again and again (by systemd, say) begin with --from-end.
    """
    console = Console(stderr=True)
    flags = {"ingest_url": ingest_url, "api_url": api_url, "api_key": api_key, "scenario_id": scenario}
    try:
        if from_end and not follow:
            raise PipelineError("--from-end goes with --follow: without it files are read to their end, once")
        check_files(files, follow)
        for name in (name for name in files if follow and not Path(name).exists()):
            console.print(f"{name} doesn't exist yet: it is read once it does", markup=False)
        demo_text = read_demo_file(Path(os.environ.get("MOCKUPAWS_HOME", ".mockupaws")))
        settings = ClientSettings.resolve(flags, os.environ, demo_text)
    except PipelineError as error:
        console.print(f"error: {error}", markup=False)
        raise typer.Exit(2) from None
    batcher = Batcher(settings.scenario_id, uuid.uuid4().hex, batch_lines)
    reading = FileReading(batcher, source, SystemClock().now_us())
    patience = Patience(give_up_after_seconds=give_up_after, receipts_seconds=give_up_after)
    batches = reading.follow_files(files, from_end=from_end) if follow else reading.read_files(files)
    totals, failure = asyncio.run(_run(settings, patience, reading, batches, _size_of(files), console))
    _print_totals(reading.counts, totals)
    failures = [*reading.problems, *([failure] if failure else [])]
    for problem in failures:
        console.print(f"error: {problem}", markup=False)
    if reading.unread:
        console.print(f"stopped: not sent is what stands in {reading.unread}", markup=False)
    typer.echo(f"stored = {totals.stored} of {reading.counts.entries} lines")
    if failures or totals.unconfirmed:
        raise typer.Exit(1)
    if reading.unread:
        raise typer.Exit(STOPPED)


async def _run(
    settings: ClientSettings,
    patience: Patience,
    reading: FileReading,
    batches: Iterator[Batch],
    total_bytes: int | None,
    console: Console,
) -> tuple[Totals, PipelineError | None]:
    limits = httpx.Limits(max_connections=patience.requests_in_flight + 1)
    _stop_on_interrupt(reading)
    no_proxy_for_loopback = {"all://127.0.0.1": None, "all://localhost": None}
    async with httpx.AsyncClient(limits=limits, mounts=no_proxy_for_loopback) as client:
        shipper = Shipper(settings, patience, client)
        with _progress(console) as progress:
            bar = progress.add_task("read", total=total_bytes, lines="")

            def show() -> None:
                totals = shipper.totals
                lines = f"{totals.accepted:,} accepted, {totals.stored:,} stored"
                lines += f", {totals.retries} retries" if totals.retries else ""
                progress.update(bar, completed=reading.position, lines=lines)

            try:
                await shipper.ship(batches, show)
            except PipelineError as error:
                reading.stop.set()
                return shipper.totals, error
            show()
    return shipper.totals, None


def _stop_on_interrupt(reading: FileReading) -> None:
    """The first Ctrl-C or SIGTERM ends the reading, and what is read is still delivered; the second ends the run."""
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        reading.stop.set()
        loop.remove_signal_handler(number)

    with contextlib.suppress(NotImplementedError, RuntimeError):  # not on Windows, nor outside the main thread
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)


def _progress(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[lines]}"))
    return Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal)


def check_files(files: list[str], follow: bool) -> None:
    """Before anything is sent. Raises PipelineError."""
    for name in files:
        if name == "-" and follow:
            raise PipelineError("--follow is for files; standard input is read to its end anyway")
        path = Path(name)
        if name == "-" or (follow and not path.exists()):
            continue
        if not path.is_file() or not os.access(path, os.R_OK):
            raise PipelineError(f"{name} is no readable file")
        if follow and is_packed(path):
            raise PipelineError(f"{name} is compressed, so it doesn't grow: send it without --follow")


def _size_of(files: list[str]) -> int | None:
    try:
        return sum(Path(name).stat().st_size for name in files)
    except OSError:
        return None


def _print_totals(read: ReadCounts, totals: Totals) -> None:
    told = read.peculiarities()
    typer.echo(f"read          {read.entries}" + (f"  ({told})" if told else ""))
    typer.echo(f"accepted      {totals.accepted}")
    typer.echo(f"rejected      {totals.rejected.total()}")
    for reason, lines in totals.rejected.most_common():
        typer.echo(f"  {lines} {reason}")
    typer.echo(f"dead-lettered {totals.dead_lettered}")
    if totals.retries:
        typer.echo(f"retries       {totals.retries}")
    if totals.unconfirmed:
        typer.echo(f"unconfirmed   {totals.unconfirmed}")
