"""`mockupaws down`: stops everything `mockupaws up` started here; data stays."""

from __future__ import annotations

import os
import signal

import psutil
import typer

from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.embedded.supervisor import end_leftovers, read_state
from mockupaws.runtime.settings import Settings

STOP_SECONDS = 150
"""More than the stages' own limits together."""


def down() -> None:
    """Stops all processes of this installation and waits until they are gone. Data stays."""
    settings = Settings.from_environ(os.environ)
    if not Installation.exists(settings):
        typer.echo(f"nothing is running in {settings.home.absolute()}")
        return
    installation = Installation.open(settings)
    state = read_state(installation.state_file)
    if state is None:
        end_leftovers(installation.state_file)
        typer.echo("nothing is running")
        return
    typer.echo("stopping ...")
    supervisor = psutil.Process(int(state["supervisor"]["pid"]))
    supervisor.send_signal(signal.SIGTERM)
    try:
        supervisor.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        supervisor.kill()
        end_leftovers(installation.state_file)
    typer.echo("stopped; the data stays in " + str(installation.home))
