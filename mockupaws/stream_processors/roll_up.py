"""What a request adds to the metrics of its minute: a fold of its lines, and of deltas into deltas.

`merge` is associative and commutative, so the sum is the same in whatever order and grouping requests arrive.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from sys import intern

from mockupaws.schemas.analysed import Delta, LineColumns
from mockupaws.schemas.distributions import Counts, add_counts, counting_by, sketch_of
from mockupaws.schemas.pii_types import types_of_mask
from mockupaws.schemas.rollups import SHADOW_RULE, SIZE_BUCKETS
from mockupaws.schemas.token_encodings import DEFAULT_ENCODING, TokenEncoding
from mockupaws.stream_processors.count_sqs_blocks import count_batched_requests
from mockupaws.stream_processors.reported_usage import Usage

_MINUTE_US = 60_000_000
_SECOND_US = 1_000_000
_SMALLEST_POWER = SIZE_BUCKETS[0].bit_length() - 1
_LARGEST_POWER = SIZE_BUCKETS[-1].bit_length() - 1


def roll_up(
    received_at_us: int,
    lines: LineColumns,
    shadow: Collection[list[str]] = (),
    encoding: TokenEncoding = DEFAULT_ENCODING,
    reported: Collection[Usage] = (),
) -> list[Delta]:
    """The deltas of one request; none where no line is left of it.

    `shadow`: of each line on which shadow rules would have acted, their names, once for each finding.
    `encoding`: what tokens were counted with. `reported`: what some lines report, which stands in their counts.
    """
    count = len(lines.index)
    if not count:
        return []
    minute = received_at_us // _MINUTE_US * 60
    second = received_at_us // _SECOND_US % 60
    sizes, tokens = lines.size_bytes, lines.token_count
    total_tokens = sum(tokens)
    deltas = [
        Delta(minute, "ingest", "requests", 1),
        Delta(minute, "ingest", "entries", count, {second: count}),
        Delta(minute, "ingest", "bytes", sum(sizes), sketch_of(sizes)),
        Delta(minute, "bedrock", "tokens", total_tokens, sketch_of(tokens)),
        Delta(minute, "sqs", "blocks", sum(lines.sqs_blocks), count_batched_requests(sizes)),
    ]
    if reported or encoding != DEFAULT_ENCODING:
        totals = _token_totals(total_tokens, encoding, reported)
        deltas += [Delta(minute, "bedrock", name, value) for name, value in totals]
    if any(lines.pii_mask):
        deltas += [Delta(minute, "pii", name, value) for name, value in _pii_totals(lines.pii_mask)]
    deltas += [Delta(minute, "size", name, value) for name, value in _count_bounds(sizes).items()]
    if shadow:
        deltas += [
            Delta(minute, SHADOW_RULE if "@" in name else "shadow", name, value)
            for name, value in _shadow_totals(shadow)
        ]
    return deltas


def merge(deltas: Iterable[Delta]) -> list[Delta]:
    """One delta for each (minute, metric) with the sum of the values and of the counts, in that order."""
    sums: Counter[tuple[int, str, str]] = Counter()
    counts: defaultdict[tuple[int, str, str], list[Counts]] = defaultdict(list)
    for delta in deltas:
        metric = (delta.minute, delta.metric_type, delta.metric_name)
        sums[metric] += delta.value
        if delta.counts:
            counts[metric].append(delta.counts)
    return [
        Delta(*metric, value, add_counts(counts[metric]) if metric in counts else None)
        for metric, value in sorted(sums.items())
        if value or metric in counts
    ]


def _token_totals(tokens: int, encoding: TokenEncoding, reported: Collection[Usage]) -> list[tuple[str, int]]:
    """Which parts of the request's tokens were not counted with the default encoding."""
    read = sum(usage.input_tokens for usage in reported)
    totals = [
        ("reported_entries", len(reported)),
        ("reported_input_tokens", read),
        ("reported_output_tokens", sum(usage.output_tokens for usage in reported)),
        ("o200k_tokens", tokens - read if encoding == "o200k_base" else 0),
    ]
    return [(name, value) for name, value in totals if value]


def _pii_totals(masks: list[int]) -> list[tuple[str, int]]:
    by_type: dict[str, int] = {}
    for mask, count in Counter(masks).items():
        for name in types_of_mask(mask):
            by_type[name] = by_type.get(name, 0) + count
    with_findings = len(masks) - masks.count(0)
    return [("entries", with_findings), *by_type.items()]


def _shadow_totals(shadow: Iterable[list[str]]) -> list[tuple[str, int]]:
    findings: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for names in shadow:
        findings.update(names)
        lines.update(set(names))
    return [
        *((f"{name}.lines", count) for name, count in lines.items()),
        *((f"{name}.findings", count) for name, count in findings.items()),
    ]


def _bound_of(size: int) -> str:
    """A payload above the last bound counts in the last bucket: the catalogue is closed."""
    power = (size - 1).bit_length() if size else 0
    return intern(str(1 << min(max(power, _SMALLEST_POWER), _LARGEST_POWER)))


_count_bounds = counting_by(_bound_of)
