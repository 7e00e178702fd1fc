"""What a stack's processes use and write: memory, file descriptors, disk, logs, counters (I8, I9, I7)."""

from __future__ import annotations

import contextlib
import os
import re
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil

from mockupaws.cli.processes import MODULES, health_url
from mockupaws.runtime.embedded.installation import Installation
from tests.adversity.drilled_stack import DrilledStack
from tests.adversity.lines import CANARIES
from tests.adversity.oracle.invariants import Violation

MIB = 1024 * 1024
MOST_RSS_MIB = {"gateway": 400, "processor": 700, "postgres-sink": 700, "parquet-sink": 900, "api": 400}
MOST_DESCRIPTORS = 300
MOST_DESCRIPTORS_MORE = 40
"""That a process may hold after a fault beyond what it held before: idle connections, no leak."""
MOST_LOG_MIB = 45
"""A log and its one predecessor are bounded at 20 MiB each."""
MOST_SPOOL_MIB = 256 + 32
"""`spool_max_bytes`, and its write-ahead log."""
MOST_FOLDER_MIB = 20
ASK_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Use:
    pid: int
    rss_mib: float
    descriptors: int


def uses(stack: DrilledStack) -> dict[str, Use]:
    """Of each process of ours that runs now."""
    found = {}
    for process in stack.status():
        if process["name"] in MODULES and process["pid"] is not None:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                tree = [psutil.Process(process["pid"])]
                tree += tree[0].children(recursive=True)
                rss = sum(part.memory_info().rss for part in tree) / MIB
                found[process["name"]] = Use(process["pid"], rss, sum(part.num_fds() for part in tree))
    return found


def check_bounds(before: dict[str, Use], after: dict[str, Use], home: Path) -> list[Violation]:
    """I8."""
    problems = []
    for name, use in after.items():
        if use.rss_mib > MOST_RSS_MIB.get(name, 500):
            problems.append(f"{name} holds {use.rss_mib:.0f} MiB")
        held = before[name].descriptors if name in before and before[name].pid == use.pid else None
        if use.descriptors > MOST_DESCRIPTORS or (held and use.descriptors > held + MOST_DESCRIPTORS_MORE):
            problems.append(f"{name} holds {use.descriptors} file descriptors (before: {held})")
    sizes = {log.name: log.stat().st_size // MIB for log in (home / "logs").iterdir()}
    problems += [f"{name} has {size} MiB" for name, size in sizes.items() if size > MOST_LOG_MIB]
    problems += _too_large_folders(home)
    return [Violation("I8", "; ".join(problems))] if problems else []


def _too_large_folders(home: Path) -> list[str]:
    """What our processes keep on disk beside logs, the servers' data and what the drill itself puts there."""
    others = [folder for folder in home.iterdir() if folder.is_dir() and folder.name not in ("data", "logs", "backup")]
    sizes = {folder.name: _size_mib(folder) for folder in others}
    most = {"spool": MOST_SPOOL_MIB}
    return [f"{name}/ has {size} MiB" for name, size in sizes.items() if size > most.get(name, MOST_FOLDER_MIB)]


def _size_mib(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # taken away meanwhile
            total += path.stat().st_size
    return total // MIB


@dataclass(frozen=True, slots=True)
class LogEnds:
    """How far each log was read."""

    sizes: dict[Path, int]

    @classmethod
    def of(cls, home: Path) -> LogEnds:
        return cls({path: path.stat().st_size for path in (home / "logs").iterdir()})

    def check(self, home: Path, run: str) -> list[Violation]:
        """I9: no personal data and no text of the run's lines was logged since."""
        wanted = re.compile("|".join(re.escape(text) for text in (*CANARIES, f"drill={run}.")).encode())
        problems = []
        for path in (home / "logs").iterdir():
            start = self.sizes.get(path, 0)
            with path.open("rb") as file:
                file.seek(start if start <= path.stat().st_size else 0)  # begun anew meanwhile
                found = wanted.search(file.read())
            if found:
                problems.append(f"{path.name} holds {found[0].decode()!r}")
        return [Violation("I9", "; ".join(problems))] if problems else []


def read_counters(installation: Installation, name: str) -> dict[str, float]:
    """`metric{labels}` → value; empty where the process doesn't answer."""
    url = health_url(installation, name)
    assert url is not None
    try:
        with urllib.request.urlopen(url.replace("/health/ready", "/metrics"), timeout=ASK_SECONDS) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in text.splitlines()) if name[:1] != "#"
    }


def free_bytes(folder: Path) -> int:
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize
