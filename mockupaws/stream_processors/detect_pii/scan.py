"""Finds personal data in bytes: one Hyperscan pass over all expressions, then exact checks where one hit."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Sequence
from copy import copy
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, Protocol

import hyperscan

from mockupaws.stream_processors.detect_pii.compiled_database import open_database
from mockupaws.stream_processors.detect_pii.decode_escapes import ENTITY, Decoded
from mockupaws.stream_processors.detect_pii.detector import UNEXAMINED, Check, Detector, Expression, Span
from mockupaws.stream_processors.detect_pii.table import DETECTORS

SEPARATOR = b"\0"
"""Put between lines that are scanned together; no finding spans it."""


class Found(NamedTuple):
    """One finding, in bytes of what was scanned."""

    start: int
    end: int
    pii_type: str
    rule: str
    score: float


TypedSpan = tuple[int, int, str]
"""Start, end and type of a finding: what a mask needs to know of it."""


class TextScanner(Protocol):
    """What finds something in texts: Scanner, or one that adds to it."""

    def scan(self, data: bytes) -> list[Found]: ...

    def spans(self, data: bytes) -> list[TypedSpan]: ...

    def scan_texts(self, joined: bytes, texts: Sequence[bytes]) -> dict[int, list[Found]]: ...


_Candidate = tuple[int, int, int, int]
"""Start, end, rank of the type, number of the expression."""
_Hit = tuple[int, int]
"""End, number of the expression."""

_MOST_HITS_OF_SCAN = 1 << 18
_LEAST_HITS_OF_LINE = 1024
_BYTES_PER_FURTHER_HIT = 8
_CONTINUATION_BYTES = 3
"""Of a character in UTF-8, at most."""
_ENTITY = Expression("escape.entity", ENTITY, lambda data, end: None, 0.0)


class Scanner:
    """All detectors compiled into one database. One scan at a time: not to be shared between threads."""

    def __init__(self, detectors: Sequence[Detector] = DETECTORS, folder: Path | None = None) -> None:
        """`folder`: where compiled expressions are kept between starts (None: nowhere).

        Raises ExpressionRefusedError naming the expression that does not compile.
        """
        self._expressions: list[tuple[Expression, str, int]] = [
            (expression, detector.pii_type, rank)
            for rank, detector in enumerate(detectors)
            for expression in detector.expressions
        ]
        self._entity = len(self._expressions)
        self._database = open_database([*(expression for expression, _, _ in self._expressions), _ENTITY], folder)
        self._scan = self._database.scan
        self._checks = [
            (_no_finding if expression.asleep else expression.check, rank) for expression, _, rank in self._expressions
        ]
        self._types = [pii_type for _, pii_type, _ in self._expressions]
        self._meanings = [
            (
                pii_type,
                expression.versioned if expression.asleep else expression.rule,
                expression.score,
                expression.kind_of,
                expression.kinds,
            )
            for expression, pii_type, _ in self._expressions
        ]

    def without(self, rules: Collection[str]) -> Scanner:
        """The same scanner, which finds nothing by these rules: they have no part in which of two findings wins."""
        return self._with_checks(lambda expression, rule: rule not in rules and not expression.asleep)

    def only(self, rules: Collection[str]) -> Scanner:
        """The same scanner, which finds something by these rules alone, though they be asleep."""
        return self._with_checks(
            lambda expression, rule: (expression.versioned if expression.asleep else rule) in rules
        )

    def _with_checks(self, keeps: Callable[[Expression, str], bool]) -> Scanner:
        view = copy(self)
        view._checks = [  # noqa: SLF001 - a copy of its own
            (_kept_check(expression, keeps), rank) for expression, _, rank in self._expressions
        ]
        return view

    def scan(self, data: bytes) -> list[Found]:
        """The findings in their order, none overlapping another and none spanning SEPARATOR."""
        return [self._found(data, candidate, 0) for candidate in self._candidates(data)]

    def spans(self, data: bytes) -> list[TypedSpan]:
        """Of the findings of `scan`, in their order: their rules and scores cost as much again."""
        types = self._types
        return [
            (start, end, types[number if number >= 0 else ~number]) for start, end, _, number in self._candidates(data)
        ]

    def scan_texts(self, joined: bytes, texts: Sequence[bytes]) -> dict[int, list[Found]]:
        """The findings of each text that has any, by position and in bytes of that text; `joined`: all, by SEPARATOR."""
        candidates = self._candidates(joined)
        if not candidates:
            return {}
        starts = list(accumulate([len(text) + 1 for text in texts], initial=0))
        found: dict[int, list[Found]] = {}
        position, end = -1, 0
        for candidate in candidates:
            if candidate[0] >= end:
                position = bisect_right(starts, candidate[0], position + 1) - 1
                start, end = starts[position], starts[position + 1]
                of_text = found[position] = []
            of_text.append(self._found(joined, candidate, start))
        return found

    def _candidates(self, data: bytes) -> list[_Candidate]:
        """All that is found, in order, none overlapping another."""
        hits = self._hits(data)
        if hits is None:
            return self._scan_apart(data)
        entities = [end for end, number in hits if number == self._entity]
        candidates = self._examine(data, hits)
        decoded = Decoded(data, entities)
        if decoded.text:
            again = self._hits(decoded.text)
            if again is None:
                return self._scan_apart(data)
            for start, end, rank, number in self._examine(decoded.text, again):
                candidates.add((*decoded.origin(start, end), rank, number))
        return _without_overlaps(sorted(candidates))

    def _found(self, data: bytes, candidate: _Candidate, origin: int) -> Found:
        """In bytes from `origin` on."""
        start, end, _, number = candidate
        if number < 0:
            return Found(start - origin, end - origin, self._types[~number], UNEXAMINED, 0.5)
        pii_type, rule, score, kind_of, kinds = self._meanings[number]
        if kind_of is not None:
            rule, score = kinds[kind_of(data[start:end])]
        return Found(start - origin, end - origin, pii_type, rule, score)

    def _hits(self, data: bytes) -> list[_Hit] | None:
        """All hits, in order; None where there are more than one scan may have."""
        hits: list[_Hit] = []
        try:
            self._scan(data, match_event_handler=_note, context=hits)
        except hyperscan.ScanTerminated:
            return None
        hits.sort()
        return hits

    def _examine(self, data: bytes, hits: list[_Hit]) -> set[_Candidate]:
        """What the exact checks make of the hits: a check is spared where its type was found already."""
        candidates: set[_Candidate] = set()
        if len(hits) > _LEAST_HITS_OF_LINE and _any_line_may_exceed_it(data, hits):
            hits = self._within_bounds(data, hits, candidates)
        reached = [0] * len(self._checks)
        checks, entity, ascii_only = self._checks, self._entity, data.isascii()
        for end, number in hits:
            if number == entity:
                continue
            check, rank = checks[number]
            if end <= reached[rank]:
                continue
            span = check(data, end)
            if span is not None:
                start, stop = span if ascii_only else _whole_characters(data, *span)
                reached[rank] = stop
                candidates.add((start, stop, rank, number))
        return candidates

    def _within_bounds(self, data: bytes, hits: list[_Hit], candidates: set[_Candidate]) -> list[_Hit]:
        """The hits of lines that have no more than may be looked at; the other lines become candidates as a whole."""
        kept: list[_Hit] = []
        place = 0
        while place < len(hits):
            start = data.rfind(SEPARATOR, 0, hits[place][0] - 1) + 1
            end = data.find(SEPARATOR, hits[place][0] - 1)
            end = len(data) if end < 0 else end
            following = bisect_right(hits, (end, len(self._checks)), place)
            if following - place <= _LEAST_HITS_OF_LINE + (end - start) // _BYTES_PER_FURTHER_HIT:
                kept += hits[place:following]
            else:
                number = min(hits[place][1], self._entity - 1)
                candidates.add((start, end, 0, ~number))
            place = following
        return kept

    def _scan_apart(self, data: bytes) -> list[_Candidate]:
        """Line by line; one that has too many hits even so is one finding."""
        if SEPARATOR not in data:
            return [(0, len(data), 0, ~0)]
        found: list[_Candidate] = []
        origin = 0
        for line in data.split(SEPARATOR):
            found += [(start + origin, end + origin, rank, of) for start, end, rank, of in self._candidates(line)]
            origin += len(line) + 1
        return found


def _whole_characters(data: bytes, start: int, stop: int) -> Span:
    """The span, widened where a bound in bytes cuts a character of UTF-8."""
    for _ in range(_CONTINUATION_BYTES):
        cut_after = stop < len(data) and data[stop] & 0xC0 == 0x80
        cut_before = 0 < start < stop and data[start] & 0xC0 == 0x80
        if not cut_after and not cut_before:
            break
        start, stop = start - cut_before, stop + cut_after
    return start, stop


def _any_line_may_exceed_it(data: bytes, hits: list[_Hit]) -> bool:
    """Whether some line may have more than _LEAST_HITS_OF_LINE hits: so many stand around one of these stretches."""
    half = _LEAST_HITS_OF_LINE // 2
    return any(
        data.find(SEPARATOR, hits[place][0] - 1, hits[place + half][0]) < 0
        for place in range(0, len(hits) - half, half)
    )


def _no_finding(data: bytes, end: int) -> Span | None:
    return None


def _kept_check(expression: Expression, keeps: Callable[[Expression, str], bool]) -> Check:
    """The check of the expression, for those of its rules that are kept."""
    kept = [keeps(expression, rule) for rule, _ in expression.rules()]
    kind_of = expression.kind_of
    if all(kept):
        return expression.check
    if not any(kept) or kind_of is None:
        return _no_finding

    def check_kind(data: bytes, end: int) -> Span | None:
        span = expression.check(data, end)
        return span if span is not None and kept[kind_of(data[slice(*span)])] else None

    return check_kind


def _note(number: int, start: int, end: int, flags: int, hits: list[_Hit]) -> bool:
    hits.append((end, number))
    return len(hits) > _MOST_HITS_OF_SCAN


def _without_overlaps(ordered: list[_Candidate]) -> list[_Candidate]:
    """The rule: a span inside a longer one gives way to it; else, of two that overlap, the type ranked later does."""
    reached = 0
    for candidate in ordered:
        if candidate[0] < reached:
            break
        reached = candidate[1]
    else:
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
