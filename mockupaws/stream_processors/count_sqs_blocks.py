"""Counts the requests SQS bills: one for each started chunk of 64 KiB of what a call carries, one message or ten."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

BLOCK_BYTES = 64 * 1024
"""AWS, SQS pricing: "Each 64 KB chunk of a payload is billed as 1 request"."""
CALL_BYTES = 1024 * 1024
"""AWS, SendMessageBatch: the sum of a call's messages is at most 1 MiB (1,048,576 bytes), as is each message."""
BATCH_SIZES = range(2, 11)
"""Messages a call of SendMessageBatch may carry, besides one."""
_CACHED_COUNTS = 1024


def count_sqs_blocks(sizes: Sequence[int]) -> list[int]:
    """Blocks of each payload size in bytes; an empty payload is one block."""
    if not sizes or max(sizes) <= BLOCK_BYTES:
        return [1] * len(sizes)
    return [max(1, -(-size // BLOCK_BYTES)) for size in sizes]


def count_batched_requests(sizes: Sequence[int]) -> dict[int, int]:
    """Requests billed when the messages are sent in their order in calls of up to 2, 3, … 10, by that number.

    A call takes the next messages until it has its number of them or the next would make it larger than 1 MiB; a
    message above 1 MiB, which SQS would refuse, counts as a call of its own with all its chunks.
    """
    count = len(sizes)
    largest = max(sizes, default=0)
    if largest * BATCH_SIZES[-1] <= BLOCK_BYTES or sum(sizes) <= BLOCK_BYTES:  # no call has a second chunk
        return _calls(count).copy()
    if largest * BATCH_SIZES[-1] <= CALL_BYTES:  # no call is cut short
        ends = [0, *accumulate(sizes)]
        return {batch: _chunks_of_full_calls(ends, batch) for batch in BATCH_SIZES}
    return {batch: _chunks_of_calls(sizes, batch) for batch in BATCH_SIZES}


@lru_cache(_CACHED_COUNTS)
def _calls(count: int) -> dict[int, int]:
    return {batch: -(-count // batch) for batch in BATCH_SIZES}


def _chunks_of_full_calls(ends: list[int], batch: int) -> int:
    """`ends`: bytes of the messages up to each one, from 0 on."""
    edges = ends[::batch]
    if (len(ends) - 1) % batch:
        edges.append(ends[-1])
    return sum([-(-(end - start) // BLOCK_BYTES) or 1 for start, end in pairwise(edges)])


def _chunks_of_calls(sizes: Sequence[int], batch: int) -> int:
    chunks = messages = carried = 0
    for size in sizes:
        if messages == batch or (messages and carried + size > CALL_BYTES):
            chunks += -(-carried // BLOCK_BYTES) or 1
            messages = carried = 0
        messages += 1
        carried += size
    return chunks + (-(-carried // BLOCK_BYTES) or 1)
