"""Which process owns which spool: numbered folders, each claimed by a lock the kernel gives back with its holder."""

from __future__ import annotations

import fcntl
import itertools
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from mockupaws.ingest_gateway.spool_file import sync_folder

_SLOT = re.compile(r"gateway-(\d+)(\.salvage)?")


@dataclass(frozen=True, slots=True)
class SpoolSlot:
    """A claimed folder; nobody else opens the spool in it until `release`."""

    folder: Path
    lock: int

    def release(self) -> None:
        os.close(self.lock)

    def remove(self) -> None:
        """Deletes the spool, which must be empty and closed. The lock file stays: another may be waiting at it."""
        shutil.rmtree(self.folder)
        sync_folder(self.folder.parent)


def claim_own(spools: Path) -> SpoolSlot:
    """The lowest free slot, with whatever its last owner left in it. Raises OSError."""
    spools.mkdir(mode=0o700, parents=True, exist_ok=True)
    return next(slot for number in itertools.count(1) if (slot := _claim(spools, number)) is not None)


def claim_abandoned(spools: Path) -> list[SpoolSlot]:
    """Slots that hold a spool whose owner is gone. Raises OSError."""
    if not spools.is_dir():
        return []
    numbers = {int(found[1]) for path in spools.iterdir() if (found := _SLOT.fullmatch(path.name))}
    return [slot for number in sorted(numbers) if (slot := _claim_existing(spools, number)) is not None]


def _claim_existing(spools: Path, number: int) -> SpoolSlot | None:
    slot = _claim(spools, number)
    # Its owner may have emptied and removed it between the listing and the lock.
    if slot is not None and not any(path.exists() for path in (slot.folder, slot.folder.with_suffix(".salvage"))):
        slot.release()
        return None
    return slot


def _claim(spools: Path, number: int) -> SpoolSlot | None:
    # A file of its own: closing any descriptor of the database would drop the locks SQLite holds on it.
    lock = os.open(spools / f"gateway-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return SpoolSlot(spools / f"gateway-{number}", lock)
