"""`mockupaws up`: starts the embedded default and, once it runs, shows it what it is for with a real sample."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import Annotated

import psutil
import typer

from mockupaws.cli.down import down
from mockupaws.cli.prepare import prepare
from mockupaws.cli.processes import own_plans, server_plans
from mockupaws.cli.show_sample import show_sample
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.embedded.kafka_jars import fetch_jars
from mockupaws.runtime.embedded.supervisor import ProcessPlan, Supervisor, SupervisorState, read_state
from mockupaws.runtime.settings import Settings
from mockupaws.runtime.telemetry import configure_logging

START_SECONDS = 240
"""Limit for the whole start; the supervisor's own limits end it sooner and say more."""
_LOOK_SECONDS = 0.1


def up(
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay attached; Ctrl-C stops everything.")] = False,
    sample: Annotated[bool, typer.Option(help="Send log files of this machine and print their bill.")] = True,
) -> None:
    """Starts Kafka, Postgres, Valkey and every process of ours, and waits until all of them are ready."""
    installation = Installation.open(Settings.from_environ(os.environ))
    if foreground:
        _supervise(installation)
        return
    state = read_state(installation.state_file)
    if state is not None:
        installation = _as_running(installation)
    if state is not None and state["phase"] == "up":
        typer.echo("mockupAWS is already up.")
        _print_addresses(installation)
        return
    if state is None:
        installation.check_public_ports()
        fetch_jars(typer.echo)
        supervisor = _start_detached(installation)
    else:
        supervisor = psutil.Process(int(state["supervisor"]["pid"]))  # another `up` is starting it: wait with it
    try:
        _follow_start(installation, supervisor)
    except KeyboardInterrupt:
        down()
        raise typer.Exit(130) from None
    if sample:
        show_sample(installation)
    _print_addresses(installation)


def _as_running(installation: Installation) -> Installation:
    """Tells where the settings name other addresses than those that are listened on."""
    running = installation.as_running()
    if running.settings != installation.settings:
        typer.echo(
            "It was started with other addresses than the settings name now; to change them: make down, make up."
        )
    return running


def _supervise(installation: Installation) -> None:
    """Becomes the supervisor; returns when it has stopped everything."""
    configure_logging("supervisor", installation.settings.log_level)
    asyncio.run(_run_stages(installation))  # uvloop can't start a process as another user


async def _run_stages(installation: Installation) -> None:
    supervisor = Supervisor(installation.state_file, installation.lock_file, SystemClock())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.stop)

    def servers() -> list[ProcessPlan]:
        installation.note_addresses()
        return server_plans(installation)

    await supervisor.run([servers, lambda: prepare(installation), lambda: own_plans(installation)])


def _start_detached(installation: Installation) -> psutil.Process:
    with installation.log_file("supervisor").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mockupaws.cli.main", "up", "--foreground"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return psutil.Process(process.pid)


def _follow_start(installation: Installation, supervisor: psutil.Process) -> None:
    """Prints each process as it becomes ready. Exits with 1 and the supervisor's last words where the start fails."""
    began = time.monotonic()
    shown: set[str] = set()
    while time.monotonic() - began < START_SECONDS:
        state = read_state(installation.state_file)
        for name in _ready(state) - shown:
            shown.add(name)
            typer.echo(f"  {name:<14} ready after {time.monotonic() - began:4.1f} s")
        if state is not None and state["phase"] == "up":
            return
        if not supervisor.is_running() or supervisor.status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(_LOOK_SECONDS)
    log_file = installation.log_file("supervisor")
    typer.echo("\n".join(log_file.read_text().splitlines()[-5:]), err=True)
    typer.echo(f"mockupAWS did not start; more in {log_file.parent}", err=True)
    raise typer.Exit(1)


def _ready(state: SupervisorState | None) -> set[str]:
    return {process["name"] for process in state["processes"] if process["state"] == "ready"} if state else set()


def _print_addresses(installation: Installation) -> None:
    settings = installation.settings
    typer.echo(
        f"""
  gateway    http://{settings.gateway_host}:{settings.gateway_port}/api/v1/ingest
  dashboard  http://{settings.api_host}:{settings.api_port}/
  API        http://{settings.api_host}:{settings.api_port}/api/v1/openapi.json
  sign-in, key and scenario of the demo tenant: {installation.demo_file}

  send logs:  .venv/bin/mockupaws send FILE...      stop:  make down"""
    )
