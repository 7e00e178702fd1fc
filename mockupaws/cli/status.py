"""`mockupaws status`: each process, whether it is ready, and how far it is behind."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from mockupaws.cli.processes import PROBE_SECONDS, health_url
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.embedded.supervisor import read_state
from mockupaws.runtime.settings import Settings


def status(
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects instead of a table.")] = False,
) -> None:
    """Shows each process: pid, state, uptime, lag. Exits with 1 unless all of them are ready."""
    settings = Settings.from_environ(os.environ)
    processes = describe_processes(Installation.open(settings)) if Installation.exists(settings) else []
    if as_json:
        typer.echo(json.dumps(processes, indent=1))
    elif processes:
        Console().print(_table(processes))
    else:
        typer.echo(f"nothing is running in {settings.home.absolute()}; start it with: make up")
    if not processes or any(process["state"] != "ready" for process in processes):
        raise typer.Exit(1)


def describe_processes(installation: Installation) -> list[dict[str, Any]]:
    """One `{name, pid, state, uptime_seconds, lag_seconds, restarts, detail}` a process; empty where nothing runs."""
    state = read_state(installation.state_file)
    if state is None:
        return []
    now_us = SystemClock().now_us()
    running = installation.as_running()
    return [
        {
            "name": process["name"],
            "pid": process["pid"],
            "state": process["state"],
            "uptime_seconds": process["pid"] and round((now_us - (process["started_at_us"] or now_us)) / 1e6, 1),
            "restarts": process["restarts"],
            **_health(health_url(running, process["name"])),
        }
        for process in state["processes"]
    ]


def _health(url: str | None) -> dict[str, Any]:
    """`lag_seconds` (None: no input, or not known) and `detail`: why it isn't ready, empty where it is."""
    unknown: dict[str, Any] = {"lag_seconds": None, "detail": ""}
    if url is None:
        return unknown
    try:
        with urllib.request.urlopen(url, timeout=PROBE_SECONDS) as answer:  # noqa: S310 (an address of our own)
            body = answer.read()
    except urllib.error.HTTPError as error:
        body = error.read()
    except OSError:
        return unknown
    try:
        report = json.loads(body)
        lag, detail = report.get("lag_seconds"), report.get("detail") or {}
        return {
            "lag_seconds": None if lag is None else round(float(lag), 3),
            "detail": "" if report.get("ready") else "; ".join(f"{part}: {why}" for part, why in detail.items()),
        }
    except (ValueError, AttributeError):
        return unknown


def _table(processes: list[dict[str, Any]]) -> Table:
    table = Table("process", "pid", "state", "uptime", "lag", "restarts", box=None)
    for process in processes:
        lag = process["lag_seconds"]
        table.add_row(
            process["name"],
            str(process["pid"] or "-"),
            process["state"],
            f"{process['uptime_seconds'] or 0:,.0f} s",
            "-" if lag is None else f"{lag:,.1f} s",
            str(process["restarts"]),
        )
        if process["detail"]:
            table.add_row("", "", process["detail"])
    return table
