"""The bytes of Metadata v10, written out by hand from Kafka's protocol description."""

from __future__ import annotations

import uuid
from typing import Any

from mockupaws.runtime.kafka_metadata import MetadataResponse_v10, TopicIdsRequest, topic_ids_of

ID = uuid.UUID("0190a0a0-0000-7000-8000-000000000001")


def test_request() -> None:
    request: Any = TopicIdsRequest(["ab"]).prepare({3: (0, 13)})
    assert request.encode() == b"\x02" + bytes(16) + b"\x03ab\x00" + b"\x00\x00\x00" + b"\x00"
    assert request.FLEXIBLE_VERSION


def test_response() -> None:
    partition = b"\0\0" + b"\0\0\0\x01" + b"\0\0\0\x01" + b"\0\0\0\0" + b"\x02\0\0\0\x01" * 2 + b"\x01" + b"\0"
    missing = b"\0\x03" + b"\x02b" + bytes(16) + b"\0" + b"\x01" + b"\x80\0\0\0" + b"\0"
    value = (
        b"\0\0\0\0"
        + b"\x02" + b"\0\0\0\x01" + b"\x02h" + b"\0\0\x23\x84" + b"\0" + b"\0"
        + b"\x02c"
        + b"\0\0\0\x01"
        + b"\x03" + b"\0\0" + b"\x02a" + ID.bytes + b"\0" + b"\x02" + partition + b"\x80\0\0\0" + b"\0" + missing
        + b"\x80\0\0\0"
        + b"\0"
    )  # fmt: skip
    response: Any = MetadataResponse_v10.decode(value)
    assert topic_ids_of(response) == {"a": ID}
    assert response.encode() == value
