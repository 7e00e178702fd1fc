"""What the log's library brings along is not loaded into every process."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys
import mockupaws.runtime.telemetry, mockupaws.runtime.http_edge
loaded = sorted({"rich", "pygments"} & set(sys.modules))
import rich.console
print(loaded, rich.console.Console().__class__.__name__)
"""


def test_processes_load_no_colours_and_whoever_wants_them_still_can() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[] Console"
