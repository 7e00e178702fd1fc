"""structlog, without rich and pygments: it reads both where they are installed, for tracebacks in colour that no log of
ours shows. That would be 4.5 MiB and 50 ms at the start of each process."""

from __future__ import annotations

import sys

_known = sys.modules.get("rich")
if _known is None:
    sys.modules["rich"] = None  # type: ignore[assignment]  # to whoever imports it now it isn't installed
try:
    import structlog
finally:
    if _known is None:
        del sys.modules["rich"]

__all__ = ["structlog"]
