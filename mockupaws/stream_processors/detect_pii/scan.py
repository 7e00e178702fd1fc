"""Finds personal data in bytes: one Hyperscan pass over all expressions, then exact checks where one hit."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

import hyperscan

from mockupaws.runtime.errors import PermanentError
from mockupaws.stream_processors.detect_pii.decode_escapes import Decoded
from mockupaws.stream_processors.detect_pii.detector import Detector, Expression
from mockupaws.stream_processors.detect_pii.table import DETECTORS

SEPARATOR = b"\0"
"""Put between lines that are scanned together; no finding spans it."""


class ExpressionRefusedError(PermanentError):
    """An expression does not compile."""


class Found(NamedTuple):
    """One finding, in bytes of what was scanned."""

    start: int
    end: int
    pii_type: str
    rule: str
    score: float


_Candidate = tuple[int, int, int, int]
"""Start, end, rank of the type, number of the expression."""


class Scanner:
    """All detectors compiled into one database. One scan at a time: not to be shared between threads."""

    def __init__(self, detectors: Sequence[Detector] = DETECTORS) -> None:
        """Raises ExpressionRefusedError naming the expression that does not compile."""
        self._expressions: list[tuple[Expression, str, int]] = [
            (expression, detector.pii_type, rank)
            for rank, detector in enumerate(detectors)
            for expression in detector.expressions
        ]
        self._database = _compile([expression for expression, _, _ in self._expressions])
        self._scan = self._database.scan

    def scan(self, data: bytes) -> list[Found]:
        """The findings in their order, none overlapping another and none spanning SEPARATOR."""
        candidates = self._candidates(data)
        decoded = Decoded(data)
        if decoded.text:
            for start, end, rank, number in self._candidates(decoded.text):
                candidates.add((*decoded.origin(start, end), rank, number))
        findings: list[Found] = []
        for start, end, _, number in _without_overlaps(sorted(candidates)):
            expression, pii_type, _ = self._expressions[number]
            kind_of = expression.kind_of
            rule, score = expression.rules()[0 if kind_of is None else kind_of(data[start:end])]
            findings.append(Found(start, end, pii_type, rule, score))
        return findings

    def _candidates(self, data: bytes) -> set[_Candidate]:
        """What the exact checks make of the hits."""
        hits: list[tuple[int, int]] = []
        self._scan(data, match_event_handler=_note, context=hits)
        candidates: set[_Candidate] = set()
        for end, number in hits:
            expression, _, rank = self._expressions[number]
            span = expression.check(data, end)
            if span is not None:
                candidates.add((*span, rank, number))
        return candidates


def _note(number: int, start: int, end: int, flags: int, hits: list[tuple[int, int]]) -> None:
    hits.append((end, number))


def _without_overlaps(ordered: list[_Candidate]) -> list[_Candidate]:
    """The rule: a span inside a longer one gives way to it; else, of two that overlap, the type ranked later does."""
    if all(ordered[number][1] <= ordered[number + 1][0] for number in range(len(ordered) - 1)):
        return ordered
    kept: list[_Candidate] = []
    group: list[_Candidate] = []
    group_end = 0
    for candidate in ordered:
        if candidate[0] >= group_end:
            kept += _settle(group)
            group = []
        group.append(candidate)
        group_end = max(group_end, candidate[1])
    return kept + _settle(group)


def _settle(group: list[_Candidate]) -> list[_Candidate]:
    """Applies the rule to spans, in order of their starts, that overlap one after the other."""
    if len(group) <= 1:
        return group
    preferences: list[tuple[bool, int, _Candidate]] = []
    longest = (0, 0)
    for candidate in sorted(group, key=lambda c: (c[0], -c[1])):
        inside = candidate[1] <= longest[1] and candidate[:2] != longest
        preferences.append((inside, candidate[2], candidate))
        if candidate[1] > longest[1]:
            longest = candidate[:2]
    chosen: list[_Candidate] = []
    for _, _, candidate in sorted(preferences):
        place = bisect_left(chosen, candidate)
        before_ends = place == 0 or chosen[place - 1][1] <= candidate[0]
        if before_ends and (place == len(chosen) or candidate[1] <= chosen[place][0]):
            chosen.insert(place, candidate)
    return chosen


def _compile(expressions: Sequence[Expression]) -> Any:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        _compile_into(database, expressions)
    except hyperscan.HyperscanError:
        for expression in expressions:
            try:
                _compile_into(hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK), [expression])
            except hyperscan.HyperscanError as error:
                raise ExpressionRefusedError(f"expression {expression.rule} does not compile: {error}") from error
        raise
    return database


def _compile_into(database: Any, expressions: Sequence[Expression]) -> None:
    database.compile(
        expressions=[expression.pattern.encode("latin-1") for expression in expressions],
        ids=list(range(len(expressions))),
        elements=len(expressions),
        flags=[hyperscan.HS_FLAG_CASELESS if expression.caseless else 0 for expression in expressions],
    )
