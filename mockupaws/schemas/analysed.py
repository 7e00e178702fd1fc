"""Records of `logs.analysed`: what the processor found in each request, redacted, as msgpack arrays.

One analysed record stands for one record of `ingest.requests`; its headers name that record
(`SOURCE_HEADER`), so that a sink can tell which source offsets have arrived. Lines are kept by column:
sinks read whole columns, which costs a fifth of reading objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from uuid import UUID

import msgspec

from mockupaws.schemas.identifiers import part_id
from mockupaws.schemas.requests import Identifier, ReceivedAt

SCHEMA_VERSION = 1

SOURCE_HEADER = "source"
"""Header of each analysed record and dead letter of the processor: b"<partition>:<offset>" of the record of
`ingest.requests` it answers."""

SOURCE_TOPIC_ID_HEADER = "source_topic_id"
"""Header beside it: the 16 bytes of Kafka's id of that `ingest.requests`, since one made anew counts from 0 again."""


@dataclass(frozen=True, slots=True)
class Source:
    """A record of `ingest.requests`."""

    topic_id: UUID
    partition: int
    offset: int


def source_of(headers: Sequence[tuple[str, bytes]]) -> Source | None:
    """What the headers of an answer name; None where they name nothing, or were written before topic ids were told."""
    named = dict(headers)
    partition, _, offset = named.get(SOURCE_HEADER, b"").partition(b":")
    topic_id = named.get(SOURCE_TOPIC_ID_HEADER, b"")
    if not (partition.isdigit() and offset.isdigit() and len(topic_id) == 16):
        return None
    return Source(UUID(bytes=topic_id), int(partition), int(offset))


class Delta(msgspec.Struct, array_like=True, frozen=True):
    """What one request adds to one rollup: `value` to (scenario, minute, metric_type, metric_name)."""

    minute: int
    """Start of the minute, epoch s."""
    metric_type: str
    metric_name: str
    value: int
    counts: dict[int, int] | None = None
    """How `value` is distributed, as the catalogue says for the metric (schemas.rollups): added key by key."""


class LineColumns(msgspec.Struct, array_like=True, frozen=True):
    """The analysed entries of one request, one list a column, all of one length and in the entries' order."""

    index: list[int]
    """Position of each entry in its request; entries that were dead-lettered are missing here."""
    message: list[str]
    """Redacted text, whole."""
    message_hash: list[bytes]
    """SHA-256 of the redacted text in UTF-8: equal for equal lines, and tells nothing of what was redacted."""
    timestamp_us: list[int | None]
    source: list[str]
    level: list[str]
    attributes: list[str | None]
    """Redacted, as JSON text of an object."""
    size_bytes: list[int]
    """UTF-8 bytes of the payload as sent: the message, then the attributes' JSON where there are any."""
    token_count: list[int]
    sqs_blocks: list[int]
    """64 KiB chunks SQS would bill for the payload."""
    pii_mask: list[int]
    """Bits of schemas.pii_types.PII_BIT; 0 where nothing was found."""


class AnalysedRequest(msgspec.Struct, array_like=True, frozen=True):
    """One request after analysis, or a redriven part of one. Accepted = the lines here + those in its dead letter."""

    request_id: Identifier
    tenant_id: Identifier
    scenario_id: Identifier
    received_at_us: ReceivedAt
    body_hash: bytes
    accepted: int
    """Entries of the whole request."""
    lines: LineColumns
    deltas: list[Delta]
    part: list[int] | None = None
    """The entries that were redriven, named by their positions in the request. None: the request is whole."""
    policy_version: int = 0
    """The version of the tenant's policy by which the lines were redacted; 0: the default, all types masked."""

    @property
    def applied_key(self) -> bytes:
        """16 bytes by which a sink remembers that it applied this: a part must not count as the request it is of."""
        return self.request_id if self.part is None else part_id(self.request_id, self.part).bytes


_columns_of = attrgetter(*LineColumns.__struct_fields__)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[AnalysedRequest])


def encode_analysed(requests: list[AnalysedRequest]) -> bytes:
    return _encoder.encode(requests)


def decode_analysed(value: bytes) -> list[AnalysedRequest]:
    """Raises msgspec.DecodeError on anything but a list of analysed requests with columns of one length."""
    try:
        requests = _decoder.decode(value)
    except msgspec.DecodeError:
        raise
    except Exception as error:  # text that is no UTF-8, nesting without end
        raise msgspec.DecodeError(type(error).__name__) from error
    for request in requests:
        if len(set(map(len, _columns_of(request.lines)))) != 1:
            raise msgspec.ValidationError("columns differ in length")
    return requests
