"""What a line holds and costs: findings, redacted text, tokens, SQS blocks, hash. Pure: no I/O, no clock.

The lines of a request are analysed together: one scan, one token count and one encoding for all of them, and work in
Python only for lines in which something was found (docs/adr/0020).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

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
from mockupaws.stream_processors.line_batch import AttributeBatch, LineBatch, shared
from mockupaws.stream_processors.policies.apply_policy import DEFAULT_POLICY, CompiledPolicy
from mockupaws.stream_processors.policies.marks import LINE_DROPPED
from mockupaws.stream_processors.redact import without_half_pairs, without_nul
from mockupaws.stream_processors.redact_lines import Findings, LineRedactor, Tally
from mockupaws.stream_processors.reported_usage import Usage, may_report_usage, reported_usage
from mockupaws.stream_processors.roll_up import roll_up

_CACHED_POLICIES = 256
_MOST_LINES_TOGETHER = 2048
"""Of several requests: what joining more would gain is less than what it holds in memory."""

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
        return self.analyse_requests([(request, policy)])[0]

    def analyse_requests(self, requests: Sequence[tuple[IngestRequest, CompiledPolicy]]) -> list[AnalysedRequest]:
        """Of each what it would be alone. Those of one policy and encoding are scanned and counted together, since a
        request of one line costs as much to begin as several lines do.

        Raises what a step raises; `analyse_request` of each then tells which request it was.
        """
        analysed: dict[int, AnalysedRequest] = {}
        for policy, persons, encoding, places in _together(requests):
            entries = [entry for place in places for entry in requests[place][0].entries]
            analysis = self._analyse(entries, policy, encoding, persons=persons)
            start = 0
            for place in places:
                request = requests[place][0]
                end = start + len(request.entries)
                part = analysis if end - start == len(entries) else analysis.part(start, end)
                analysed[place] = _analysed_request(request, request.indexes, part, policy)
                start = end
        return [analysed[place] for place in range(len(requests))]

    def analyse_part(
        self, request: IngestRequest, positions: Sequence[int], policy: CompiledPolicy = DEFAULT_POLICY
    ) -> AnalysedRequest:
        """The analysed request that holds only those of its entries that stand at `positions` in `request.entries`."""
        entries, indexes = request.entries, request.indexes
        persons = policy.examines_persons(request.request_id)
        analysis = self._analyse([entries[at] for at in positions], policy, request.token_encoding, persons=persons)
        return _analysed_request(request, [indexes[at] for at in positions], analysis, policy)

    def analyse_entry(self, entry: Entry, policy: CompiledPolicy = DEFAULT_POLICY) -> AnalysedEntry:
        return self.analyse_entries([entry], policy)[0]

    def analyse_entries(
        self,
        entries: Sequence[Entry],
        policy: CompiledPolicy = DEFAULT_POLICY,
        encoding: TokenEncoding = DEFAULT_ENCODING,
    ) -> list[AnalysedEntry]:
        """The same as `analyse_request` finds, entry by entry, with each message's findings."""
        analysis = self._analyse(entries, policy, encoding, persons=policy.examines_persons(None), tell=True)
        shadow = [analysis.shadow.get(position, []) for position in range(len(entries))]
        return [
            AnalysedEntry(_in_characters(entry.message, analysis.found.get(position, []), policy), *columns)
            for position, (entry, *columns) in enumerate(zip(entries, *analysis.columns, shadow, strict=True))
        ]

    def _analyse(
        self,
        entries: Sequence[Entry],
        policy: CompiledPolicy,
        encoding: TokenEncoding,
        *,
        persons: bool,
        tell: bool = False,
    ) -> _Analysis:
        """Columns in the order of `entries`, and what else is to be told of them, by position: findings if `tell`."""
        redactor = self._redactor_of(policy, persons)
        tally = Tally.of(len(entries))
        # all of an entry at once, while it is in the caches, for what comes below takes it out of them
        batch = LineBatch.of([entry.message for entry in entries])
        sent = [entry.attributes for entry in entries]
        sources = shared([entry.source for entry in entries])
        levels = shared([entry.level for entry in entries])
        timestamps = [entry.timestamp_us for entry in entries]
        kept = redactor.redact_messages(batch, tally, tell=tell)
        attributes: list[str | None] = [None] * len(entries)
        reported: dict[int, Usage] = {}
        if any(sent):
            encoded = AttributeBatch.of(sent)
            attributes = redactor.redact_attributes(sent, encoded, batch.sent, batch.sizes, tally)
            reported = reported_usage(sent) if may_report_usage(encoded.joined) else {}
        sources = redactor.redact_labels(sources, tally)
        levels = redactor.redact_labels(levels, tally)
        if policy.line_dropping_bits:
            for position, mask in enumerate(tally.masks):
                if mask & policy.line_dropping_bits:
                    batch.texts[position], batch.messages[position] = LINE_DROPPED, LINE_DROPPED.decode()
                    attributes[position] = None
        tokens = self._count_tokens(batch.sent, encoding)
        for position, usage in reported.items():
            tokens[position] = usage.input_tokens
        sha256 = hashlib.sha256
        columns = _Columns(
            batch.messages,
            [sha256(text).digest() for text in batch.texts],
            timestamps,
            sources,
            levels,
            attributes,
            batch.sizes,
            tokens,
            count_sqs_blocks(batch.sizes),
            tally.masks,
        )
        return _Analysis(columns, kept, tally.shadow, reported)

    def _new_redactor(self, policy: CompiledPolicy, persons: bool) -> LineRedactor:
        shadowed = policy.shadow_rules
        scanner: TextScanner = self._scanner.without(shadowed) if shadowed else self._scanner
        aside = self._scanner.only(shadowed) if shadowed else None
        return LineRedactor(PersonScanner(scanner) if persons else scanner, policy, aside)


class _Columns(NamedTuple):
    """Those of LineColumns but the index, in its order."""

    message: list[str]
    message_hash: list[bytes]
    timestamp_us: list[int | None]
    source: list[str]
    level: list[str]
    attributes: list[str | None]
    size_bytes: list[int]
    token_count: list[int]
    sqs_blocks: list[int]
    pii_mask: list[int]


class _Analysis(NamedTuple):
    columns: _Columns
    found: Findings
    """Of each message that has any, where they were asked for."""
    shadow: dict[int, list[str]]
    """The shadow rules that would have acted on an entry, once for each finding."""
    reported: dict[int, Usage]
    """What the producers of some entries report."""

    def part(self, start: int, end: int) -> _Analysis:
        """Of the entries from `start` to `end`, without their findings, which nothing asks for there."""
        return _Analysis(
            _Columns._make([column[start:end] for column in self.columns]),
            {},
            _between(self.shadow, start, end),
            _between(self.reported, start, end),
        )


Told = TypeVar("Told")


def _between(told: dict[int, Told], start: int, end: int) -> dict[int, Told]:
    return {at - start: told[at] for at in range(start, end) if at in told} if told else told


def _together(
    requests: Sequence[tuple[IngestRequest, CompiledPolicy]],
) -> Iterator[tuple[CompiledPolicy, bool, TokenEncoding, list[int]]]:
    """Policy, whether persons are looked for, encoding, and the positions of requests that may be analysed as one."""
    groups: dict[tuple[CompiledPolicy, bool, TokenEncoding], list[int]] = {}
    for place, (request, policy) in enumerate(requests):
        key = (policy, policy.examines_persons(request.request_id), request.token_encoding)
        groups.setdefault(key, []).append(place)
    for (policy, persons, encoding), places in groups.items():
        chosen: list[int] = []
        lines = 0
        for place in places:
            more = len(requests[place][0].entries)
            if chosen and lines + more > _MOST_LINES_TOGETHER:
                yield policy, persons, encoding, chosen
                chosen, lines = [], 0
            chosen.append(place)
            lines += more
        yield policy, persons, encoding, chosen


def _analysed_request(
    request: IngestRequest, indexes: list[int], analysis: _Analysis, policy: CompiledPolicy
) -> AnalysedRequest:
    lines = LineColumns(indexes, *analysis.columns)
    deltas = roll_up(
        request.received_at_us,
        lines,
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
        lines,
        deltas,
        request.entry_indexes,
        policy.version,
    )


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
