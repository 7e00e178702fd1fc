"""What `send` reads of files, and what it tells of those it did not read to their end."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from mockupaws.cli.batch_entries import Batcher
from mockupaws.cli.open_log_files import BLOCK_BYTES
from mockupaws.cli.send import FileReading, check_files
from mockupaws.runtime.errors import PipelineError

NOW_US = 1_795_500_000_000_000  # November 2026
SCENARIO = "01a216b0-c84d-7d7c-b75c-8a25ddcd3745"


def written(folder: Path, name: str, lines: int) -> str:
    path = folder / name
    path.write_bytes(b"".join(b"%099d\n" % n for n in range(lines)))
    return str(path)


def test_a_stop_in_the_middle_tells_where_and_leaves_the_other_files(tmp_path: Path) -> None:
    first, second = written(tmp_path, "a.log", 10_000), written(tmp_path, "b.log", 10)
    reading = FileReading(Batcher(SCENARIO, "run", 100), None, NOW_US)
    batches = reading.read_files([first, second])
    sent = next(batches).entries
    reading.stop.set()
    sent += sum(batch.entries for batch in batches)
    assert sent == reading.counts.entries
    assert BLOCK_BYTES // 100 <= sent < 10_000
    assert reading.unread == f"{first} after its line {sent}, and 1 more files"


def test_files_that_were_read_to_their_end_leave_nothing(tmp_path: Path) -> None:
    names = [written(tmp_path, "a.log", 10), written(tmp_path, "b.log", 10)]
    reading = FileReading(Batcher(SCENARIO, "run", 15), None, NOW_US)
    batches = reading.read_files(names)
    next(batches)
    assert sum(batch.entries for batch in batches) == 5
    reading.stop.set()
    assert reading.unread == ""


def test_files_are_looked_at_before_anything_is_sent(tmp_path: Path) -> None:
    packed = tmp_path / "a.log.gz"
    packed.write_bytes(gzip.compress(b"x\n"))
    good = written(tmp_path, "a.log", 1)
    check_files([good, str(packed), "-"], follow=False)
    check_files([good, str(tmp_path / "later.log")], follow=True)
    for names, follow, why in (
        ([good, str(tmp_path / "none.log")], False, "none.log is no readable file"),
        ([good, str(tmp_path)], False, "no readable file"),
        ([str(tmp_path)], True, "no readable file"),
        ([str(packed)], True, "compressed"),
        (["-"], True, "--follow is for files"),
    ):
        with pytest.raises(PipelineError, match=why):
            check_files(names, follow)
