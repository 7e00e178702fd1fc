"""Records of `ingest.dead_letters`: what could not be processed, why, and its original bytes."""

from __future__ import annotations

import hashlib
import uuid
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from mockupaws.schemas.requests import Identifier, ReceivedAt

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

undecodable_record      the bytes are no bundle, or those of a request in it no request
unknown_schema_version  a header names a version this release can't read
analysis_failed         a step raised on the entry
timestamp_out_of_range  `received_at` fits no partition
row_refused             Postgres refused the row
idempotency_key_reused  another body was stored under the same Idempotency-Key
too_large               the analysed record would exceed the broker's limit
"""

REASONS: tuple[str, ...] = get_args(Reason)

Step = Literal["decode", "analyse", "postgres_sink"]
STEPS: tuple[str, ...] = get_args(Step)

State = Literal["dead", "redriving", "redriven"]
STATES: tuple[str, ...] = get_args(State)
"""Of a row of `dead_letters`: it waits; its lines are on their way back; they went on (or were stored by a replay)."""

_Int32 = Annotated[int, Meta(ge=0, lt=2**31)]
_Int64 = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class DeadLetter(msgspec.Struct, array_like=True, frozen=True):
    """One request, or the part of it, or the undecodable record, that could not be processed."""

    reason: Reason
    step: Step
    detail: str
    """Class of the error and where it was raised; never text of the payload."""
    topic: str
    partition: _Int32
    offset: _Int64
    """Where the record that failed was read."""
    occurred_at_us: ReceivedAt
    software_version: str
    original: bytes
    """What failed, as bytes: a request or part of one (schemas.requests) of the processor, a list of one analysed
    request (schemas.analysed) of a sink, or the whole record where it can't be decoded."""
    request_id: Identifier | None = None
    tenant_id: Identifier | None = None
    scenario_id: Identifier | None = None
    accepted: _Int32 = 0
    """Entries of the request; 0 where the record can't be decoded."""
    entry_indexes: list[_Int32] = []
    """Which of them stand here."""
    received_at_us: ReceivedAt | None = None
    record_version: str | None = None
    """The header `schema_version` of the record that failed; None where it had none."""
    position: int | None = None
    """Where in its bundle a request without a readable head stood."""

    @property
    def id(self) -> uuid.UUID:
        """The same for each repeat of the same failure, so a replay doesn't list it twice."""
        if self.request_id is None:
            place = "" if self.position is None else f":{self.position}"
            identity = f"{self.topic}:{self.partition}:{self.offset}{place}".encode()
        else:
            identity = self.request_id + str(self.entry_indexes).encode()
        return uuid.UUID(bytes=hashlib.blake2b(self.reason.encode() + identity, digest_size=16).digest())


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(DeadLetter)


def encode_dead_letter(letter: DeadLetter) -> bytes:
    return _encoder.encode(letter)


def decode_dead_letter(value: bytes) -> DeadLetter:
    """Raises msgspec.DecodeError on anything but a dead letter."""
    try:
        return _decoder.decode(value)
    except msgspec.DecodeError:
        raise
    except Exception as error:  # text that is no UTF-8
        raise msgspec.DecodeError(type(error).__name__) from error
