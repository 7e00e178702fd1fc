"""What a line holds and costs: findings, redacted text, tokens, SQS blocks, hash. Pure: no I/O, no clock.

The lines of a request are analysed together: one scan, one token count and one encoding for all of them, and work in
Python only for lines in which something was found (docs/adr/0020).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from mockupaws.schemas.analysed import AnalysedRequest, LineColumns
from mockupaws.schemas.requests import Entry, IngestRequest
from mockupaws.schemas.token_encodings import DEFAULT_ENCODING, TokenEncoding
from mockupaws.stream_processors.count_sqs_blocks import count_sqs_blocks
from mockupaws.stream_processors.count_tokens import TokenCounter
from mockupaws.stream_processors.detect_pii.compiled_database import cache_folder
from mockupaws.stream_processors.detect_pii.person import PersonScanner
from mockupaws.stream_processors.detect_pii.scan import Found, Scanner, TextScanner
from mockupaws.stream_processors.detect_pii.table import RULE_VERSIONS
from mockupaws.stream_processors.line_batch import LineBatch
from mockupaws.stream_processors.policies.apply_policy import DEFAULT_POLICY, CompiledPolicy
from mockupaws.stream_processors.policies.marks import LINE_DROPPED
from mockupaws.stream_processors.redact import without_half_pairs, without_nul
from mockupaws.stream_processors.redact_lines import Findings, LineRedactor, Tally
from mockupaws.stream_processors.reported_usage import Usage, reported_usage
from mockupaws.stream_processors.roll_up import roll_up

_CACHED_POLICIES = 256

CountTokens = Callable[[Sequence[str], TokenEncoding], list[int]]


class Finding(msgspec.Struct, frozen=True):
    """What was found in a message, and where; never the value."""

    type: str
    start: int
    """In characters of the message as sent."""
    end: int
    score: float
    rule: str
    version: int
    """Of the rule."""
    action: str
    """What the policy does with it."""


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
    shadow: list[str]
    """The shadow actions (by type) and rules (with their version) that would have acted, once for each finding."""


class Analyser:
    """All steps, loaded once per process. Not to be shared between threads (the scan isn't)."""

    def __init__(self, scanner: Scanner | None = None, count_tokens: CountTokens | None = None) -> None:
        self._scanner = scanner or Scanner(folder=cache_folder())
        self._count_tokens = count_tokens or TokenCounter()
        self._redactor_of = lru_cache(_CACHED_POLICIES)(self._new_redactor)

    def analyse_request(self, request: IngestRequest, policy: CompiledPolicy = DEFAULT_POLICY) -> AnalysedRequest:
        """Raises what a step raises; `analyse_part` of a single entry then tells which entry it was."""
        return self.analyse_part(request, range(len(request.entries)), policy)

    def analyse_part(
        self, request: IngestRequest, positions: Sequence[int], policy: CompiledPolicy = DEFAULT_POLICY
    ) -> AnalysedRequest:
        """The analysed request that holds only those of its entries that stand at `positions` in `request.entries`."""
        entries, indexes = request.entries, request.indexes
        analysis = self._analyse(
            [entries[at] for at in positions],
            [indexes[at] for at in positions],
            policy,
            request.token_encoding,
            request.request_id,
        )
        deltas = roll_up(
            request.received_at_us,
            analysis.lines,
            analysis.shadow.values(),
            request.token_encoding,
            analysis.reported.values(),
        )
        if request.entry_indexes is not None:  # its request was counted with the other lines
            deltas = [delta for delta in deltas if delta.metric_name != "requests"]
        return AnalysedRequest(
            request.request_id,
            request.tenant_id,
            request.scenario_id,
            request.received_at_us,
            request.body_hash,
            request.accepted,
            analysis.lines,
            deltas,
            request.entry_indexes,
            policy.version,
        )

    def analyse_entry(self, entry: Entry, policy: CompiledPolicy = DEFAULT_POLICY) -> AnalysedEntry:
        return self.analyse_entries([entry], policy)[0]

    def analyse_entries(
        self,
        entries: Sequence[Entry],
        policy: CompiledPolicy = DEFAULT_POLICY,
        encoding: TokenEncoding = DEFAULT_ENCODING,
    ) -> list[AnalysedEntry]:
        """The same as `analyse_request` finds, entry by entry, with each message's findings."""
        lines, found, shadow, _ = self._analyse(entries, list(range(len(entries))), policy, encoding)
        return [
            AnalysedEntry(_in_characters(entries[index].message, found.get(index, []), policy), *columns)
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
                [shadow.get(index, []) for index in lines.index],
                strict=True,
            )
        ]

    def _analyse(
        self,
        entries: Sequence[Entry],
        indexes: list[int],
        policy: CompiledPolicy,
        encoding: TokenEncoding,
        request_id: bytes | None = None,
    ) -> _Analysis:
        """Columns in the order of `entries`, and what else is to be told of them, by position."""
        redactor = self._redactor_of(policy, policy.examines_persons(request_id))
        tally = Tally.of(len(entries))
        batch = LineBatch.of([entry.message for entry in entries])
        kept = redactor.redact_messages(batch, tally)
        attributes: list[str | None] = [None] * len(entries)
        reported: dict[int, Usage] = {}
        sent = [entry.attributes for entry in entries]
        if any(sent):
            attributes = redactor.redact_attributes(sent, batch.sent, batch.sizes, tally)
            reported = reported_usage(entries)
        sources = redactor.redact_labels([entry.source for entry in entries], tally)
        levels = redactor.redact_labels([entry.level for entry in entries], tally)
        if policy.line_dropping_bits:
            for position, mask in enumerate(tally.masks):
                if mask & policy.line_dropping_bits:
                    batch.texts[position], batch.messages[position] = LINE_DROPPED, LINE_DROPPED.decode()
                    attributes[position] = None
        tokens = self._count_tokens(batch.sent, encoding)
        for position, usage in reported.items():
            tokens[position] = usage.input_tokens
        sha256 = hashlib.sha256
        lines = LineColumns(
            index=indexes,
            message=batch.messages,
            message_hash=[sha256(text).digest() for text in batch.texts],
            timestamp_us=[entry.timestamp_us for entry in entries],
            source=sources,
            level=levels,
            attributes=attributes,
            size_bytes=batch.sizes,
            token_count=tokens,
            sqs_blocks=count_sqs_blocks(batch.sizes),
            pii_mask=tally.masks,
        )
        return _Analysis(lines, kept, tally.shadow, reported)

    def _new_redactor(self, policy: CompiledPolicy, persons: bool) -> LineRedactor:
        shadowed = policy.shadow_rules
        scanner: TextScanner = self._scanner.without(shadowed) if shadowed else self._scanner
        aside = self._scanner.only(shadowed) if shadowed else None
        return LineRedactor(PersonScanner(scanner) if persons else scanner, policy, aside)


class _Analysis(NamedTuple):
    lines: LineColumns
    found: Findings
    """Of each message in which any scan hit."""
    shadow: dict[int, list[str]]
    """The shadow rules that would have acted on an entry, once for each finding."""
    reported: dict[int, Usage]
    """What the producers of some entries report."""


def _in_characters(message: str, findings: list[Found], policy: CompiledPolicy) -> list[Finding]:
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
        action = policy.action_of(found.pii_type)
        shown.append(Finding(found.pii_type, start, end, found.score, found.rule, RULE_VERSIONS[found.rule], action))
    return shown
