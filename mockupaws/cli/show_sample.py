"""After the start: real log files of this machine through the running system, and what it found in them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import typer
from rich.console import Console

from mockupaws.cli.client_settings import ClientSettings
from mockupaws.cli.render_bill import render_bill, render_pii, render_quantities
from mockupaws.cost_model.bill import Bill
from mockupaws.cost_model.quantities import Quantities
from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.settings import CLIENT_VARIABLES, PREFIX

SYSTEM_LOGS = Path("/var/log")
MAX_FILES = 40
MAX_FILE_BYTES = 4 * 1024 * 1024
MAX_BYTES = 16 * 1024 * 1024
SEND_SECONDS = 180
REQUEST_SECONDS = 15.0


def show_sample(installation: Installation) -> None:
    """Sends the services' own logs and the system's readable ones, waits until they are stored, prints the bill.

    Everything stays on this machine. A failure is told and leaves the services running.
    """
    files = choose_files(installation.home / "logs")
    typer.echo(f"\nA real sample: {len(files)} log files of this machine, sent through the gateway")
    environ = {name: value for name, value in os.environ.items() if name.removeprefix(PREFIX) not in CLIENT_VARIABLES}
    environ["MOCKUPAWS_HOME"] = str(installation.home)  # not a key that the shell still holds of another installation
    try:
        sent = subprocess.run(
            [sys.executable, "-m", "mockupaws.cli.main", "send", "--", *map(str, files)],
            env=environ,
            check=False,
            timeout=SEND_SECONDS,
        )
        if sent.returncode != 0:
            typer.echo("the sample was not stored whole; the messages above say why", err=True)
        settings = ClientSettings.resolve({}, {}, installation.demo_file.read_text())
        quantities, bill = _fetch(settings)
    except (httpx.HTTPError, subprocess.TimeoutExpired, msgspec.MsgspecError) as error:
        typer.echo(f"the sample's bill can't be shown ({type(error).__name__})", err=True)
        return
    console = Console(highlight=False)
    console.print("\nWhat stands in the demo scenario now")
    console.print(render_quantities(quantities))
    console.print(render_pii(quantities))
    console.print(render_bill(bill))


def choose_files(own_logs: Path, system_logs: Path = SYSTEM_LOGS) -> list[Path]:
    """Our own logs, then the system's, smallest first, within the bounds on count and bytes."""
    chosen: list[Path] = []
    size = 0
    for path in (*sorted(own_logs.glob("*.log")), *_system_logs(system_logs)):
        file_bytes = path.stat().st_size
        if 0 < file_bytes <= MAX_FILE_BYTES and size + file_bytes <= MAX_BYTES and len(chosen) < MAX_FILES:
            chosen.append(path)
            size += file_bytes
    return chosen


def _system_logs(folder: Path) -> Iterator[Path]:
    names = ("*.log", "*/*.log", "syslog", "messages")
    found = {path for name in names for path in folder.glob(name) if path.is_file() and os.access(path, os.R_OK)}
    yield from sorted(found, key=lambda path: (path.stat().st_size, path))


def _fetch(settings: ClientSettings) -> tuple[Quantities, Bill]:
    with httpx.Client(
        base_url=f"{settings.api_url}/api/v1/scenarios/{settings.scenario_id}/",
        headers={"Authorization": f"Bearer {settings.api_key}"},
        timeout=REQUEST_SECONDS,
        trust_env=False,
    ) as client:
        summary: dict[str, Any] = client.get("summary").raise_for_status().json()
        costs = client.get("costs").raise_for_status().content
    quantities = Quantities(
        requests=summary["requests"],
        entries=summary["entries"],
        size_bytes=summary["bytes"],
        tokens=summary["tokens"],
        sqs_blocks=summary["sqs_blocks"],
        pii_entries=summary["pii_entries"],
        pii=summary["pii"],
    )
    return quantities, msgspec.json.decode(costs, type=Bill)
