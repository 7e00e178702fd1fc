"""What a process gives back of the memory that it holds."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

_PROGRAM = """
import sys
from pathlib import Path

from mockupaws.runtime.settled_heap import give_back_memory


def resident_pages() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])


before = resident_pages()
pieces = [bytes(60_000) for _ in range(2_000)]
kept = pieces[::100]  # the last of them near the end of the heap
kept.append(pieces[-1])
del pieces
held = resident_pages() - before
give_back_memory()
print(held, resident_pages() - before)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another C library than glibc"
)
def test_free_pages_amid_the_heap_are_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=120, check=True)
    held, left = map(int, done.stdout.split())
    assert held > 20_000  # 80 MiB of 115
    assert left < held / 4
