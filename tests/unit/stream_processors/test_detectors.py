"""Each detector against the examples kept beside it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockupaws.schemas.pii_types import PII_TYPES
from mockupaws.stream_processors.detect_pii.api_token import _ISSUED, API_TOKEN
from mockupaws.stream_processors.detect_pii.assigned_value import _MASKED, is_masked
from mockupaws.stream_processors.detect_pii.compiled_database import ExpressionRefusedError
from mockupaws.stream_processors.detect_pii.detector import Detector, Expression
from mockupaws.stream_processors.detect_pii.scan import Found, Scanner
from mockupaws.stream_processors.detect_pii.table import DETECTORS
from tests.unit.stream_processors.scan_growth import grows_faster_than_the_text


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner()


def _found(scanner: Scanner, text: str) -> list[tuple[str, str]]:
    data = text.encode()
    return [(found.pii_type, data[found.start : found.end].decode()) for found in scanner.scan(data)]


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.pii_type)
def test_examples_are_enough(detector: Detector) -> None:
    assert len(detector.positives) >= 3
    assert len(detector.negatives) >= 3
    assert detector.pii_type in PII_TYPES


@pytest.mark.parametrize(
    ("detector", "text", "value"),
    [(detector, *positive) for detector in DETECTORS for positive in detector.positives],
    ids=lambda value: value.pii_type if isinstance(value, Detector) else None,
)
def test_positive_examples_are_found_exactly(scanner: Scanner, detector: Detector, text: str, value: str) -> None:
    assert (detector.pii_type, value) in _found(scanner, text)


@pytest.mark.parametrize(
    ("detector", "text"),
    [(detector, negative) for detector in DETECTORS for negative in detector.negatives],
    ids=lambda value: value.pii_type if isinstance(value, Detector) else None,
)
def test_negative_examples_are_not_found(scanner: Scanner, detector: Detector, text: str) -> None:
    assert detector.pii_type not in [pii_type for pii_type, _ in _found(scanner, text)]


@pytest.mark.parametrize(
    "text",
    [
        "trace 550e8400-e29b-41d4-a716-446655440000 of 2b1c9a7e-1111-4222-8333-444455556666",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "sha1 DA39A3EE5E6B4B0D3255BFEF95601890AFD80709 md5 D41D8CD98F00B204E9800998ECF8427E",
        "release 1.2.3.4-rc1, kernel 6.1.0.25, Chrome/141.0.0.0, v10.20.30.40",
        "2026-11-23T08:12:01.123456Z 1795420800000 1795420800123456 08:12:01,123",
        "took 0.4539578763621486 s, ratio 5.555555555555444e-05, total 4539578763621486.25",
        "email=*** password=**** card ****1111 token=[REDACTED] ssn ***-**-1234",
        "java.util.HashMap@4edde6e5 foo::bar::baz a::b",
    ],
)
def test_look_alikes_are_not_found(scanner: Scanner, text: str) -> None:
    assert _found(scanner, text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres://app:s3cr3t@db.example.com/x", [("URL_CREDENTIALS", "app:s3cr3t")]),
        ("password=bob@example.com!x", [("PASSWORD", "bob@example.com!x")]),
        (
            "api_key=ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            [("API_TOKEN", "ghp_16C7e42F292c6912E7710c838347Ae178B4a")],
        ),
        (
            "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            [("AWS_SECRET_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")],
        ),
        ("at ::ffff:192.0.2.128 now", [("IPV6", "::ffff:192.0.2.128")]),
        ("a@b.de,c@d.de", [("EMAIL", "a@b.de"), ("EMAIL", "c@d.de")]),
    ],
)
def test_overlapping_findings_are_settled_by_the_rule(
    scanner: Scanner, text: str, expected: list[tuple[str, str]]
) -> None:
    assert _found(scanner, text) == expected


def _always(start: int, length: int, pii_type: str, rank_text: str) -> Detector:
    expression = Expression(pii_type, rank_text, lambda data, end: (start, start + length), 1.0)
    return Detector(pii_type, "", (expression,), (), ())


def test_a_span_hidden_by_one_that_loses_comes_back() -> None:
    inside, wide, first = _always(1, 2, "IPV4", "x"), _always(0, 10, "EMAIL", "x"), _always(8, 12, "JWT", "x")
    found = Scanner((first, wide, inside)).scan(b"x" + b"-" * 30)
    assert [(f.pii_type, f.start, f.end) for f in found] == [("IPV4", 1, 3), ("JWT", 8, 20)]


def test_no_finding_spans_two_lines(scanner: Scanner) -> None:
    assert scanner.scan(b"bob@\0example.com 4111 1111\0 1111 1111 password=\0hunter2") == []


@pytest.mark.parametrize("letters", [0, 1, 2, 3])
@pytest.mark.parametrize("character", ["é", "€", "𐀀"])
def test_a_bound_in_bytes_cuts_no_character(scanner: Scanner, character: str, letters: int) -> None:
    """Else what is left could not be read as text."""
    values = [positive for detector in DETECTORS for positive in detector.positives]
    values.append(("> PASS Hunter-2", "Hunter-2"))
    for line, value in values:
        before, _, after = line.partition(value)
        for longer in (value + "a" * letters + character * 300, character * 300 + "a" * letters + value):
            data = f"{before}{longer}{after}".encode()
            for found in scanner.scan(data):
                data[: found.start].decode()
                data[found.start : found.end].decode()


def test_an_expression_that_does_not_compile_is_refused_by_name() -> None:
    broken = Expression("email.broken", r"(?<=a)b", lambda data, end: None, 1.0)
    sound = Expression("email.sound", "b", lambda data, end: None, 1.0)
    with pytest.raises(ExpressionRefusedError, match=r"email\.broken"):
        Scanner((Detector("EMAIL", "", (sound, broken), (), ()),))


def test_findings_name_their_rule_and_score(scanner: Scanner) -> None:
    assert scanner.scan(b"to bob@example.com") == [Found(3, 18, "EMAIL", "email.at_sign", 1.0)]


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        " ",
        "@",
        "a@",
        "1",
        "4111 ",
        "1.",
        ":",
        "a:",
        "://a:",
        "password=",
        "eyJ",
        "a.",
        "%40",
        "-",
        "DE",
        '"',
        "\\",
        "é",
    ],
)
def test_time_stays_linear_on_half_a_megabyte_of_one_piece(scanner: Scanner, piece: str) -> None:
    assert not grows_faster_than_the_text(scanner, piece, 2**19)


def test_ten_thousand_findings_in_one_line(scanner: Scanner) -> None:
    found = scanner.scan(b" ".join(b"u%d@example.com" % number for number in range(10_000)))
    assert len(found) == 10_000


_PIECES_OF_MASKS = st.sampled_from(
    [*"*xX.#_-[]<>({%$?:@ \n", "•", "é", "hunter2", "[EMAIL]", "password", "NULL", "not set", "my_", "your "]
)


@given(st.lists(_PIECES_OF_MASKS, max_size=5).map("".join) | st.text(max_size=12))
def test_what_is_masked_is_told_as_the_whole_expression_tells_it(text: str) -> None:
    value = text.encode()
    assert is_masked(value) == (_MASKED.fullmatch(value.strip()) is not None)


_EXACT_ISSUED = Scanner(
    [
        dataclasses.replace(
            API_TOKEN, expressions=(dataclasses.replace(API_TOKEN.expressions[0], pattern=rf"\b(?:{_ISSUED})"),)
        )
    ]
)
_ISSUED_AS_SCANNED = Scanner([dataclasses.replace(API_TOKEN, expressions=API_TOKEN.expressions[:1])])
_THREE_PARTS = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"


@given(
    st.lists(
        st.sampled_from(
            ["MTk4NjIyNDgzNDcxOTI1MjQ4", "Cl2FMQ", "ZnCjm1XVW7vRze4b7Cq4se7kKWs",
             "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
             "SG", "a" * 22, "xoxb-17653672481", ".", ".", ".", ".", "-", "/", ":", " ", "\0", "=", "M", "...", "hvs."]
        ),
        max_size=14,
    )
)  # fmt: skip
def test_tokens_are_found_as_by_their_exact_form(pieces: list[str]) -> None:
    """The scan looks for one of them in a looser form, which it gets over faster."""
    for text in ("".join(pieces), "".join([*pieces, _THREE_PARTS]), "".join([_THREE_PARTS, *pieces])):
        assert _ISSUED_AS_SCANNED.scan(text.encode()) == _EXACT_ISSUED.scan(text.encode())


def test_a_token_of_three_parts_needs_its_dots(scanner: Scanner) -> None:
    assert _found(scanner, f"bot {_THREE_PARTS} in use") == [("API_TOKEN", _THREE_PARTS)]
    assert _found(scanner, f"bot {_THREE_PARTS.replace('.Z', '/Z')} in use") == []
