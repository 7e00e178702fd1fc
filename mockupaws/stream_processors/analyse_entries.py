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
from typing import Any, NamedTuple

import msgspec

from mockupaws.schemas.analysed import AnalysedRequest, LineColumns
from mockupaws.schemas.requests import Entry, IngestRequest
from mockupaws.schemas.token_encodings import DEFAULT_ENCODING, TokenEncoding
from mockupaws.stream_processors.count_sqs_blocks import count_sqs_blocks
from mockupaws.stream_processors.count_tokens import TokenCounter
from mockupaws.stream_processors.detect_pii.compiled_database import cache_folder
from mockupaws.stream_processors.detect_pii.scan import SEPARATOR, Found, Scanner
from mockupaws.stream_processors.detect_pii.table import RULE_VERSIONS
from mockupaws.stream_processors.policies.apply_policy import DEFAULT_POLICY, CompiledPolicy, mask_each
from mockupaws.stream_processors.policies.draft import Draft, open_draft
from mockupaws.stream_processors.policies.marks import LINE_DROPPED, may_hold_keyed_marks
from mockupaws.stream_processors.redact import (
    Redacted,
    RedactedAttributes,
    redact_attributes,
    redact_text,
    without_half_pairs,
    without_nul,
)
from mockupaws.stream_processors.reported_usage import Usage, reported_usage
from mockupaws.stream_processors.roll_up import roll_up

_SEPARATOR_TEXT = SEPARATOR.decode()
_CACHED_LABELS = 4096
"""Sources and levels repeat: distinct ones kept with what was found in them, for each policy."""
_CACHED_POLICIES = 256

_Findings = dict[int, list[Found]]
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


class Analyser:
    """All steps, loaded once per process. Not to be shared between threads (the scan isn't)."""

    def __init__(self, scanner: Scanner | None = None, count_tokens: CountTokens | None = None) -> None:
        self._scanner = scanner or Scanner(folder=cache_folder())
        self._count_tokens = count_tokens or TokenCounter()
        self._encode_json = msgspec.json.Encoder().encode
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
            [entries[at] for at in positions], [indexes[at] for at in positions], policy, request.token_encoding
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
        lines, found, *_ = self._analyse(entries, list(range(len(entries))), policy, encoding)
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
                strict=True,
            )
        ]

    def _analyse(
        self, entries: Sequence[Entry], indexes: list[int], policy: CompiledPolicy, encoding: TokenEncoding
    ) -> _Analysis:
        """Columns in the order of `entries`, and what else is to be told of them, by position."""
        redactor = self._redactor_of(policy)
        batch = _Batch.of([entry.message for entry in entries])
        found = self._find(batch.joined, batch.texts)
        masks = [0] * len(entries)
        shadow: dict[int, list[str]] = {}
        texts, messages = batch.texts, batch.messages
        if policy.masks_only and not may_hold_keyed_marks(batch.joined):
            self._mask_messages(texts, found, masks)
            kept = found
        else:
            kept = self._redact_messages(policy, texts, found, masks, shadow)
        for position in found:
            messages[position] = texts[position].decode()
        payloads, sizes = batch.sent, batch.sizes
        attributes: list[str | None] = [None] * len(entries)
        if any(entry.attributes for entry in entries):
            self._analyse_attributes(entries, redactor, attributes, payloads, sizes, masks, shadow)
        sources = _redact_labels([entry.source for entry in entries], redactor, masks, shadow)
        levels = _redact_labels([entry.level for entry in entries], redactor, masks, shadow)
        if policy.line_dropping_bits:
            for position, mask in enumerate(masks):
                if mask & policy.line_dropping_bits:
                    texts[position], messages[position] = LINE_DROPPED, LINE_DROPPED.decode()
                    attributes[position] = None
        tokens = self._count_tokens(payloads, encoding)
        reported = reported_usage(entries)
        for position, usage in reported.items():
            tokens[position] = usage.input_tokens
        sha256 = hashlib.sha256
        lines = LineColumns(
            index=indexes,
            message=messages,
            message_hash=[sha256(text).digest() for text in texts],
            timestamp_us=[entry.timestamp_us for entry in entries],
            source=sources,
            level=levels,
            attributes=attributes,
            size_bytes=sizes,
            token_count=tokens,
            sqs_blocks=count_sqs_blocks(sizes),
            pii_mask=masks,
        )
        return _Analysis(lines, kept, shadow, reported)

    def _new_redactor(self, policy: CompiledPolicy) -> _Redactor:
        label = lru_cache(_CACHED_LABELS)(partial(redact_text, self._scanner, policy=policy))
        return _Redactor(policy, label, partial(redact_attributes, self._scanner, policy=policy))

    def _mask_messages(self, texts: list[bytes], found: _Findings, masks: list[int]) -> None:
        """The direct way of `_redact_messages`, where a plain mark is all that becomes of a finding."""
        hidden = found
        while hidden:  # again on what was redacted: something may show only once its neighbour is masked
            for position, findings in hidden.items():
                texts[position], mask = mask_each(texts[position], findings)
                masks[position] |= mask
            hidden = self._find_again(hidden, [texts[position] for position in hidden])

    def _redact_messages(
        self,
        policy: CompiledPolicy,
        texts: list[bytes],
        found: _Findings,
        masks: list[int],
        shadow: dict[int, list[str]],
    ) -> _Findings:
        """Replaces the texts in which something was found; the findings that are personal data for the tenant."""
        kept: _Findings = {}
        drafts: dict[int, Draft] = {}
        hidden = found
        while hidden:
            for position, findings in hidden.items():
                if hidden is found:
                    drafts[position] = open_draft(texts[position])
                    if drafts[position].held:  # it has marks of before: to be scanned with these made plain
                        continue
                applied = policy.apply(drafts[position], findings)
                drafts[position] = applied.draft
                masks[position] |= applied.pii_mask
                if hidden is found:
                    kept[position] = applied.findings
                if applied.shadow:
                    shadow.setdefault(position, []).extend(applied.shadow)
            hidden = self._find_again(hidden, [drafts[position].data for position in hidden])
        for position, draft in drafts.items():
            texts[position] = draft.final()
        return kept

    def _find_again(self, hidden: _Findings, texts: list[bytes]) -> _Findings:
        """What is found now in the texts of these positions."""
        still = self._find(SEPARATOR.join(texts), texts)
        return {position: still[number] for number, position in enumerate(hidden) if number in still}

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
        redactor: _Redactor,
        attributes: list[str | None],
        payloads: list[str],
        sizes: list[int],
        masks: list[int],
        shadow: dict[int, list[str]],
    ) -> None:
        """Completes the columns of the entries that have attributes.

        Most hold nothing: their JSON is scanned as it is, and only where something is found, an escape might hide it,
        or the policy names fields, are the leaves walked.
        """
        positions = [position for position, entry in enumerate(entries) if entry.attributes]
        encoded = [self._encode_json(entries[position].attributes) for position in positions]
        suspects = self._find(SEPARATOR.join(encoded), encoded)
        for number, position in enumerate(positions):
            text = encoded[number].decode()
            payloads[position] += text
            sizes[position] += len(encoded[number])
            if number in suspects or "\\" in text or redactor.policy.treats_fields:
                redacted = redactor.attributes(entries[position].attributes or {})
                masks[position] |= redacted.pii_mask
                if redacted.shadow:
                    shadow.setdefault(position, []).extend(redacted.shadow)
                text = self._encode_json(redacted.values).decode()
            attributes[position] = text


class _Redactor(NamedTuple):
    """The redaction of labels and attributes under one policy."""

    policy: CompiledPolicy
    label: Callable[[str], Redacted]
    attributes: Callable[[dict[str, Any]], RedactedAttributes]


class _Analysis(NamedTuple):
    lines: LineColumns
    found: _Findings
    """Of each message in which any scan hit."""
    shadow: dict[int, list[str]]
    """The shadow rules that would have acted on an entry, once for each finding."""
    reported: dict[int, Usage]
    """What the producers of some entries report."""


def _redact_labels(labels: list[str], redactor: _Redactor, masks: list[int], shadow: dict[int, list[str]]) -> list[str]:
    """Sources or levels redacted; what is found in them is added to `masks` and `shadow`."""
    redacted: list[str] = []
    redact = redactor.label
    for position, label in enumerate(labels):
        text, mask, would_act = redact(label)
        redacted.append(text)
        masks[position] |= mask
        if would_act:
            shadow.setdefault(position, []).extend(would_act)
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
