"""`mockupaws tail`: prints a scenario's lines as they are stored, redacted; goes on where it was after a break."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import httpx
import msgspec
import typer
from rich.console import Console
from rich.text import Text

from mockupaws.cli.client_settings import ClientSettings, read_demo_file
from mockupaws.cli.ship_batches import RETRIED_STATUS, describe_answer, seconds_of
from mockupaws.cli.visible_text import visible
from mockupaws.runtime.errors import PipelineError

_SILENCE_SECONDS = 60.0
"""The server sends a comment more often than this; a longer silence is a dead connection."""
_LONGEST_PAUSE_SECONDS = 5.0
_STYLE_OF_LEVEL = {"error": "red", "fatal": "red", "critical": "red", "warn": "yellow", "warning": "yellow"}


class ServerEvent(msgspec.Struct, frozen=True):
    id: str
    kind: str
    data: str


class TailedLine(msgspec.Struct):
    """One stored line, as the API's `logs` gives it."""

    received_at: str
    message: str
    source: str = ""
    level: str = ""
    pii_types: list[str] = []


def tail(
    scenario: Annotated[str | None, typer.Option(help="Id of the scenario.")] = None,
    api_url: Annotated[str | None, typer.Option(help="The API's address.")] = None,
    api_key: Annotated[str | None, typer.Option(help="Key with the scope read.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, as the API sends it.")] = False,
) -> None:
    """Prints a scenario's lines as they are stored, redacted, until Ctrl-C."""
    notes = Console(stderr=True)
    lines = Console(highlight=False, soft_wrap=True)
    flags = {"ingest_url": "unused", "api_url": api_url, "api_key": api_key, "scenario_id": scenario}
    try:
        demo_text = read_demo_file(Path(os.environ.get("MOCKUPAWS_HOME", ".mockupaws")))
        settings = ClientSettings.resolve(flags, os.environ, demo_text)
        for event in follow_events(settings, notes):
            if as_json:
                typer.echo(event.data)
            else:
                lines.print(render_line(msgspec.json.decode(event.data, type=TailedLine)))
    except PipelineError as error:
        notes.print(f"error: {error}", markup=False)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def follow_events(settings: ClientSettings, notes: Console) -> Iterator[ServerEvent]:
    """Connects again after each break, from the last event on. Raises PipelineError where the API refuses."""
    url = f"{settings.api_url}/api/v1/scenarios/{settings.scenario_id}/tail"
    headers = {"Authorization": f"Bearer {settings.api_key}", "Accept": "text/event-stream"}
    pause = 0.2
    with httpx.Client(timeout=httpx.Timeout(10.0, read=_SILENCE_SECONDS)) as client:
        while True:
            try:
                with client.stream("GET", url, headers=headers) as answer:
                    if answer.status_code != 200:
                        answer.read()
                        if answer.status_code not in RETRIED_STATUS:
                            raise PipelineError(describe_answer(answer))
                        pause = max(pause, seconds_of(answer.headers.get("Retry-After")) or 0.0)
                    else:
                        for event in read_events(answer.iter_lines()):
                            pause = 0.2
                            if event.id:
                                headers["Last-Event-ID"] = event.id
                            if event.data and event.kind in ("message", "log"):
                                yield event
            except httpx.TransportError as error:
                notes.print(f"connection lost ({type(error).__name__}); connecting again", markup=False)
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def read_events(lines: Iterable[str]) -> Iterator[ServerEvent]:
    """Server-sent events of an event stream's lines; comments are skipped."""
    identifier, kind, data = "", "message", list[str]()
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield ServerEvent(identifier, kind, "\n".join(data))
            identifier, kind, data = "", "message", []
        elif name == "data":
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id":
            identifier = value


def render_line(line: TailedLine) -> Text:
    text = Text(f"{line.received_at} ", style="dim")
    text.append(f"{visible(line.level) or '-':<5} ", style=_STYLE_OF_LEVEL.get(line.level.lower(), "default"))
    text.append(f"{visible(line.source) or '-'} ", style="cyan")
    text.append(visible(line.message), style="default")
    if line.pii_types:
        text.append(f"  [{', '.join(line.pii_types)}]", style="magenta")
    return text
