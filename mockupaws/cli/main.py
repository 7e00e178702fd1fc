"""The command `mockupaws`. A command's module is imported only when it is called, so that small ones are quick."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Annotated

import typer

from mockupaws.runtime.errors import PipelineError

COMMANDS = {
    "up": "Starts everything, sends a real sample and prints what it would cost.",
    "down": "Stops everything; data stays.",
    "status": "Shows each process, its state and its lag.",
    "send": "Ships log files and waits until every line is stored.",
    "tail": "Shows stored lines as they arrive.",
    "dead-letters": "Shows what could not be processed, and sends it on again.",
    "replay": "Publishes a range of accepted requests again.",
    "estimate": "Prints the bill of log files; needs no server.",
    "capacity": "Computes what an installation for a stream of lines is made of; needs no server.",
    "prices": "Updates, audits and shows the price book.",
    "analyse": "Prints what each line of a file holds; needs no server.",
    "canary": "Sends marked lines through the live system: loss, duplication, freshness.",
    "migrate": "Brings schema and topics of an installation elsewhere to this release.",
    "tenants": "Shows and adds tenants, and what each may use.",
    "audit": "Checks that the log of who did what is as it was written.",
    "doctor": "Checks what can be wrong, and says what to do.",
}
"""Name → what it is for. The function, or the Typer of its sub-commands, stands in the module of the same name."""


def app(arguments: Sequence[str] | None = None) -> None:
    """Runs one command. An error of ours is one line on stderr and exit code 2."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    application = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    application.callback()(_options)
    for name, purpose in COMMANDS.items():
        command = _load(name) if name in arguments[:1] else _not_called
        if isinstance(command, typer.Typer):
            application.add_typer(command, name=name, short_help=purpose)
        else:
            application.command(name, short_help=purpose)(command)
    try:
        application(arguments, prog_name="mockupaws")
    except PipelineError as error:
        sys.stderr.write(f"mockupaws: {error}\n")
        raise SystemExit(2) from None


def _load(name: str) -> Callable[..., None] | typer.Typer:
    module = name.replace("-", "_")
    command: Callable[..., None] | typer.Typer = getattr(importlib.import_module(f"mockupaws.cli.{module}"), module)
    return command


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mockupaws {metadata.version('mockupaws')}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """mockupAWS: what a workload would cost on AWS, and what its logs leak, from real log traffic."""


def _not_called() -> None:
    """Stands for the commands that this call only lists."""


if __name__ == "__main__":
    app()
