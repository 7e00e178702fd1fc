"""What a request adds to the metrics of its minute: a fold of its lines, and of deltas into deltas.

`merge` is associative and commutative, so the sum is the same in whatever order and grouping requests arrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from mockupaws.schemas.analysed import Delta, LineColumns
from mockupaws.schemas.pii_types import types_of_mask
from mockupaws.schemas.rollups import SIZE_BUCKETS

_MINUTE_US = 60_000_000
_SMALLEST_POWER = SIZE_BUCKETS[0].bit_length() - 1
_LARGEST_POWER = SIZE_BUCKETS[-1].bit_length() - 1


def roll_up(received_at_us: int, lines: LineColumns) -> list[Delta]:
    """The deltas of one request; none where no line is left of it. A metric that would grow by 0 has none."""
    if not lines.index:
        return []
    minute = received_at_us // _MINUTE_US * 60
    totals = [
        ("ingest", "requests", 1),
        ("ingest", "entries", len(lines.index)),
        ("ingest", "bytes", sum(lines.size_bytes)),
        ("bedrock", "tokens", sum(lines.token_count)),
        ("sqs", "blocks", sum(lines.sqs_blocks)),
        *_pii_totals(lines.pii_mask),
        *_size_totals(lines.size_bytes),
    ]
    return [Delta(minute, kind, name, value) for kind, name, value in totals if value]


def merge(deltas: Iterable[Delta]) -> list[Delta]:
    """One delta for each (minute, metric) with the sum of the values, in that order."""
    sums: Counter[tuple[int, str, str]] = Counter()
    for delta in deltas:
        sums[delta.minute, delta.metric_type, delta.metric_name] += delta.value
    return [Delta(*metric, value) for metric, value in sorted(sums.items()) if value]


def _pii_totals(masks: list[int]) -> list[tuple[str, str, int]]:
    if not any(masks):
        return []
    by_type: Counter[str] = Counter()
    for mask, count in Counter(masks).items():
        for name in types_of_mask(mask):
            by_type[name] += count
    with_findings = len(masks) - masks.count(0)
    return [("pii", "entries", with_findings), *(("pii", name, count) for name, count in by_type.items())]


def _size_totals(sizes: list[int]) -> list[tuple[str, str, int]]:
    powers = Counter([(size - 1).bit_length() if size > 1 else 0 for size in sizes])
    by_bucket: Counter[int] = Counter()
    for power, count in powers.items():
        # a payload above the last bound counts in the last bucket: the catalogue is closed
        by_bucket[min(max(power, _SMALLEST_POWER), _LARGEST_POWER)] += count
    return [("size", str(1 << power), count) for power, count in by_bucket.items()]
