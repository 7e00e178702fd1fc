"""Opens a spool whatever state it is in: a damaged or foreign one is set aside, and what can be read goes on.

Order for a damaged spool, so that a kill at any point loses nothing that could be read:
1. its sound rows are copied into a new spool beside it, in their order, and synced;
2. the damaged one is renamed, and kept: only an operator deletes it;
3. the new one takes its place. A start that finds 2 done finishes 3.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mockupaws.ingest_gateway.spool_file import (
    FILE,
    NewRequest,
    SpoolDamagedError,
    SpooledRequest,
    SpoolFile,
    SpoolVersionError,
    connect,
    sound_row,
    sync_folder,
)
from mockupaws.runtime.telemetry import get_logger

MAX_GAP = 1_000_000
"""Row numbers tried one by one in the damaged part of a file."""
_COPY_REQUESTS = 200
_ROW = "SELECT sequence, request_id, lines, spooled_at_us, checksum, encoded FROM requests WHERE sequence"

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Salvage:
    """What a damaged spool gave back."""

    salvaged: int
    lost: int
    """At least: where not even the row numbers can be read, nobody knows how many there were."""


def open_or_salvage(folder: Path) -> tuple[SpoolFile, Salvage | None]:
    """A spool that works, in `folder`. Raises OSError or sqlite3.OperationalError where the disk doesn't take it."""
    draft = _draft_of(folder)
    if draft.exists() and not folder.exists():
        draft.rename(folder)
        sync_folder(folder.parent)
    try:
        return SpoolFile.open(folder), None
    except SpoolVersionError as error:
        kept = _set_aside(folder, "unreadable")
        _log.error("spool_of_another_version_kept", kept=str(kept), error=str(error))
        return SpoolFile.open(folder), None
    except SpoolDamagedError as error:
        return salvage(folder, error)


def salvage(folder: Path, why: SpoolDamagedError) -> tuple[SpoolFile, Salvage]:
    """Replaces the damaged, closed spool in `folder`. Raises as `open_or_salvage` does."""
    draft = _draft_of(folder)
    shutil.rmtree(draft, ignore_errors=True)
    result = _copy_sound_rows(folder, draft)
    kept = _set_aside(folder, "damaged")
    draft.rename(folder)
    sync_folder(folder.parent)
    _log.error("spool_damaged", kept=str(kept), salvaged=result.salvaged, lost=result.lost, error=str(why))
    return SpoolFile.open(folder), result


def _draft_of(folder: Path) -> Path:
    return folder.with_name(folder.name + ".salvage")


def _set_aside(folder: Path, why: str) -> Path:
    number = 1
    while (kept := folder.with_name(f"{folder.name}.{why}-{number}")).exists():
        number += 1
    folder.rename(kept)
    sync_folder(folder.parent)
    return kept


def _copy_sound_rows(folder: Path, draft: Path) -> Salvage:
    target = SpoolFile.open(draft)
    try:
        source = connect(_readable_copy(folder, draft))
        try:
            return _copy(source, target)
        finally:
            source.close()
    finally:
        target.close()
        (draft / f"copy.{FILE}").unlink(missing_ok=True)


def _copy(source: sqlite3.Connection, target: SpoolFile) -> Salvage:
    deleted_through, last = _known_range(source)
    salvaged = beyond = 0
    waiting: list[SpooledRequest] = []
    for spooled in _sound_rows(source, deleted_through, last):
        waiting.append(spooled)
        salvaged += 1
        beyond += spooled.sequence > deleted_through
        last = max(last, spooled.sequence)
        if len(waiting) == _COPY_REQUESTS:
            _append(target, waiting)
            waiting = []
    _append(target, waiting)
    return Salvage(salvaged, max(0, last - deleted_through - beyond))


def _append(target: SpoolFile, rows: list[SpooledRequest]) -> None:
    by_time: dict[int, list[NewRequest]] = {}
    for row in rows:
        by_time.setdefault(row.spooled_at_us, []).append(row.request)
    for spooled_at_us, requests in by_time.items():
        target.append(requests, spooled_at_us)


def _known_range(source: sqlite3.Connection) -> tuple[int, int]:
    """Sequences up to the first may be gone rightly; the second is the last ever given, 0 where nobody knows."""
    values = []
    for statement in (
        "SELECT deleted_through FROM position",
        "SELECT seq FROM sqlite_sequence WHERE name = 'requests'",
    ):
        try:
            row = source.execute(statement).fetchone()
            values.append(row[0] if row and isinstance(row[0], int) else 0)
        except sqlite3.DatabaseError:
            values.append(0)
    return values[0], values[1]


def _sound_rows(source: sqlite3.Connection, deleted_through: int, last: int) -> Iterator[SpooledRequest]:
    """In their order: forwards until a page can't be read, backwards from the end, then what lies between."""
    reached = 0
    for row in _until_unreadable(source, f"{_ROW} > 0 ORDER BY sequence"):
        reached = row[0]
        if (spooled := sound_row(row)) is not None:
            yield spooled
    end = last + 1
    tail: list[int] = []
    for row in _until_unreadable(source, f"{_ROW} > {reached} ORDER BY sequence DESC"):
        tail.append(row[0])
        end = row[0]
    between = range(max(reached, deleted_through) + 1, end)
    for sequence in (*between[:MAX_GAP], *reversed(tail)):
        for row in _until_unreadable(source, f"{_ROW} = {sequence}"):
            if (spooled := sound_row(row)) is not None:
                yield spooled


def _until_unreadable(source: sqlite3.Connection, statement: str) -> Iterator[tuple[int, bytes, int, int, int, bytes]]:
    try:
        yield from source.execute(statement)
    except sqlite3.DatabaseError:
        return


def _readable_copy(folder: Path, draft: Path) -> Path:
    """The damaged file; where its first page (which says what stands where) is gone, a copy with a sound one.

    Every spool of this version is laid out alike, so the first page of a new one fits.
    """
    path = folder / FILE
    source = connect(path)
    try:
        source.execute("SELECT 1 FROM requests LIMIT 0").fetchall()
        return path
    except sqlite3.DatabaseError:
        pass
    finally:
        source.close()
    copy = draft / f"copy.{FILE}"
    shutil.copyfile(path, copy)
    if (log := folder / f"{FILE}-wal").exists():
        shutil.copyfile(log, draft / f"copy.{FILE}-wal")
    page = _first_page(draft)
    pages = copy.stat().st_size // len(page)
    with copy.open("r+b") as file:
        file.write(page[:28] + pages.to_bytes(4, "big") + bytes(8) + page[40:])  # offsets 28–40: size, free list
    return copy


def _first_page(draft: Path) -> bytes:
    connection = connect(draft / FILE)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        size = int(connection.execute("PRAGMA page_size").fetchone()[0])
    finally:
        connection.close()
    return (draft / FILE).read_bytes()[:size]
