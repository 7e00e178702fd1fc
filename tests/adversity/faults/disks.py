"""A full disk under Kafka, or under Postgres: small file systems of their own, filled to the last byte."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.adversity.drilled_stack import DrilledStack
from tests.adversity.faults.fault import Fault, Inject, Scene
from tests.adversity.oracle.observe import free_bytes

FULL_SECONDS = 8.0
BALLAST = "ballast"


def why_no_small_disks() -> str:
    """Empty where a tmpfs can be mounted."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root, to mount a small file system"
    probe = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "drill", "/mnt"], check=False, capture_output=True
    )
    return "" if probe.returncode == 0 else "can't mount a small file system here"


def full(folder: Callable[[DrilledStack], Path]) -> Inject:
    async def inject(scene: Scene) -> None:
        ballast = folder(scene.stack) / BALLAST
        try:
            await asyncio.to_thread(_fill, ballast)
            await asyncio.sleep(FULL_SECONDS)
        finally:
            ballast.unlink(missing_ok=True)

    return inject


def _fill(ballast: Path) -> None:
    """Whatever is freed meanwhile isn't taken."""
    with ballast.open("wb") as file:
        while (free := free_bytes(ballast.parent)) > 0:
            try:
                os.posix_fallocate(file.fileno(), file.tell(), free)
            except OSError:
                return
            file.seek(0, os.SEEK_END)


DISK_FAULTS = [
    Fault(
        name="Kafka's disk full",
        number="F09",
        what=f"not a byte left for {FULL_SECONDS:.0f} s",
        inject=full(lambda stack: stack.home / "data" / "kafka"),
        stack="small disks",
        recovery_seconds=120,
        skipped=why_no_small_disks,
    ),
    Fault(
        name="Postgres' disk full",
        number="F22",
        what=f"not a byte left for {FULL_SECONDS:.0f} s",
        inject=full(lambda stack: stack.home / "data"),
        stack="small disks",
        recovery_seconds=120,
        skipped=why_no_small_disks,
    ),
]
