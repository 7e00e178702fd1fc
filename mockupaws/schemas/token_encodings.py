"""The public tokenizers tokens are counted with."""

from __future__ import annotations

from typing import Literal, get_args

TokenEncoding = Literal["cl100k_base", "o200k_base"]

DEFAULT_ENCODING: TokenEncoding = "cl100k_base"
"""Counted where the scenario's model has no public tokenizer (docs/adr/0075)."""

TOKEN_ENCODINGS: tuple[TokenEncoding, ...] = get_args(TokenEncoding)
