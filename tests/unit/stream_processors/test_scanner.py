"""The scan as a whole: what it promises of every expression, its bounds, and its compiled database on disk."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from pathlib import Path

import pytest

from mockupaws.stream_processors import detect_pii
from mockupaws.stream_processors.detect_pii import compiled_database
from mockupaws.stream_processors.detect_pii.compiled_database import open_database
from mockupaws.stream_processors.detect_pii.detector import UNEXAMINED, Detector, Expression
from mockupaws.stream_processors.detect_pii.person_rules import PERSON_RULES
from mockupaws.stream_processors.detect_pii.scan import Found, Scanner
from mockupaws.stream_processors.detect_pii.table import DETECTORS, RULE_VERSIONS
from tests.accuracy.measure import SETS, lines_of
from tests.unit.stream_processors.scan_growth import grows_faster_than_the_text

_SCANNER = Scanner()
_LINES = list(dict.fromkeys(line.text.replace("\0", " ") for _, _, files, _ in SETS for line in lines_of(files)))
_WIDEST_BYTES = 101_000
"""The longest that a second-stage expression may read at once: a private key."""


def test_hyperscan_finds_what_re_finds() -> None:
    """Some of its bounded repeats miss matches: an expression that meets this is written otherwise."""
    data = "\0".join(_LINES).encode()
    expressions = [expression for detector in DETECTORS for expression in detector.expressions]
    hits: set[tuple[int, int]] = set()
    open_database(expressions, None).scan(
        data, match_event_handler=lambda number, start, end, flags, context: hits.add((number, end))
    )
    for number, expression in enumerate(expressions):
        same = re.compile(expression.pattern.encode("latin-1"), re.IGNORECASE if expression.caseless else 0)
        missed = [match[0] for match in same.finditer(data) if (number, match.end()) not in hits]
        assert missed == [], expression.rule


def test_each_line_gives_alone_what_it_gives_among_others() -> None:
    lines = [line.encode() for line in _LINES]
    together = _SCANNER.scan(b"\0".join(lines))
    apart: list[Found] = []
    start = 0
    for line in lines:
        apart += [found._replace(start=found.start + start, end=found.end + start) for found in _SCANNER.scan(line)]
        start += len(line) + 1
    assert together == apart


def test_rules_have_one_name_each_and_no_expression_matches_nul() -> None:
    expressions = [e for detector in DETECTORS for e in detector.expressions if not e.asleep]
    rules = [rule for expression in expressions for rule, _ in expression.rules()]
    assert sorted({*rules, UNEXAMINED, *PERSON_RULES}) == sorted(RULE_VERSIONS)
    names = [expression.rule for expression in expressions]
    assert len(names) == len(set(names))


def _second_stage() -> list[tuple[str, re.Pattern[bytes]]]:
    found = []
    for module in pkgutil.iter_modules(detect_pii.__path__):
        named = importlib.import_module(f"{detect_pii.__name__}.{module.name}")
        for name, value in vars(named).items():
            patterns = value.values() if isinstance(value, dict) else [value]
            found += [(f"{module.name}.{name}", each) for each in patterns if isinstance(each, re.Pattern)]
    return found


def test_no_expression_of_the_second_stage_reads_without_bound() -> None:
    """With the bound on hits, this makes the time linear: the first stage is linear by its nature."""
    parser = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
    wide = {
        name: parser.parse(pattern.pattern, pattern.flags).getwidth()[1]
        for name, pattern in _second_stage()
        if parser.parse(pattern.pattern, pattern.flags).getwidth()[1] > _WIDEST_BYTES
    }
    assert wide == {}


_PIECES = sorted(
    {text for detector in DETECTORS for text, _ in detector.positives}
    | {text[: len(text) // 2] for detector in DETECTORS for text, _ in detector.positives}
    | {text for detector in DETECTORS for text in detector.negatives}
    | {"a@", "1.", "password=", "phone: 1", "%40", "\\u0040", "&#64;", "-----BEGIN PRIVATE KEY-----", "eyJhbGciOi-"}
    | {"insert into x (", "1.2.3.4 to ", "passport", "born ", "://a:", "curl -u a:", "+1 2 3 4 5 6 7 8 ", "\0"}
)


def test_time_stays_linear_on_each_example_repeated() -> None:
    assert [piece for piece in _PIECES if grows_faster_than_the_text(_SCANNER, piece, 2**16)] == []


def test_a_line_with_more_hits_than_are_looked_at_is_found_as_a_whole() -> None:
    dense = b"a@a" * 20_000
    found = _SCANNER.scan(b"bob@example.com\0" + dense + b"\0ann@example.com")
    assert [(one.start, one.end, one.rule) for one in found] == [
        (0, 15, "email.at_sign"),
        (16, 16 + len(dense), UNEXAMINED),
        (17 + len(dense), 32 + len(dense), "email.at_sign"),
    ]


@pytest.mark.parametrize("before", [0, 1, 500, 511, 512, 513, 1300])
def test_the_bound_is_of_a_line_wherever_it_stands(before: int) -> None:
    lines = b"bob@example.com\0" * before
    at_bound, above = b"a@a" * 1638, b"a@a" * 1639  # 1024 hits, and one more for each 8 bytes
    found = _SCANNER.scan(lines + at_bound + b"\0" + above + b"\0ann@example.com")
    unexamined = [(one.start, one.end) for one in found if one.rule == UNEXAMINED]
    start = len(lines) + len(at_bound) + 1
    assert unexamined == [(start, start + len(above))]


def test_more_hits_than_a_scan_may_have_cost_only_the_line_that_has_them() -> None:
    dense = b"a@a" * 300_000
    found = _SCANNER.scan(b"bob@example.com\0" + dense)
    assert [(one.start, one.end, one.rule) for one in found] == [
        (0, 15, "email.at_sign"),
        (16, 16 + len(dense), UNEXAMINED),
    ]


def test_compiled_expressions_are_kept_and_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Scanner(folder=tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600

    def refuse(expressions: object) -> None:
        raise AssertionError("compiled anew")

    monkeypatch.setattr(compiled_database, "_compile", refuse)
    line = b"mail bob@example.com from 10.0.0.1"
    assert Scanner(folder=tmp_path).scan(line) == first.scan(line) != []


@pytest.mark.parametrize("spoil", ["cut", "changed", "foreign", "readable", "empty"])
def test_a_kept_file_that_is_not_ours_or_not_whole_is_made_anew(tmp_path: Path, spoil: str) -> None:
    detectors = DETECTORS[:3]
    Scanner(detectors, tmp_path)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    match spoil:
        case "cut":
            file.write_bytes(content[:-100])
        case "changed":
            file.write_bytes(content[:-1] + bytes((content[-1] ^ 1,)))
        case "foreign":
            file.write_bytes(b"#!/bin/sh\n")
        case "empty":
            file.write_bytes(b"")
        case "readable":
            file.chmod(0o644)
    assert Scanner(detectors, tmp_path).scan(b"AKIAIOSFODNN7EXAMPLE")[0].pii_type == "AWS_ACCESS_KEY"
    assert file.read_bytes() == content
    assert file.stat().st_mode & 0o777 == 0o600


def test_other_expressions_are_kept_under_another_name(tmp_path: Path) -> None:
    for pattern in ("a", "b"):
        Scanner((Detector("EMAIL", "", (Expression("x", pattern, lambda data, end: None, 1.0),), (), ()),), tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    occupied = tmp_path / "occupied"
    occupied.write_bytes(b"")
    assert Scanner(DETECTORS[:3], occupied / "below").scan(b"AKIAIOSFODNN7EXAMPLE") != []
