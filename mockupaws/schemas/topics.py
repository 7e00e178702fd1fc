"""Every topic in one table: what it carries, who writes it, who reads it, how long it is kept."""

from __future__ import annotations

from dataclasses import dataclass

DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    key: str
    value: str
    retention_ms: int
    max_message_bytes: int
    writers: tuple[str, ...]
    readers: tuple[str, ...]


REQUESTS = Topic(
    name="ingest.requests",
    key="none; the partition is a hash of the request id (schemas.identifiers.partition_of)",
    value="schemas.requests: a bundle of requests, msgpack, zstd",
    retention_ms=7 * DAY_MS,
    max_message_bytes=32 * 1024 * 1024,
    writers=("ingest_gateway", "archive.replay", "sinks.dead_letters"),
    readers=("stream_processors", "archive.replay"),
)
ANALYSED = Topic(
    name="logs.analysed",
    key="none; the partition is that of the source record",
    value="schemas.analysed: the requests of one bundle, redacted, msgpack, zstd",
    retention_ms=7 * DAY_MS,
    max_message_bytes=32 * 1024 * 1024,
    writers=("stream_processors", "sinks.dead_letters"),
    readers=("sinks.postgres", "sinks.parquet", "sinks.patterns"),
)
DEAD_LETTERS = Topic(
    name="ingest.dead_letters",
    key="none; the partition is that of the source record",
    value="schemas.dead_letters: one failed request or record with its original bytes, msgpack, zstd",
    retention_ms=14 * DAY_MS,
    max_message_bytes=33 * 1024 * 1024,
    writers=("stream_processors", "sinks.postgres"),
    readers=("sinks.dead_letters",),
)

PROCESSOR_GROUP = "stream_processors"
"""Consumer group of the processors, after the topics' prefix: its commits say up to where requests are answered."""

TOPICS: tuple[Topic, ...] = (REQUESTS, ANALYSED, DEAD_LETTERS)
