"""µs a line of other ways to do parts of the analysis, on the same lines and in the same run: for comparison only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mockupaws.stream_processors.detect_pii.scan import SEPARATOR, Scanner
from tests.benchmarks.plain_expressions import PLAIN_EXPRESSIONS
from tests.benchmarks.tiktoken_encoding import load_cl100k

Pass = Callable[[Sequence[str]], object]


def _plain_re(lines: Sequence[str]) -> int:
    """Fifteen usual expressions and no checks."""
    return sum(1 for line in lines for expression in PLAIN_EXPRESSIONS for _ in expression.finditer(line))


def _ours() -> Pass:
    scanner = Scanner()
    return lambda lines: scanner.scan(SEPARATOR.join(line.encode() for line in lines))


def _tiktoken() -> Pass:
    encoding = load_cl100k()
    return lambda lines: [len(encoding.encode_ordinary(line)) for line in lines]


def _presidio() -> Pass:
    from presidio_analyzer import predefined_recognizers as kinds  # type: ignore[import-not-found,unused-ignore]

    names = (
        "EmailRecognizer", "PhoneRecognizer", "CreditCardRecognizer", "IbanRecognizer", "UsSsnRecognizer",
        "IpRecognizer", "ItFiscalCodeRecognizer",
    )  # fmt: skip
    recognizers: list[Any] = [getattr(kinds, name)() for name in names]
    return lambda lines: [
        found
        for line in lines
        for recognizer in recognizers
        for found in recognizer.analyze(line, recognizer.supported_entities, None)
    ]


OTHERS: tuple[tuple[str, Callable[[], Pass], int], ...] = (
    ("ours, 23 types", _ours, 500),
    ("re, 15 expressions unchecked", lambda: _plain_re, 200),
    ("Presidio, 7 pattern recognizers", _presidio, 20),
    ("tiktoken, tokens alone", _tiktoken, 200),
)
"""(name, what makes it, lines in a pass)."""
