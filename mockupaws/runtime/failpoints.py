"""Named points at each step's commit edges, where a fault test makes the process end, freeze or fail.

Off unless `MOCKUPAWS_FAILPOINTS` names a folder. A test arms a point of a running process by writing the action into a
file of the point's name there; the process that reaches it takes the file away first, so that each arming fires once,
also over restarts.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Literal

from mockupaws.runtime.errors import RetriableError

Failpoint = Literal[
    "gateway.before_produce",
    "gateway.after_acknowledged",
    "gateway.before_spooled",
    "gateway.after_spooled",
    "gateway.before_spool_deleted",
    "processor.before_send",
    "processor.after_send",
    "processor.after_acknowledged",
    "postgres_sink.before_transaction",
    "postgres_sink.after_offsets",
    "postgres_sink.before_commit",
    "postgres_sink.after_commit",
    "loss_detector.after_publish",
    "parquet_sink.before_put",
    "parquet_sink.after_put",
    "parquet_sink.before_commit",
    "parquet_sink.after_commit",
    "redrive.before_publish",
    "redrive.after_publish",
]
"""
gateway.before_produce           a bundle is about to be handed to the producer
gateway.after_acknowledged       the brokers have it, its requests have no answer yet
gateway.before_spooled           requests are about to be written to the spool
gateway.after_spooled            they are synced there, and have no answer yet
gateway.before_spool_deleted     the brokers have them from the spool, where they still stand
processor.before_send            a record is analysed, nothing of it is sent
processor.after_send             its answers are with the producer, not yet acknowledged
processor.after_acknowledged     its answers are durable, its offset isn't committed
postgres_sink.before_transaction a batch is decoded, nothing of it is written
postgres_sink.after_offsets      inside the transaction: the offsets have moved
postgres_sink.before_commit      inside the transaction: all is written
postgres_sink.after_commit       committed, the group in Kafka doesn't know
loss_detector.after_publish      lost records are on the brokers again, not marked as healed
parquet_sink.before_put          a batch is decoded, no object is put
parquet_sink.after_put           the objects are there, no manifest row names them
parquet_sink.before_commit       inside the transaction: all is written
parquet_sink.after_commit        committed, the group in Kafka doesn't know
redrive.before_publish           letters are marked as on their way, and not sent
redrive.after_publish            the brokers have them, they aren't marked as redriven
"""

Action = Literal["kill", "stop", "fail"]
"""kill: SIGKILL; stop: SIGSTOP until somebody continues it; fail: FailpointHitError."""


class FailpointHitError(RetriableError):
    """A fault test asked for this failure."""


_folder: Path | None = None  # of the process as a whole: handed down to each step it would show in every signature


def enable_failpoints(folder: str) -> None:
    """Called once at the start of a process; an empty `folder` keeps all points off."""
    global _folder
    _folder = Path(folder) if folder else None


def hit(name: Failpoint) -> None:
    """Does what a test armed here, if one did. Raises FailpointHitError where it asks so."""
    if _folder is None:
        return
    armed = _folder / name
    try:
        action = armed.read_text().strip()
        armed.unlink()
    except FileNotFoundError:
        return
    match action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case _:
            raise FailpointHitError(f"failpoint {name}")
