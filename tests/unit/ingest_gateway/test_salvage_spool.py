"""A damaged spool gives back what can be read, counts what can't, and is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mockupaws.ingest_gateway.salvage_spool import Salvage, open_or_salvage, salvage
from mockupaws.ingest_gateway.spool_file import FILE, NewRequest, SpoolDamagedError, SpoolFile, connect

PAGE = 4096
REQUESTS = 400


def request(number: int) -> NewRequest:
    return NewRequest(number.to_bytes(16, "big"), number.to_bytes(4, "big") * 100, 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "gateway-1"
    spool = SpoolFile.open(folder)
    for number in range(REQUESTS):
        spool.append([request(number)], number)
    spool.close()
    return folder


def overwrite(folder: Path, offset: int, content: bytes) -> None:
    with (folder / FILE).open("r+b") as file:
        file.seek(offset)
        file.write(content)


def pages_of(folder: Path) -> int:
    return (folder / FILE).stat().st_size // PAGE


def test_a_sound_one_is_opened(folder: Path) -> None:
    spool, result = open_or_salvage(folder)
    assert result is None
    assert spool.totals().requests == REQUESTS
    spool.close()


@pytest.mark.parametrize("part", [0, 1 / 3, 1 / 2, 2 / 3, 0.999])
@pytest.mark.parametrize("damaged_pages", [1, 3])
def test_rows_of_sound_pages_are_salvaged_in_order(folder: Path, part: float, damaged_pages: int) -> None:
    # Page 1 is the schema, 2 the root of the requests, 3 and 4 the other tables.
    first = 4 + int(part * (pages_of(folder) - 4))
    first = min(first, pages_of(folder) - damaged_pages)
    overwrite(folder, first * PAGE, os.urandom(damaged_pages * PAGE))
    spool, result = open_or_salvage(folder)
    assert result is not None
    found = [each.request for each in spool.read(0, 1000, 10_000_000)]
    assert found == [request(number) for number in range(REQUESTS) if request(number) in found]
    assert result == Salvage(len(found), REQUESTS - len(found))
    assert len(found) >= REQUESTS - 10 * damaged_pages
    assert [each.name for each in folder.parent.iterdir() if "damaged" in each.name] == ["gateway-1.damaged-1"]
    spool.append([request(1000)], 0)
    spool.close()


def test_the_first_page_is_not_needed(folder: Path) -> None:
    overwrite(folder, 0, b"\0" * PAGE)
    spool, result = open_or_salvage(folder)
    assert result == Salvage(REQUESTS, 0)
    assert spool.read(0, 1, 1)[0].request == request(0)
    spool.close()


def test_the_log_beside_a_damaged_file_is_read_too(tmp_path: Path) -> None:
    folder = tmp_path / "gateway-1"
    killed = SpoolFile.open(folder)
    killed.append([request(1)], 0)
    copy = tmp_path / "gateway-2"
    copy.mkdir()
    for name in (FILE, f"{FILE}-wal"):
        (copy / name).write_bytes((folder / name).read_bytes())
    killed.close()
    overwrite(copy, 0, b"x" * 20)
    spool, _ = open_or_salvage(copy)
    assert [each.request for each in spool.read(0, 10, 1000)] == [request(1)]
    spool.close()


def test_a_flipped_bit_costs_one_request(folder: Path) -> None:
    content = (folder / FILE).read_bytes()
    at = content.index(request(200).encoded)
    overwrite(folder, at + 50, b"\xff")
    spool, result = salvage(folder, SpoolDamagedError("test"))
    assert result == Salvage(REQUESTS - 1, 1)
    spool.close()


def test_nothing_but_noise_is_kept_and_begun_anew(folder: Path) -> None:
    (folder / FILE).write_bytes(noise := os.urandom(100_000))
    spool, result = open_or_salvage(folder)
    assert result is not None
    assert result.salvaged == 0
    assert (folder.parent / "gateway-1.damaged-1" / FILE).read_bytes() == noise
    spool.close()


def test_requests_already_drained_are_not_called_lost(folder: Path) -> None:
    spool = SpoolFile.open(folder)
    spool.delete([each.sequence for each in spool.read(0, 150, 10_000_000)])
    spool.close()
    overwrite(folder, (pages_of(folder) - 2) * PAGE, os.urandom(PAGE))
    spool, result = open_or_salvage(folder)
    assert result is not None
    assert result.salvaged + result.lost == REQUESTS - 150
    assert result.lost < 10
    spool.close()


def test_another_version_is_kept_untouched(folder: Path) -> None:
    connection = connect(folder / FILE)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    content = (folder / FILE).read_bytes()
    for number in (1, 2):
        spool, result = open_or_salvage(folder)
        assert result is None
        assert spool.totals().requests == 0
        spool.close()
        (folder.parent / f"gateway-1.unreadable-{number}").exists()
        (folder / FILE).write_bytes(content)
    assert (folder.parent / "gateway-1.unreadable-1" / FILE).read_bytes() == content


def test_a_salvage_killed_before_its_end_is_done_again(folder: Path) -> None:
    draft = folder.with_name("gateway-1.salvage")
    half = SpoolFile.open(draft)
    half.append([request(7)], 0)
    half.close()
    overwrite(folder, 6 * PAGE, os.urandom(PAGE))
    spool, result = open_or_salvage(folder)
    assert result is not None
    assert spool.totals().requests == result.salvaged > REQUESTS - 10
    spool.close()
    assert not draft.exists()


def test_a_salvage_killed_between_the_renames_is_finished(folder: Path) -> None:
    folder.rename(folder.with_name("gateway-1.salvage"))
    spool, _ = open_or_salvage(folder)
    assert spool.totals().requests == REQUESTS
    spool.close()
