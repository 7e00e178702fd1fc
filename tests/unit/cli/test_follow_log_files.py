"""A followed file may grow, be rotated or be truncated; each line comes once."""

from __future__ import annotations

from pathlib import Path

from mockupaws.cli.follow_log_files import FollowedFile


def new_data(file: FollowedFile) -> bytes:
    return b"".join(chunk.data + b"|" for chunk in file.read_new())


def test_growth(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    file = FollowedFile(str(path))
    assert new_data(file) == b""
    path.write_bytes(b"one\ntw")
    assert new_data(file) == b"one\n|"
    with path.open("ab") as log:
        log.write(b"o\nthr")
    assert new_data(file) == b"two\n|"
    assert b"".join(chunk.data for chunk in file.finish()) == b"thr"


def test_rotation_reads_the_old_file_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"one\n")
    file = FollowedFile(str(path))
    new_data(file)
    with path.open("ab") as log:
        path.rename(tmp_path / "app.log.1")
        log.write(b"late")
    assert new_data(file) == b""  # the old file is read on while no new one is there
    path.write_bytes(b"new\n")
    assert new_data(file) == b"late|new\n|"
    assert list(file.finish()) == []


def test_truncation_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_bytes(b"a long first line\n")
    file = FollowedFile(str(path))
    new_data(file)
    path.write_bytes(b"short\n")
    assert new_data(file) == b"short\n|"
    assert list(file.finish()) == []


def test_from_the_end_what_stood_there_is_passed_by_but_for_an_unfinished_line(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    for before, first in ((b"old\nold\n", b"one\n|"), (b"old\nhalf of ", b"half of one\n|"), (b"", b"one\n|")):
        path.write_bytes(before)
        file = FollowedFile(str(path), from_end=True)
        with path.open("ab") as log:
            log.write(b"one\n")
        assert new_data(file) == first
        path.write_bytes(b"n\n")
        assert new_data(file) == b"n\n|", "what is cut short is read on from its beginning"
        list(file.finish())


def test_from_the_end_of_a_file_that_comes_later_is_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    file = FollowedFile(str(path), from_end=True)
    path.write_bytes(b"one\n")
    assert new_data(file) == b"one\n|"
    list(file.finish())
