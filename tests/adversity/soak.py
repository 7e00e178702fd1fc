"""Steady load for a long time while each of our processes is killed in turn; then the oracle counts each line.

    python -m tests.adversity.soak --minutes 20 --write

Samples memory, file descriptors and lags every few seconds. Ends with 1 where an invariant is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from mockupaws import __version__
from mockupaws.cli.processes import MODULES
from mockupaws.runtime.clock import SystemClock
from tests.adversity.drilled_stack import DrilledStack, restarts
from tests.adversity.faults.fault import Fault, Scene
from tests.adversity.oracle.observe import Use, uses
from tests.adversity.oracle.settle import LagReader, Lags
from tests.adversity.plot import Mark, Panel, Series, draw
from tests.adversity.report import machine
from tests.adversity.trial import TrialResult, run_trial

RESULTS = Path("docs/soak")
SAMPLE_SECONDS = 5.0
KILL_SECONDS = 20.0
LINES_PER_SECOND = 1000.0
NO_LAGS = Lags(None, None, None, None)


@dataclass(frozen=True, slots=True)
class Sample:
    minute: float
    uses: dict[str, Use]
    lag_seconds: dict[str, float | None]
    lags: Lags


@dataclass(slots=True)
class Soak:
    """What was seen; filled while it runs."""

    minutes: float
    samples: list[Sample] = field(default_factory=list)
    kills: list[Mark] = field(default_factory=list)
    restarts: dict[str, int] = field(default_factory=dict)

    async def inject(self, scene: Scene) -> None:
        """The 'fault' of the one long trial."""
        began = time.monotonic()
        sampling = asyncio.create_task(self._sample(scene.stack, began))
        try:
            for name in itertools.cycle(MODULES):
                await asyncio.sleep(min(KILL_SECONDS, self.minutes * 60))
                minute = (time.monotonic() - began) / 60
                if minute >= self.minutes:
                    break
                self.kills.append(Mark(minute, f"{name} killed"))
                scene.stack.signal(name, signal.SIGKILL)
        finally:
            self.restarts = restarts(scene.stack)
            sampling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sampling

    async def _sample(self, stack: DrilledStack, began: float) -> None:
        async with LagReader(stack.settings) as reader:
            while True:
                used = await asyncio.to_thread(uses, stack)
                seconds = {p["name"]: p["lag_seconds"] for p in await asyncio.to_thread(stack.status)}
                lags = NO_LAGS
                with contextlib.suppress(Exception):  # a sample that fails is a gap in the plot
                    lags = await reader.read()
                self.samples.append(Sample((time.monotonic() - began) / 60, used, seconds, lags))
                await asyncio.sleep(SAMPLE_SECONDS)

    def panels(self) -> list[Panel]:
        def of(value: str) -> Series:
            return {
                name: [(s.minute, getattr(s.uses[name], value) if name in s.uses else None) for s in self.samples]
                for name in MODULES
            }

        readers = ("processor", "postgres", "parquet")
        waiting: Series = {name: [(s.minute, getattr(s.lags, name)) for s in self.samples] for name in readers}
        seconds: Series = {
            name: [(s.minute, s.lag_seconds.get(name)) for s in self.samples]
            for name in ("processor", "postgres-sink", "parquet-sink")
        }
        return [
            Panel("Resident memory", "MiB", of("rss_mib")),
            Panel("Open file descriptors", "", of("descriptors")),
            Panel("Records that wait before a reader", "records", waiting),
            Panel("Age of the oldest of them", "s", seconds),
        ]


def summary(soak: Soak, result: TrialResult, began_at: str) -> str:
    """Markdown."""
    rows = []
    for name in MODULES:
        mine = [s.uses[name] for s in soak.samples if name in s.uses]
        if mine:
            rss, descriptors = [use.rss_mib for use in mine], [use.descriptors for use in mine]
            rows.append(
                f"| {name} | {soak.restarts.get(name, 0)} | {min(rss):.0f} – {max(rss):.0f} "
                f"| {min(descriptors)} – {max(descriptors)} |"
            )
    lags = [s.lags.postgres for s in soak.samples if s.lags.postgres is not None]
    verdict = "passed" if result.passed else "FAILED"
    problems = [f"- {violation.invariant}: {violation.what}" for violation in result.violations]
    return "\n".join(
        [
            f"# Soak of {began_at[:10]}: {verdict}",
            "",
            f"`make soak`, seed {result.seed}, mockupAWS {__version__}, began {began_at}Z, {soak.minutes:g} minutes.",
            machine(),
            "",
            f"{result.requests:,} requests with {result.lines:,} lines ({result.outcomes});",
            f"{len(soak.kills)} kills, one of our processes every {KILL_SECONDS:.0f} s.",
            f"Back {result.recovery_seconds or -1:.1f} s after the last kill, and nothing on its way",
            f"{result.quiet_seconds or -1:.1f} s after the last request.",
            f"Before the Postgres sink at most {max(lags, default=0)} records waited.",
            "",
            *problems,
            "| process | started again | memory MiB | file descriptors |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def write(folder: Path, name: str, soak: Soak, page: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    title = f"Soak: {soak.minutes:g} minutes, {len(soak.kills)} kills (dotted)"
    (folder / f"{name}.svg").write_text(draw(title, soak.panels(), soak.kills))
    (folder / f"{name}.md").write_text(f"{page}\n![memory, descriptors and lags over time]({name}.svg)\n")
    (folder / f"{name}.json").write_bytes(msgspec.json.encode(soak.samples))


def main() -> None:
    arguments = _parse()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(100_000)
    now = datetime.fromtimestamp(SystemClock().now_us() / 1e6, UTC)
    home = Path(tempfile.mkdtemp(prefix="mockupaws-soak-"))
    home.chmod(0o755)
    print(f"seed {seed}, {arguments.minutes:g} minutes at {arguments.rate:,.0f} lines/s, in {home}", flush=True)
    soak = Soak(arguments.minutes)
    fault = Fault(name="soak", number="-", what="each of our processes killed in turn", inject=soak.inject)
    stack = DrilledStack(home / "stack")
    try:
        stack.start()
        result = asyncio.run(run_trial(stack, [fault], seed, home, arguments.rate))
    finally:
        stack.stop()
    page = summary(soak, result, now.isoformat(timespec="seconds")[:19])
    folder = RESULTS if arguments.write else home
    write(folder, f"{now:%Y-%m-%d}-seed-{seed}", soak, page)
    print(f"{page}\nwritten to {folder}")
    if not result.passed:
        sys.exit(1)
    if arguments.write:
        shutil.rmtree(home, ignore_errors=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.adversity.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=LINES_PER_SECOND, help="lines a second")
    parser.add_argument("--seed", type=int, help="default: random")
    parser.add_argument("--write", action="store_true", help=f"write plot, samples and summary to {RESULTS}/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
