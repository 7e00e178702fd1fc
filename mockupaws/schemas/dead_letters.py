"""Records of `ingest.dead_letters`: what could not be processed, why, and its original bytes."""

from __future__ import annotations

import hashlib
import uuid
from typing import Literal, get_args

import msgspec

SCHEMA_VERSION = 1

Reason = Literal[
    "undecodable_record",
    "unknown_schema_version",
    "analysis_failed",
    "timestamp_out_of_range",
    "row_refused",
    "idempotency_key_reused",
    "too_large",
]
"""Why an entry ended here. Closed: dashboards and metric labels rely on it.

undecodable_record      the bytes are no bundle
unknown_schema_version  a header names a version this release can't read
analysis_failed         a step raised on the entry
timestamp_out_of_range  `received_at` fits no partition
row_refused             Postgres refused the row
idempotency_key_reused  another body was stored under the same Idempotency-Key
too_large               the analysed record would exceed the broker's limit
"""

REASONS: tuple[str, ...] = get_args(Reason)

Step = Literal["decode", "analyse", "postgres_sink", "parquet_sink"]


class DeadLetter(msgspec.Struct, array_like=True, frozen=True):
    """One request, or the part of it, or the undecodable record, that could not be processed."""

    reason: Reason
    step: Step
    detail: str
    """Class of the error and where it was raised; never text of the payload."""
    topic: str
    partition: int
    offset: int
    """Where the record that failed was read."""
    occurred_at_us: int
    software_version: str
    original: bytes
    """The request as msgpack (schemas.requests), or the whole record where it can't be decoded."""
    request_id: bytes | None = None
    tenant_id: bytes | None = None
    scenario_id: bytes | None = None
    accepted: int = 0
    """Entries of the request; 0 where the record can't be decoded."""
    entry_indexes: list[int] = []
    """Which of them stand here."""
    received_at_us: int | None = None

    @property
    def id(self) -> uuid.UUID:
        """The same for each repeat of the same failure, so a replay doesn't list it twice."""
        if self.request_id is None:
            identity = f"{self.topic}:{self.partition}:{self.offset}".encode()
        else:
            identity = self.request_id + str(self.entry_indexes).encode()
        return uuid.UUID(bytes=hashlib.blake2b(self.reason.encode() + identity, digest_size=16).digest())


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(DeadLetter)


def encode_dead_letter(letter: DeadLetter) -> bytes:
    return _encoder.encode(letter)


def decode_dead_letter(value: bytes) -> DeadLetter:
    """Raises msgspec.DecodeError on anything but a dead letter."""
    return _decoder.decode(value)
