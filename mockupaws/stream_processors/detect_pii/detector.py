"""What a detector is: expressions that a scan looks for, the exact check of each hit, and examples that prove both.

A hit carries only the offset where the expression ended (reporting starts too would cost the scan a third), so an
expression ends at a place its check knows: after a fixed number of characters, or at a sign such as `@`. The check
then reads the surroundings and answers with the exact span, or None. Checks see the bytes of many lines at once,
kept apart by NUL, and never look past one: no class in their expressions matches NUL.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

Span = tuple[int, int]
"""Start and end in bytes."""

Check = Callable[[bytes, int], Span | None]
"""(bytes, offset of the hit's end) → the exact span, or None where the hit is no finding."""

UNEXAMINED = "bound.unexamined"
"""Rule of a line with more hits than are looked at: the line as a whole is the finding."""


def last_match(pattern: re.Pattern[bytes], data: bytes, start: int, end: int) -> re.Match[bytes] | None:
    """The match that begins last between two places."""
    return max(pattern.finditer(data, start, end), key=re.Match.start, default=None)


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression of the scan and what tells its true hits from the false."""

    rule: str
    """Names the expression in findings: `<family>.<what it looks for>`."""
    pattern: str
    """In Hyperscan's syntax, on bytes; never matches NUL."""
    check: Check
    score: float
    """Share of hits passing the check that are expected to be right: 1.0 where a checksum or a prefix proves it."""
    caseless: bool = False
    version: int = 1
    """Counted up with each change that finds more, or less, than before."""
    asleep: bool = False
    """New in this release, or a new version of a rule that goes on: finds nothing by itself, but can be counted (a
    policy's `shadow.rules`), so that it is known what it would do before it does."""
    kinds: tuple[tuple[str, float], ...] = ()
    """Rules and scores that findings have in place of this one's, where the value tells kinds apart."""
    kind_of: Callable[[bytes], int] | None = None
    """(value) → its place in `kinds`; given with them."""

    @property
    def versioned(self) -> str:
        """How an expression that is asleep is called, apart from the version that is awake."""
        return f"{self.rule}@{self.version}"

    def rules(self) -> tuple[tuple[str, float], ...]:
        """(rule, score) of each that a finding may have."""
        return self.kinds or ((self.rule, self.score),)


@dataclass(frozen=True, slots=True)
class Detector:
    """Everything known about one type of finding."""

    pii_type: str
    why: str
    """What it protects and how it tells a finding from its look-alikes."""
    expressions: tuple[Expression, ...]
    positives: tuple[tuple[str, str], ...]
    """(line, text that must be found in it)."""
    negatives: tuple[str, ...]
    """Lines in which nothing of this type may be found."""
