"""Points of a process that a fault test makes fail."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from mockupaws.runtime import failpoints
from mockupaws.runtime.failpoints import Failpoint, FailpointHitError, enable_failpoints, hit

SOURCES = Path(failpoints.__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    enable_failpoints(str(tmp_path))
    yield tmp_path
    enable_failpoints("")


def test_an_armed_point_fires_once(folder: Path) -> None:
    (folder / "gateway.before_produce").write_text("fail")
    hit("gateway.after_acknowledged")
    with pytest.raises(FailpointHitError):
        hit("gateway.before_produce")
    hit("gateway.before_produce")


def test_off_unless_a_folder_is_named(folder: Path) -> None:
    (folder / "gateway.before_produce").write_text("fail")
    enable_failpoints("")
    hit("gateway.before_produce")
    assert (folder / "gateway.before_produce").exists()


def test_kill_ends_the_process(tmp_path: Path) -> None:
    (tmp_path / "processor.before_send").write_text("kill")
    code = (
        "from mockupaws.runtime.failpoints import *\n"
        f"enable_failpoints({str(tmp_path)!r})\n"
        "hit('processor.before_send')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", get_args(Failpoint))
def test_each_point_stands_at_one_place_of_the_code(name: str) -> None:
    places = [path for path in SOURCES.rglob("*.py") if f'hit("{name}")' in path.read_text()]
    assert len(places) == 1
