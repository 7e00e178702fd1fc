"""Entries → compressed request bodies for `POST /api/v1/ingest`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import zstandard

from mockupaws.schemas.requests import Entry

MAX_BATCH_BYTES = 4 * 1024 * 1024
"""Of the body before compression; a single longer entry goes alone (at most 6 bytes of JSON for one of text)."""
_COMPRESSION_LEVEL = 1


class Batch(msgspec.Struct, frozen=True):
    idempotency_key: str
    body: bytes
    """zstd; sent unchanged with each retry."""
    entries: int


class _LogObject(msgspec.Struct, omit_defaults=True):
    """One element of `logs` in the HTTP contract."""

    message: str
    timestamp: int | None = None
    source: str = ""
    level: str = ""
    attributes: dict[str, Any] | None = None


class Batcher:
    """Gathers entries until a batch is full. Keys are `<run id>-<number>`, so no two runs share one."""

    def __init__(self, scenario_id: str, run_id: str, max_lines: int) -> None:
        self._head = b'{"scenario_id":' + msgspec.json.encode(scenario_id) + b',"logs":['
        self._run_id = run_id
        self._max_lines = max_lines
        self._number = 0
        self._encoder = msgspec.json.Encoder()
        self._compressor = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL)
        self._logs: list[bytes] = []
        self._bytes = 0

    def add(self, entry: Entry) -> Iterator[Batch]:
        """Yields a batch when the entry fills one, or doesn't fit into the present one."""
        log = self._encoder.encode(
            _LogObject(entry.message, entry.timestamp_us, entry.source, entry.level, entry.attributes)
        )
        if self._bytes + len(log) > MAX_BATCH_BYTES:
            yield from self.flush()
        self._logs.append(log)
        self._bytes += len(log) + 1
        if len(self._logs) >= self._max_lines:
            yield from self.flush()

    def flush(self) -> Iterator[Batch]:
        """Yields what is gathered, if anything."""
        if not self._logs:
            return
        self._number += 1
        body = self._compressor.compress(self._head + b",".join(self._logs) + b"]}")
        yield Batch(f"{self._run_id}-{self._number}", body, len(self._logs))
        self._logs = []
        self._bytes = 0
