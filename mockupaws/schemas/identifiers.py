"""Identifiers that stay the same when a request is repeated, replayed or analysed again."""

from __future__ import annotations

import hashlib
import uuid
import zlib
from collections.abc import Sequence

_VERSION_7 = 7 << 76
_VARIANT = 2 << 62
_INDEX_BITS = 14
"""Room for 16,384 entries in one request; the gateway admits at most 10,000."""


def new_request_id(now_us: int, randomness: bytes) -> uuid.UUID:
    """Mints a UUIDv7 (RFC 9562 §5.7) from `now_us` (epoch µs) and 10 random bytes."""
    return uuid.UUID(bytes=new_id_bytes(now_us, randomness))


def new_id_bytes(now_us: int, randomness: bytes) -> bytes:
    """The bytes of such an id; a UUID object costs more than all else that is done with them."""
    random_bits = int.from_bytes(randomness[:10], "big")
    rand_a = random_bits >> 68 & 0xFFF
    rand_b = random_bits & (1 << 62) - 1
    return (now_us // 1000 << 80 | _VERSION_7 | rand_a << 64 | _VARIANT | rand_b).to_bytes(16, "big")


def id_text(id_bytes: bytes) -> str:
    """An id as it is written in answers, names and logs: what `str` makes of its UUID."""
    digits = id_bytes.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def request_id_of_key(tenant_id: uuid.UUID, idempotency_key: str) -> uuid.UUID:
    """The id every request of this tenant with this `Idempotency-Key` has: UUIDv5(tenant, key)."""
    return uuid.uuid5(tenant_id, idempotency_key)


def partition_of(request_id: bytes, partitions: int) -> int:
    """The partition of `ingest.requests` that all repeats of a request meet in."""
    return zlib.crc32(request_id) % partitions


def in_partition(request_id: bytes, partition: int, partitions: int) -> bytes:
    """The id with its last two bytes changed so that its `partition_of` is `partition`; the rest keeps it unique."""
    head, last = request_id[:14], int.from_bytes(request_id[14:], "big")
    of_head = zlib.crc32(head)
    for step in range(0x10000):
        tail = (last + step & 0xFFFF).to_bytes(2, "big")
        if zlib.crc32(tail, of_head) % partitions == partition:
            return head + tail
    raise ValueError(f"no id in partition {partition} of {partitions}")


def part_id(request_id: bytes, entry_indexes: Sequence[int]) -> uuid.UUID:
    """What sinks remember of a redriven part of a request: the same for each repeat of this part, and for no other."""
    return uuid.uuid5(uuid.UUID(bytes=request_id), ",".join(map(str, entry_indexes)))


def body_hash(scenario_id: bytes, body: bytes) -> bytes:
    """16 bytes that tell whether two requests with one id also carry one body (after inflating)."""
    return hashlib.blake2b(body, digest_size=16, salt=scenario_id).digest()


class EntryIds:
    """Derives the UUIDv7 of each entry of one request from the request's id and the entry's index.

    The time part is `received_at`, and the index is the lowest part, so ids of one request sort in the order
    of its entries, and a keyset cursor on (received_at, id) keeps the lines of a file in order.
    """

    __slots__ = ("high", "low")
    high: bytes
    """The first 8 bytes of all of them."""
    low: int
    """The last 8 bytes (big-endian) of entry 0; `low | index` is that of the entry at `index`."""

    def __init__(self, request_id: bytes, received_at_us: int) -> None:
        digest = int.from_bytes(hashlib.blake2b(request_id, digest_size=8).digest(), "big")
        rand_a = digest >> 52
        rand_b = digest >> 4 & (1 << 48) - 1
        self.high = (received_at_us // 1000 << 16 | 7 << 12 | rand_a).to_bytes(8, "big")
        self.low = 2 << 62 | rand_b << _INDEX_BITS

    def __getitem__(self, index: int) -> bytes:
        """16 bytes of the id of the entry at `index` (0 to 16,383)."""
        return self.high + (self.low | index).to_bytes(8, "big")
