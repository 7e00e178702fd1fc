"""`mockupaws capacity`: what an installation for a stream of log lines is made of. Needs no server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from mockupaws.cost_model.capacity import (
    CapacityError,
    Workload,
    compute_capacity,
    decode_constants,
    shipped_constants,
)
from mockupaws.cost_model.price_file import prices_in_force
from mockupaws.cost_model.render_capacity import render_capacity
from mockupaws.runtime.errors import PermanentError
from mockupaws.runtime.settings import Settings


class CapacityInputError(PermanentError):
    """Something that was given can't be computed with."""


def capacity(
    lines_per_second: Annotated[float, typer.Option(help="At the peak.")],
    line_bytes: Annotated[float, typer.Option(help="Mean size of a line.")] = 250,
    retention: Annotated[float, typer.Option(help="Days that lines stay in Postgres and archive.")] = 30,
    connections: Annotated[int, typer.Option(help="Clients connected at once; 0: few.")] = 0,
    region: Annotated[str, typer.Option(help="Region of the prices.")] = "eu-west-1",
    constants: Annotated[
        Path | None, typer.Option(help="Constants of another benchmark (make bench). [default: the release's]")
    ] = None,
) -> None:
    """Partitions, brokers, processes, Postgres, archive, network, cost a month, and the next bottleneck."""
    book = prices_in_force(Settings.from_environ(os.environ))
    if region not in book.regions():
        raise CapacityInputError(f"--region {region}: the price book has {', '.join(book.regions())}")
    workload = Workload(lines_per_second, line_bytes, retention, connections)
    try:
        known = decode_constants(constants.read_bytes()) if constants is not None else shipped_constants()
        typer.echo(render_capacity(compute_capacity(workload, known, book, region), known), nl=False)
    except (CapacityError, OSError) as error:
        raise CapacityInputError(str(error)) from None
