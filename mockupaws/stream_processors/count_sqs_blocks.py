"""Counts the requests SQS bills for a message: one for each started chunk of 64 KiB."""

from __future__ import annotations

from collections.abc import Sequence

BLOCK_BYTES = 64 * 1024
"""AWS, SQS pricing: "Each 64 KB chunk of a payload is billed as 1 request"."""


def count_sqs_blocks(sizes: Sequence[int]) -> list[int]:
    """Blocks of each payload size in bytes; an empty payload is one block."""
    if not sizes or max(sizes) <= BLOCK_BYTES:
        return [1] * len(sizes)
    return [max(1, -(-size // BLOCK_BYTES)) for size in sizes]
