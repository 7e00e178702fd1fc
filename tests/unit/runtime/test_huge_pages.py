"""Huge pages are asked for where there are such, and nowhere is anything lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from mockupaws.runtime import huge_pages
from mockupaws.runtime.huge_pages import use_huge_pages

_SWITCH = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(
    not _SWITCH.exists() or "[never]" in _SWITCH.read_text(), reason="this kernel gives no transparent huge pages"
)
def test_memory_that_is_held_is_moved_to_huge_pages_and_stays_as_it_was() -> None:
    table = bytes(range(256)) * (32 * 1024 * 1024 // 256)
    before = _huge_bytes()
    assert use_huge_pages() >= 16 * 1024 * 1024
    assert table == bytes(range(256)) * (len(table) // 256)
    if "[always]" not in _SWITCH.read_text():  # else it was there already
        assert _huge_bytes() > before


def test_a_system_without_them_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huge_pages, "_MAPS", tmp_path / "none")
    assert use_huge_pages() == 0


def _huge_bytes() -> int:
    smaps = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in smaps if line.startswith("AnonHugePages:"))
