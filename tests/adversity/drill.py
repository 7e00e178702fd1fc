"""Every fault against a running installation, under load, with an oracle that counts each line afterwards.

    python -m tests.adversity.drill                     all faults, then mixes of them
    python -m tests.adversity.drill --faults F23        those of a number, or with a word in their name
    python -m tests.adversity.drill --seed 7            the same requests and choices again

Ends with 1 where an invariant is broken. The ledgers of failed trials stay in the folder it names.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mockupaws import __version__
from mockupaws.runtime.clock import SystemClock
from tests.adversity.drilled_stack import READY_SECONDS, DrilledStack
from tests.adversity.faults.fault import Fault, Stack
from tests.adversity.faults.table import FAULTS, TESTED_ELSEWHERE, faults_named
from tests.adversity.oracle.invariants import Violation
from tests.adversity.report import DrillResult, head, row, summary, write
from tests.adversity.trial import LINES_PER_SECOND, TrialResult, run_trial

RESULTS = Path("docs/drills")
TRIAL_SECONDS = 600.0
MIXED_FAULTS = 3
LONGEST_MIXED_SECONDS = 60.0
"""Recovery time of the faults that are mixed: the others would take all the time."""


class StackKeeper:
    """One stack after another; a stack a trial has broken is replaced, so that the next trial says something."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._stack: DrilledStack | None = None
        self._kind: Stack | None = None
        self._count = 0

    def stack_for(self, kind: Stack) -> DrilledStack:
        """Ready. Raises RuntimeError where it doesn't start."""
        if self._stack is not None and (kind != self._kind or not _gets_ready(self._stack)):
            self.stop()
        if self._stack is None:
            self._count += 1
            self._stack = DrilledStack(self._home / f"stack-{self._count}", small_disks=kind == "small disks")
            self._kind = kind
            self._stack.start()
        return self._stack

    def stop(self) -> None:
        if self._stack is not None:
            self._stack.stop()
            self._stack = None


@contextmanager
def stacks(home: Path) -> Iterator[StackKeeper]:
    keeper = StackKeeper(home)
    try:
        yield keeper
    finally:
        keeper.stop()


def mixes(faults: Sequence[Fault], seed: int, count: int) -> list[list[Fault]]:
    """Random faults in a row under one load: what no table foresees."""
    chance = random.Random(seed)
    quick = [
        fault
        for fault in faults
        if fault.inject
        and fault.mixed
        and fault.stack == "ordinary"
        and fault.recovery_seconds <= LONGEST_MIXED_SECONDS
    ]
    return [chance.sample(quick, min(MIXED_FAULTS, len(quick))) for _ in range(count)] if quick else []


def drill(
    home: Path, trials: Sequence[Sequence[Fault]], seed: int, minutes: float, rate: float
) -> Iterator[TrialResult]:
    """One result a trial; those for which no time is left are skipped, and say so."""
    end = time.monotonic() + minutes * 60
    with stacks(home) as keeper:
        for number, faults in enumerate(trials):
            name = " + ".join(fault.name for fault in faults)
            if time.monotonic() > end:
                yield TrialResult(name, seed + number, skipped=f"no time left of {minutes:.0f} minutes")
                continue
            if reason := next((reason for fault in faults if (reason := fault.skipped())), ""):
                yield TrialResult(name, seed + number, skipped=reason)
                continue
            try:
                stack = keeper.stack_for(faults[0].stack)
                yield asyncio.run(_run_in_time(stack, faults, seed + number, home, rate))
            except Exception as error:
                broken = Violation("I10", f"the trial ended with {type(error).__name__}: {error}")
                yield TrialResult(name, seed + number, violations=[broken])
                keeper.stop()


async def _run_in_time(stack: DrilledStack, faults: Sequence[Fault], seed: int, home: Path, rate: float) -> TrialResult:
    async with asyncio.timeout(TRIAL_SECONDS):
        return await run_trial(stack, faults, seed, home, rate)


def _gets_ready(stack: DrilledStack) -> bool:
    deadline = time.monotonic() + READY_SECONDS
    while not stack.is_ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def main() -> None:
    arguments = _parse()
    if arguments.list:
        for fault in FAULTS:
            print(f"{fault.number}  {fault.name:<48} {fault.skipped() or fault.what}")
        for name, test in TESTED_ELSEWHERE.items():
            print(f"{name[:3]} {name[3:]:<49} {test}")
        return
    try:
        chosen = faults_named(arguments.faults)
    except ValueError as error:
        sys.exit(str(error))
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(100_000)
    ordered = sorted(chosen, key=lambda fault: fault.stack == "ordinary")  # one stack after the other
    trials = [[fault] for fault in ordered] + mixes(chosen, seed, arguments.mixes)
    now = datetime.fromtimestamp(SystemClock().now_us() / 1e6, UTC)
    home = Path(tempfile.mkdtemp(prefix="mockupaws-drill-"))
    home.chmod(0o755)
    print(
        f"seed {seed}, {len(trials)} trials of at most {arguments.minutes:.0f} minutes, in {home}\n\n{head()}",
        flush=True,
    )
    began = time.monotonic()
    results: list[TrialResult] = []
    for trial in drill(home, trials, seed, arguments.minutes, arguments.rate):
        results.append(trial)
        print(row(trial), flush=True)
        for violation in trial.violations:
            print(f"    ✗ {violation.invariant}: {violation.what}", flush=True)
    minutes = (time.monotonic() - began) / 60
    result = DrillResult(seed, now.isoformat(timespec="seconds")[:19], minutes, __version__, results)
    print(f"\n{summary(result)}")
    if arguments.write:
        print(f"written: {write(result, RESULTS, f'{now:%Y-%m-%d}-seed-{seed}')}")
    if result.passed:
        shutil.rmtree(home, ignore_errors=True)
    else:
        print(f"ledgers and logs: {home}")
        sys.exit(1)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.adversity.drill", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--seed", type=int, help="of the first trial; each further one counts up (default: random)")
    parser.add_argument("--faults", nargs="+", default=[], help="numbers (F23) or words of their names")
    parser.add_argument("--minutes", type=float, default=33.0, help="after which no trial is begun (default: 33)")
    parser.add_argument("--mixes", type=int, default=8, help="trials with random faults in a row (default: 8)")
    parser.add_argument("--rate", type=float, default=LINES_PER_SECOND, help="lines a second")
    parser.add_argument("--write", action="store_true", help=f"write JSON and Markdown to {RESULTS}/")
    parser.add_argument("--list", action="store_true", help="show all faults and end")
    return parser.parse_args()


if __name__ == "__main__":
    main()
