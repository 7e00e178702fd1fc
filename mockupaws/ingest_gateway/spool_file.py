"""The spool's SQLite file: accepted requests in the order they came, each with a checksum. Blocking; for one thread.

A folder holds the database and what SQLite keeps beside it, so that all of it is renamed in one step. What `append`
returned for survives a power cut: WAL with synchronous=FULL syncs each transaction, and every call is one transaction.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from mockupaws.runtime.errors import PermanentError

FILE = "requests.sqlite"
APPLICATION_ID = 0x6D6B7370
"""Marks the file as a spool (SQLite's application_id)."""
SCHEMA_VERSION = 1
ROW_BYTES = 64
"""What a row takes beside its request, for the limit."""
_VACUUM_PAGES = 256
"""An emptied file larger than this gives its room back to the disk."""

_TABLES = (
    """
    CREATE TABLE requests (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        request_id BLOB NOT NULL,
        lines INTEGER NOT NULL,
        spooled_at_us INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        encoded BLOB NOT NULL
    )
    """,
    "CREATE TABLE position (deleted_through INTEGER NOT NULL, probed_at_us INTEGER NOT NULL)",
    "INSERT INTO position VALUES (0, 0)",
)


class SpoolDamagedError(PermanentError):
    """The file, or a row of it, is not what was written."""


class SpoolVersionError(PermanentError):
    """The file is of another version, or no spool at all."""


class NewRequest(NamedTuple):
    """What is spooled of a request: its id, the encoded `IngestRequest`, its number of lines."""

    request_id: bytes
    encoded: bytes
    lines: int

    @property
    def size(self) -> int:
        """What it counts for against the spool's limit, in bytes."""
        return len(self.encoded) + ROW_BYTES


class SpooledRequest(NamedTuple):
    sequence: int
    """Ascending in the order spooled."""
    request: NewRequest
    spooled_at_us: int


@dataclass(frozen=True, slots=True)
class SpoolTotals:
    requests: int = 0
    bytes: int = 0
    oldest_at_us: int | None = None
    """When the oldest request was spooled, epoch µs; None where there is none."""


class SpoolFile:
    """Use `open`, and `close` when done."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The spool in `folder`, made where there is none.

        Raises SpoolDamagedError, SpoolVersionError, OSError, sqlite3.OperationalError (disk full, unwritable …).
        """
        path = folder / FILE
        _make_private(folder, path)
        connection = connect(path)
        try:
            _check_version(connection)
            _configure(connection)
            _check_structure(connection)
        except BaseException:
            connection.close()
            raise
        return cls(connection)

    def close(self) -> None:
        """Idempotent; what was appended is on disk already."""
        self._connection.close()

    def append(self, requests: Sequence[NewRequest], now_us: int) -> None:
        """All or none, on disk when it returns. Raises SpoolDamagedError, or sqlite3.OperationalError (full, I/O)."""
        rows = [(each.request_id, each.lines, now_us, checksum_of(each, now_us), each.encoded) for each in requests]
        with self._transaction():
            self._connection.executemany(
                "INSERT INTO requests (request_id, lines, spooled_at_us, checksum, encoded) VALUES (?, ?, ?, ?, ?)",
                rows,
            )

    def read(self, after: int, max_requests: int, max_bytes: int) -> list[SpooledRequest]:
        """The oldest requests after sequence `after`; at least one where there is any. Raises SpoolDamagedError."""
        found: list[SpooledRequest] = []
        size = 0
        try:
            for row in self._connection.execute(
                "SELECT sequence, request_id, lines, spooled_at_us, checksum, encoded FROM requests"
                " WHERE sequence > ? ORDER BY sequence LIMIT ?",
                (after, max_requests),
            ):
                spooled = sound_row(row)
                if spooled is None:
                    raise SpoolDamagedError(f"spooled request {row[0]} is not what was written")
                size += spooled.request.size
                if found and size > max_bytes:
                    break
                found.append(spooled)
        except sqlite3.DatabaseError as error:
            raise _damaged(error) from error
        return found

    def delete(self, sequences: Sequence[int]) -> None:
        """Forgets requests that are on the brokers; their bytes are overwritten."""
        with self._transaction():
            self._connection.executemany("DELETE FROM requests WHERE sequence = ?", [(each,) for each in sequences])
            self._connection.execute(
                "UPDATE position SET deleted_through = max(deleted_through, ?)", (max(sequences, default=0),)
            )

    def compact(self) -> None:
        """For an empty file: nothing of what it held stays in the log, and a large file gets small again."""
        if self._one("PRAGMA page_count") > _VACUUM_PAGES:
            self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def probe(self, now_us: int) -> None:
        """Writes and syncs a few bytes: whether the disk takes anything."""
        with self._transaction():
            self._connection.execute("UPDATE position SET probed_at_us = ?", (now_us,))

    def totals(self) -> SpoolTotals:
        """Raises SpoolDamagedError."""
        try:
            count, size, oldest = self._connection.execute(
                "SELECT count(*), coalesce(sum(length(encoded)), 0), min(spooled_at_us) FROM requests"
            ).fetchone()
        except sqlite3.DatabaseError as error:
            raise _damaged(error) from error
        return SpoolTotals(count, size + count * ROW_BYTES, oldest)

    def oldest_at_us(self) -> int | None:
        """When the oldest request was spooled; None where there is none."""
        row = self._connection.execute("SELECT spooled_at_us FROM requests ORDER BY sequence LIMIT 1").fetchone()
        return None if row is None else int(row[0])

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.DatabaseError as error:
            raise _damaged(error) from error

    def _one(self, statement: str) -> int:
        return int(self._connection.execute(statement).fetchone()[0])


def connect(path: Path) -> sqlite3.Connection:
    """Transactions begin and end where told; made in one thread and used in another."""
    return sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)


def checksum_of(request: NewRequest, spooled_at_us: int) -> int:
    head = b"%b%d %d " % (request.request_id, request.lines, spooled_at_us)
    return zlib.crc32(request.encoded, zlib.crc32(head))


def sound_row(row: tuple[int, bytes, int, int, int, bytes]) -> SpooledRequest | None:
    """A row (sequence, request_id, lines, spooled_at_us, checksum, encoded); None where its checksum doesn't fit."""
    sequence, request_id, lines, spooled_at_us, checksum, encoded = row
    if not (isinstance(request_id, bytes) and isinstance(encoded, bytes) and isinstance(lines, int)):
        return None
    request = NewRequest(request_id, encoded, lines)
    return SpooledRequest(sequence, request, spooled_at_us) if checksum_of(request, spooled_at_us) == checksum else None


def sync_folder(folder: Path) -> None:
    """Names made or changed in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_private(folder: Path, path: Path) -> None:
    # It holds personal data, and SQLite gives the files beside it the mode of the database.
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        sync_folder(folder)
        sync_folder(folder.parent)


def _check_version(connection: sqlite3.Connection) -> None:
    try:
        application_id = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise _damaged(error) from error
    if not version and not tables:  # new, or made and never finished
        _make_tables(connection)
    elif (application_id, version) != (APPLICATION_ID, SCHEMA_VERSION):
        raise SpoolVersionError(f"a spool of version {version}; this process reads version {SCHEMA_VERSION}")


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA trusted_schema = OFF")


def _check_structure(connection: sqlite3.Connection) -> None:
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise _damaged(error) from error
    if verdict != "ok":
        raise SpoolDamagedError(f"the spool's structure is damaged: {verdict.splitlines()[-1]}")


def _damaged(error: sqlite3.DatabaseError) -> Exception:
    """SQLITE_CORRUPT and SQLITE_NOTADB are damage; everything else (full, I/O, locked) stays what it is."""
    damage = (error.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return SpoolDamagedError(f"the spool can't be read: {error}") if damage else error
