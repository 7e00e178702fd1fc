"""Large tables on large pages: one of some megabytes that is read at random costs less with fewer pages to look up."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

_HUGE_PAGE_BYTES = 2 * 1024 * 1024
_MADV_HUGEPAGE, _MADV_COLLAPSE = 14, 25
_ANONYMOUS = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw-p 00000000 00:00 0 +(\[heap\])?$", re.MULTILINE)
_MAPS = Path("/proc/self/maps")


def use_huge_pages() -> int:
    """Asks the kernel to back the memory this process holds by now with huge pages; the bytes for which it agreed.

    To be called once all tables are loaded. 0 where there is no such thing (another system, or switched off).
    """
    try:
        mapped = [(int(start, 16), int(end, 16)) for start, end, _ in _ANONYMOUS.findall(_MAPS.read_text())]
        madvise = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return 0
    agreed = 0
    for start, end in mapped:
        first = -(-start // _HUGE_PAGE_BYTES) * _HUGE_PAGE_BYTES
        size = (end - first) // _HUGE_PAGE_BYTES * _HUGE_PAGE_BYTES
        if size > 0 and madvise(ctypes.c_void_p(first), ctypes.c_size_t(size), _MADV_HUGEPAGE) == 0:
            madvise(
                ctypes.c_void_p(first), ctypes.c_size_t(size), _MADV_COLLAPSE
            )  # now, not when the kernel gets to it
            agreed += size
    return agreed
