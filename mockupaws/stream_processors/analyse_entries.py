"""What a line holds and costs: findings, redacted text, tokens, SQS blocks, hash. Pure: no I/O, no clock.

The lines of a request are analysed together: one scan, one token count and one encoding for all of them, and work in
Python only for lines in which something was found (docs/adr/0020).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import accumulate
from typing import NamedTuple

import msgspec

from mockupaws.schemas.analysed import AnalysedRequest, LineColumns
from mockupaws.schemas.requests import Entry, IngestRequest
from mockupaws.stream_processors.count_sqs_blocks import count_sqs_blocks
from mockupaws.stream_processors.count_tokens import TokenCounter
from mockupaws.stream_processors.detect_pii.scan import SEPARATOR, Found, Scanner
from mockupaws.stream_processors.redact import (
    mask_of,
    redact,
    redact_attributes,
    redact_text,
    without_half_pairs,
    without_nul,
)
from mockupaws.stream_processors.roll_up import roll_up

_SEPARATOR_TEXT = SEPARATOR.decode()
_CACHED_LABELS = 4096
"""Sources and levels repeat: distinct ones kept with what was found in them."""

_Findings = dict[int, list[Found]]


class Finding(msgspec.Struct, frozen=True):
    """What was found in a message, and where; never the value."""

    type: str
    start: int
    """In characters of the message as sent."""
    end: int
    score: float
    rule: str


class AnalysedEntry(msgspec.Struct, frozen=True):
    """One entry after analysis; the fields are those of schemas.analysed.LineColumns, and the message's findings."""

    findings: list[Finding]
    message: str
    message_hash: bytes
    timestamp_us: int | None
    source: str
    level: str
    attributes: str | None
    size_bytes: int
    token_count: int
    sqs_blocks: int
    pii_mask: int


class Analyser:
    """All steps, loaded once per process. Not to be shared between threads (the scan isn't)."""

    def __init__(
        self, scanner: Scanner | None = None, count_tokens: Callable[[Sequence[str]], list[int]] | None = None
    ) -> None:
        self._scanner = scanner or Scanner()
        self._count_tokens = count_tokens or TokenCounter()
        self._encode_json = msgspec.json.Encoder().encode
        self._redact_label = lru_cache(_CACHED_LABELS)(partial(redact_text, self._scanner))

    def analyse_request(self, request: IngestRequest) -> AnalysedRequest:
        """Raises what a step raises; `analyse_entry` then tells which entry it was."""
        lines, _ = self._analyse(request.entries, request.indexes)
        return self.request_of(request, lines)

    def request_of(self, request: IngestRequest, lines: LineColumns) -> AnalysedRequest:
        """The analysed request that holds these lines of it."""
        deltas = roll_up(request.received_at_us, lines)
        if request.entry_indexes is not None:  # its request was counted with the other lines
            deltas = [delta for delta in deltas if delta.metric_name != "requests"]
        return AnalysedRequest(
            request.request_id,
            request.tenant_id,
            request.scenario_id,
            request.received_at_us,
            request.body_hash,
            request.accepted,
            lines,
            deltas,
            request.entry_indexes,
        )

    def analyse_lines(self, request: IngestRequest, positions: Sequence[int]) -> LineColumns:
        """Columns of the entries at `positions` in `request.entries`."""
        indexes = request.indexes
        entries = [request.entries[position] for position in positions]
        return self._analyse(entries, [indexes[position] for position in positions])[0]

    def analyse_entry(self, entry: Entry) -> AnalysedEntry:
        return self.analyse_entries([entry])[0]

    def analyse_entries(self, entries: Sequence[Entry]) -> list[AnalysedEntry]:
        """The same as `analyse_request` finds, entry by entry, with each message's findings."""
        lines, found = self._analyse(entries, list(range(len(entries))))
        return [
            AnalysedEntry(_in_characters(entries[index].message, found.get(index, [])), *columns)
            for index, *columns in zip(
                lines.index,
                lines.message,
                lines.message_hash,
                lines.timestamp_us,
                lines.source,
                lines.level,
                lines.attributes,
                lines.size_bytes,
                lines.token_count,
                lines.sqs_blocks,
                lines.pii_mask,
                strict=True,
            )
        ]

    def _analyse(self, entries: Sequence[Entry], indexes: list[int]) -> tuple[LineColumns, _Findings]:
        """Columns in the order of `entries`, and the findings of each message that has any, by position."""
        batch = _Batch.of([entry.message for entry in entries])
        found = self._find(batch.joined, batch.texts)
        masks = [0] * len(entries)
        texts, messages = batch.texts, batch.messages
        hidden = found
        while hidden:  # again on what was redacted: something may show only once its neighbour is masked
            for position, findings in hidden.items():
                masks[position] |= mask_of(findings)
                texts[position] = redact(texts[position], findings)
            again = [texts[position] for position in hidden]
            still = self._find(SEPARATOR.join(again), again)
            hidden = {position: still[number] for number, position in enumerate(hidden) if number in still}
        for position in found:
            messages[position] = texts[position].decode()
        payloads, sizes = batch.sent, batch.sizes
        attributes: list[str | None] = [None] * len(entries)
        if any(entry.attributes for entry in entries):
            self._analyse_attributes(entries, attributes, payloads, sizes, masks)
        sha256 = hashlib.sha256
        lines = LineColumns(
            index=indexes,
            message=messages,
            message_hash=[sha256(text).digest() for text in texts],
            timestamp_us=[entry.timestamp_us for entry in entries],
            source=self._redact_labels([entry.source for entry in entries], masks),
            level=self._redact_labels([entry.level for entry in entries], masks),
            attributes=attributes,
            size_bytes=sizes,
            token_count=self._count_tokens(payloads),
            sqs_blocks=count_sqs_blocks(sizes),
            pii_mask=masks,
        )
        return lines, found

    def _find(self, joined: bytes, texts: list[bytes]) -> _Findings:
        """The findings of each text that has any, by position, in bytes of that text."""
        findings = self._scanner.scan(joined)
        if not findings:
            return {}
        starts = list(accumulate([len(text) + len(SEPARATOR) for text in texts], initial=0))
        by_position: _Findings = {}
        for found in findings:
            position = bisect_right(starts, found.start) - 1
            start = starts[position]
            shifted = Found(found.start - start, found.end - start, *found[2:])
            by_position.setdefault(position, []).append(shifted)
        return by_position

    def _analyse_attributes(
        self,
        entries: Sequence[Entry],
        attributes: list[str | None],
        payloads: list[str],
        sizes: list[int],
        masks: list[int],
    ) -> None:
        """Completes the columns of the entries that have attributes.

        Most hold nothing: their JSON is scanned as it is, and only where something is found, or an escape might hide
        it, are the leaves walked.
        """
        positions = [position for position, entry in enumerate(entries) if entry.attributes]
        encoded = [self._encode_json(entries[position].attributes) for position in positions]
        suspects = self._find(SEPARATOR.join(encoded), encoded)
        for number, position in enumerate(positions):
            text = encoded[number].decode()
            payloads[position] += text
            sizes[position] += len(encoded[number])
            if number in suspects or "\\" in text:
                redacted, mask = redact_attributes(self._scanner, entries[position].attributes or {})
                masks[position] |= mask
                text = self._encode_json(redacted).decode()
            attributes[position] = text

    def _redact_labels(self, labels: list[str], masks: list[int]) -> list[str]:
        """Sources or levels redacted; what is found in them is added to `masks`."""
        redacted: list[str] = []
        for position, label in enumerate(labels):
            text, mask = self._redact_label(label)
            redacted.append(text)
            masks[position] |= mask
        return redacted


class _Batch(NamedTuple):
    """The messages of a request in the forms the steps need."""

    sent: list[str]
    """As sent, but for half surrogate pairs, which no encoding can hold."""
    sizes: list[int]
    """UTF-8 bytes of `sent`."""
    messages: list[str]
    """`sent` without NUL: a copy, to be redacted."""
    texts: list[bytes]
    """`messages` in UTF-8."""
    joined: bytes
    """`texts` joined by SEPARATOR."""

    @classmethod
    def of(cls, messages: list[str]) -> _Batch:
        try:
            joined = _SEPARATOR_TEXT.join(messages).encode()
        except UnicodeEncodeError:
            return cls.of([without_half_pairs(message) for message in messages])
        texts = joined.split(SEPARATOR)
        if len(texts) == len(messages):
            return cls(messages, [len(text) for text in texts], messages.copy(), texts, joined)
        shown = [without_nul(message) for message in messages]
        texts = [message.encode() for message in shown]
        return cls(messages, [len(message.encode()) for message in messages], shown, texts, SEPARATOR.join(texts))


def _in_characters(message: str, findings: list[Found]) -> list[Finding]:
    """Byte offsets in the text that was scanned as character offsets in the message as sent."""
    if not findings:
        return []
    data = without_nul(without_half_pairs(message)).encode()
    shown: list[Finding] = []
    byte, character = 0, 0
    for found in findings:
        start = character + len(data[byte : found.start].decode())
        end = start + len(data[found.start : found.end].decode())
        byte, character = found.end, end
        shown.append(Finding(found.pii_type, start, end, found.score, found.rule))
    return shown
