"""Files that are replaced as a whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mockupaws.runtime.replace_file import replace_file


def test_only_the_owner_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "home" / "snapshot"
    previous = os.umask(0)
    try:
        replace_file(path, b"one", 0o600)
        replace_file(path, b"two", 0o600)
    finally:
        os.umask(previous)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
