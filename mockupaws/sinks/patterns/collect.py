"""The templates found since the last store, by scenario and hour. Pure."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from mockupaws.schemas.analysed import AnalysedRequest
from mockupaws.stream_processors.mine_patterns import PatternMiner, mine_lines

MAX_SCENARIOS = 64
"""Scenario-hours held at once; the one not seen for longest is let go, with what was not stored yet."""
MAX_LINES = 100
"""Looked at of one request; each then stands for as many more."""
_HOUR_US = 3_600_000_000


class PatternRow(NamedTuple):
    tenant_id: UUID
    scenario_id: UUID
    hour: datetime
    template_id: bytes
    template: str
    entries: int
    bytes: int
    tokens: int
    sqs_blocks: int


class Collector:
    def __init__(self) -> None:
        self._miners: OrderedDict[tuple[bytes, bytes, int], PatternMiner] = OrderedDict()

    def add(self, request: AnalysedRequest) -> int:
        """Mines a request, or an even sample of its lines; answers how many lines it looked at."""
        step = -(-len(request.lines.index) // MAX_LINES) or 1
        return mine_lines(self._miner(request), request.lines, step)

    def rows(self) -> list[PatternRow]:
        """What was found since `clear`, sorted by key."""
        rows: dict[tuple[bytes, int, bytes], PatternRow] = {}
        for (tenant_id, scenario_id, hour), miner in self._miners.items():
            for pattern in miner.patterns():
                template = pattern.template
                template_id = hashlib.blake2b(template.encode("utf-8", "replace"), digest_size=16).digest()
                row = PatternRow(
                    UUID(bytes=tenant_id), UUID(bytes=scenario_id), _time_of(hour), template_id, template,
                    pattern.entries, pattern.size_bytes, pattern.tokens, pattern.sqs_blocks,
                )  # fmt: skip
                known = rows.get((scenario_id, hour, template_id))
                rows[scenario_id, hour, template_id] = row if known is None else _sum(known, row)
        return [rows[key] for key in sorted(rows)]

    def clear(self) -> None:
        """After `rows` were stored: counts begin anew; templates stay, so that the same lines find them again."""
        newest = max((hour for _, _, hour in self._miners), default=0)
        for key in [key for key in self._miners if key[2] < newest - 1]:
            del self._miners[key]
        for miner in self._miners.values():
            for pattern in miner.patterns():
                pattern.clear()

    def _miner(self, request: AnalysedRequest) -> PatternMiner:
        key = (request.tenant_id, request.scenario_id, request.received_at_us // _HOUR_US)
        miner = self._miners.get(key)
        if miner is None:
            miner = self._miners[key] = PatternMiner()
            if len(self._miners) > MAX_SCENARIOS:
                self._miners.popitem(last=False)
        self._miners.move_to_end(key)
        return miner


def _sum(one: PatternRow, other: PatternRow) -> PatternRow:
    """Two templates may differ only beyond the length that is kept."""
    return one._replace(
        entries=one.entries + other.entries,
        bytes=one.bytes + other.bytes,
        tokens=one.tokens + other.tokens,
        sqs_blocks=one.sqs_blocks + other.sqs_blocks,
    )


def _time_of(hour: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(hours=hour)
