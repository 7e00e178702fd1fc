"""The spool's file: what is read back, and what a damaged or foreign one does."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from mockupaws.ingest_gateway.spool_file import (
    FILE,
    ROW_BYTES,
    NewRequest,
    SpoolDamagedError,
    SpoolFile,
    SpoolTotals,
    SpoolVersionError,
    connect,
)


def request(number: int, size: int = 100) -> NewRequest:
    return NewRequest(number.to_bytes(16, "big"), number.to_bytes(4, "big") * (size // 4), 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "gateway-1"


def test_requests_are_read_in_the_order_spooled(folder: Path) -> None:
    spool = SpoolFile.open(folder)
    spool.append([request(1), request(2)], 1000)
    spool.append([request(3)], 2000)
    assert spool.totals() == SpoolTotals(3, 3 * (100 + ROW_BYTES), 1000)
    spool.close()
    spool = SpoolFile.open(folder)
    read = spool.read(0, 10, 10_000)
    assert [each.request for each in read] == [request(1), request(2), request(3)]
    assert [each.spooled_at_us for each in read] == [1000, 1000, 2000]
    spool.delete([read[0].sequence, read[1].sequence])
    assert [each.request for each in spool.read(0, 10, 10_000)] == [request(3)]
    assert spool.totals() == SpoolTotals(1, 100 + ROW_BYTES, 2000)
    spool.close()


def test_a_batch_is_bounded_and_never_empty(folder: Path) -> None:
    spool = SpoolFile.open(folder)
    spool.append([request(number, 1000) for number in range(10)], 0)
    assert len(spool.read(0, 3, 1_000_000)) == 3
    assert len(spool.read(0, 10, 2500)) == 2
    assert len(spool.read(0, 10, 10)) == 1
    assert [each.request for each in spool.read(8, 10, 1_000_000)] == [request(8, 1000), request(9, 1000)]
    spool.close()


def test_a_sequence_is_never_given_twice(folder: Path) -> None:
    spool = SpoolFile.open(folder)
    spool.append([request(1)], 0)
    [first] = spool.read(0, 1, 1)
    spool.delete([first.sequence])
    spool.compact()
    spool.append([request(2)], 0)
    assert spool.read(0, 1, 1)[0].sequence > first.sequence
    spool.close()


def test_nobody_else_may_read_it_and_nothing_stays_of_what_was_deleted(folder: Path) -> None:
    spool = SpoolFile.open(folder)
    secret = b"jo@example.com" * 200_000
    spool.append([NewRequest(b"i" * 16, secret, 1)], 0)
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    spool.delete([1])
    spool.compact()
    assert not any(b"jo@example.com" in path.read_bytes() for path in folder.iterdir())
    assert (folder / FILE).stat().st_size < 100_000
    spool.close()


def test_a_flipped_bit_in_a_request_is_seen(folder: Path) -> None:
    spool = SpoolFile.open(folder)
    spool.append([NewRequest(b"i" * 16, b"needle" * 100, 1)], 0)
    spool.close()
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content.replace(b"needleneedle", b"needleNeedle", 1))
    spool = SpoolFile.open(folder)
    with pytest.raises(SpoolDamagedError):
        spool.read(0, 1, 1)
    spool.close()


@pytest.mark.parametrize("damage", [b"\xff" * 4096, os.urandom(4096)])
@pytest.mark.parametrize("page", [0, 1, 5])
def test_a_damaged_page_is_seen_at_opening(folder: Path, page: int, damage: bytes) -> None:
    spool = SpoolFile.open(folder)
    spool.append([request(number, 400) for number in range(200)], 0)
    spool.close()
    with (folder / FILE).open("r+b") as file:
        file.seek(page * 4096)
        file.write(damage)
    with pytest.raises(SpoolDamagedError):
        SpoolFile.open(folder)


def test_another_version_is_refused(folder: Path) -> None:
    SpoolFile.open(folder).close()
    connection = connect(folder / FILE)
    connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(SpoolVersionError, match="version 7"):
        SpoolFile.open(folder)


def test_another_database_is_refused(folder: Path) -> None:
    folder.mkdir()
    connection = connect(folder / FILE)
    connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(SpoolVersionError):
        SpoolFile.open(folder)


def test_a_file_never_finished_is_begun_again(folder: Path) -> None:
    folder.mkdir()
    (folder / FILE).touch()
    spool = SpoolFile.open(folder)
    spool.append([request(1)], 0)
    spool.close()


def test_a_full_disk_is_an_error_and_stores_nothing(folder: Path) -> None:
    spool = SpoolFile.open(folder)
    spool._connection.execute("PRAGMA max_page_count = 10")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        spool.append([request(number, 400) for number in range(200)], 0)
    assert spool.totals() == SpoolTotals()
    spool.append([request(1)], 0)
    spool.close()


def test_a_torn_tail_of_the_log_is_what_was_not_yet_promised(folder: Path) -> None:
    spool = SpoolFile.open(folder)
    spool.append([request(1)], 0)
    wal = folder / f"{FILE}-wal"
    kept = wal.stat().st_size
    spool.append([request(2)], 0)
    torn = folder.parent / "torn"
    torn.mkdir()
    for path in (folder / FILE, wal):
        (torn / path.name).write_bytes(path.read_bytes())
    os.truncate(torn / wal.name, kept + 2000)
    spool.close()
    found = SpoolFile.open(torn)
    assert [each.request for each in found.read(0, 10, 10_000)] == [request(1)]
    found.close()
