"""A text while it is redacted: plain marks stand where something was found, beside what will stand there in the end.

The scan sees the plain marks, whatever the policy: so what is found never depends on what is done with it, and a value
that is only flagged, or allowed, can't hide its neighbour. Hashed and encrypted marks of before are read as plain ones
as well, so a text that was redacted once is found to be so. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mockupaws.stream_processors.detect_pii.scan import Found
from mockupaws.stream_processors.policies.marks import keyed_marks


class Held(NamedTuple):
    """A plain mark in the draft, and what it stands for."""

    start: int
    end: int
    final: bytes


class Draft(NamedTuple):
    data: bytes
    """What is scanned."""
    held: Sequence[Held] = ()
    """In order; they don't overlap."""

    def final(self) -> bytes:
        return self.part(0, len(self.data)) if self.held else self.data

    def part(self, start: int, end: int) -> bytes:
        """What will stand from `start` to `end`; no mark is cut by either."""
        pieces: list[bytes] = []
        for held in self.held:
            if start <= held.start and held.end <= end:
                pieces += (self.data[start : held.start], held.final)
                start = held.end
        pieces.append(self.data[start:end])
        return b"".join(pieces)


def open_draft(data: bytes) -> Draft:
    marks = keyed_marks(data)
    if not marks:
        return Draft(data)
    pieces: list[bytes] = []
    held: list[Held] = []
    position = length = 0
    for start, end, plain in marks:
        pieces += (data[position:start], plain)
        length += start - position
        held.append(Held(length, length + len(plain), data[start:end]))
        length += len(plain)
        position = end
    pieces.append(data[position:])
    return Draft(b"".join(pieces), held)


def around(findings: list[Found], held: Sequence[Held]) -> list[Found]:
    """The findings without those inside a mark; one that cuts a mark is widened to hold it whole."""
    if not held:
        return findings
    kept: list[Found] = []
    for found in findings:
        start, end = found.start, found.end
        if any(mark.start <= start and end <= mark.end for mark in held):
            continue
        for mark in held:
            if mark.start < end and start < mark.end:
                start, end = min(start, mark.start), max(end, mark.end)
        if kept and kept[-1].end > start:  # both cut one mark
            kept[-1] = kept[-1]._replace(end=max(end, kept[-1].end))
        else:
            kept.append(found._replace(start=start, end=end))
    return kept
