"""The result of a drill as a table for people and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from tests.adversity.oracle.invariants import INVARIANTS, MEANING
from tests.adversity.trial import TrialResult

_NAME_WIDTH = 48


@dataclass(frozen=True, slots=True)
class DrillResult:
    seed: int
    began_at: str
    """UTC, to the second."""
    minutes: float
    software: str
    trials: Sequence[TrialResult]

    @property
    def run(self) -> list[TrialResult]:
        return [trial for trial in self.trials if not trial.skipped]

    @property
    def passed(self) -> bool:
        return bool(self.run) and all(trial.passed for trial in self.run)


def row(trial: TrialResult) -> str:
    """One line for the terminal."""
    name = f"{trial.fault[:_NAME_WIDTH]:<{_NAME_WIDTH}}"
    if trial.skipped:
        return f"{name} skipped: {trial.skipped}"
    return (
        f"{name} {trial.seed:>6} {marks(trial, ' ')} {trial.lines:>8,} {trial.outcomes.get('unknown', 0):>5} "
        f"{_seconds(trial.injected_seconds):>6} {_seconds(trial.recovery_seconds):>6} "
        f"{_seconds(trial.quiet_seconds):>6}  {', '.join(trial.last_to_recover)}"
    )


def head() -> str:
    invariants = " ".join(f"{invariant:>3}" for invariant in INVARIANTS)
    columns = f"{'lines':>8} {'unkn.':>5} {'fault':>6} {'back':>6} {'quiet':>6}  last to come back"
    return f"{'fault':<{_NAME_WIDTH}} {'seed':>6} {invariants} {columns}"


def marks(trial: TrialResult, separator: str) -> str:
    broken = {violation.invariant for violation in trial.violations}
    return separator.join(f"{'✗' if invariant in broken else '✓':>3}" for invariant in INVARIANTS)


def summary(result: DrillResult) -> str:
    run = result.run
    failed = [trial for trial in run if not trial.passed]
    text = (
        f"{len(run)} trials with {len({trial.seed for trial in run})} seeds from {result.seed}: "
        f"{sum(trial.requests for trial in run):,} requests, {sum(trial.lines for trial in run):,} lines, "
        f"{sum(trial.outcomes.get('unknown', 0) for trial in run):,} requests of unknown outcome; "
        f"{len(run) - len(failed)} passed, {len(failed)} failed, {len(result.trials) - len(run)} skipped, "
        f"in {result.minutes:.1f} minutes"
    )
    details = [
        f"{trial.fault} (seed {trial.seed}) {violation.invariant}: {violation.what}"
        for trial in failed
        for violation in trial.violations
    ]
    return "\n".join([text, *details])


def markdown(result: DrillResult) -> str:
    lines = [
        f"# Drill of {result.began_at[:10]}",
        "",
        f"`make drill`, seed {result.seed}, mockupAWS {result.software}, began {result.began_at}Z. {machine()}",
        "",
        *[f"{line}  " for line in summary(result).splitlines()],
        "",
        f"| fault | seed | {' | '.join(INVARIANTS)} | requests | lines | unknown | fault s | back s | quiet s |",
        f"|---|{'---|' * (len(INVARIANTS) + 7)}",
        *(_markdown_row(trial) for trial in result.trials),
        "",
        *(f"- {invariant}: {meaning}" for invariant, meaning in MEANING.items()),
        "",
        "`fault s`: how long the fault lasted; `back s`: from its end until every process was ready and a request was",
        "accepted; `quiet s`: from the last request until nothing was on its way.",
        "",
    ]
    return "\n".join(lines)


def write(result: DrillResult, folder: Path, name: str) -> Path:
    """JSON and Markdown; answers the Markdown's path."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {**asdict(result), "passed": result.passed, "machine": machine()}
    (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
    page = folder / f"{name}.md"
    page.write_text(markdown(result))
    return page


def _markdown_row(trial: TrialResult) -> str:
    if trial.skipped:
        return f"| {trial.fault} | – | {' | '.join('–' * (len(INVARIANTS) + 4))} | skipped: {trial.skipped} | – |"
    return (
        f"| {trial.fault} | {trial.seed} | {marks(trial, ' | ')} | {trial.requests:,} | {trial.lines:,} "
        f"| {trial.outcomes.get('unknown', 0)} | {_seconds(trial.injected_seconds)} "
        f"| {_seconds(trial.recovery_seconds)} | {_seconds(trial.quiet_seconds)} |"
    )


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f}"


def machine() -> str:
    return f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs, Python {platform.python_version()}."
