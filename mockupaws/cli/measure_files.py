"""Runs the pipeline's own analysis over log files, without any server: the quantities a bill is made of.

Chunks of a large file go to one process per processor core; a bounded number waits, so memory stays flat.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, islice

import msgspec

from mockupaws.cli.find_line_times import seconds_of_lines
from mockupaws.cli.read_log_files import Chunk, EntryReader, ReadCounts, default_source, read_chunks
from mockupaws.cost_model.profile import Arrivals, Profile, profile_of
from mockupaws.cost_model.quantities import Quantities
from mockupaws.schemas.analysed import Delta
from mockupaws.schemas.distributions import add_counts
from mockupaws.schemas.requests import IngestRequest
from mockupaws.schemas.token_encodings import DEFAULT_ENCODING, TokenEncoding
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.count_sqs_blocks import count_batched_requests
from mockupaws.stream_processors.mine_patterns import PatternMiner, mine_lines
from mockupaws.stream_processors.roll_up import merge

REQUEST_LINES = 1000
"""Lines in one request of `mockupaws send`."""
_INLINE_CHUNKS = 8
"""Files of fewer chunks (of 256 KiB) are done before another process would have started."""
_WAITING_PER_PROCESS = 4
_NO_ID = bytes(16)


@dataclass(slots=True)
class Measured:
    deltas: list[Delta] = field(default_factory=list)
    """All of one minute, whatever the lines' own timestamps; without the count of requests, as there were none."""
    counts: ReadCounts = field(default_factory=ReadCounts)
    minutes: Counter[int] = field(default_factory=Counter)
    """Lines by the minute of their own times, epoch s; empty where lines name none."""
    arrivals: Arrivals = field(default_factory=Arrivals)
    """Seconds of the lines' own times."""
    unsent_sizes: list[int] = field(default_factory=list)
    """Payload sizes of the last lines, fewer than make a request, in their order."""
    patterns: PatternMiner = field(default_factory=PatternMiner)
    """Templates of the redacted lines, where they were asked for."""

    def add(self, other: Measured) -> None:
        self.deltas = merge(chain(self.deltas, other.deltas))
        self.counts.add(other.counts)
        self.minutes.update(other.minutes)
        self.arrivals.add(other.arrivals)
        for found in other.patterns.patterns():
            self.patterns.add(found.template, found.size_bytes, found.tokens, found.sqs_blocks, found.entries)
        self.unsent_sizes += other.unsent_sizes
        full = len(self.unsent_sizes) // REQUEST_LINES * REQUEST_LINES
        self._batch(self.unsent_sizes[:full])
        del self.unsent_sizes[:full]

    def finish(self) -> None:
        """Counts the last lines' request, when all chunks are added."""
        self._batch(self.unsent_sizes)
        self.unsent_sizes = []

    def _batch(self, sizes: list[int]) -> None:
        minute = self.deltas[0].minute if self.deltas else 0
        for start in range(0, len(sizes), REQUEST_LINES):
            batched = count_batched_requests(sizes[start : start + REQUEST_LINES])
            self.deltas = merge([*self.deltas, Delta(minute, "sqs", "blocks", 0, batched)])

    def profile(self, quantities: Quantities) -> Profile:
        """The profile a scenario has after `send` of the same files, but for when its lines arrive."""
        sizes, tokens = (
            add_counts(delta.counts for delta in self.deltas if delta.metric_name == name and delta.counts)
            for name in ("bytes", "tokens")
        )
        return profile_of(quantities, sizes, tokens, self.arrivals.rates())


def measure_files(
    names: Iterable[str],
    source: str | None,
    now_us: int,
    processes: int | None = None,
    encoding: TokenEncoding = DEFAULT_ENCODING,
    patterns: bool = False,
) -> Measured:
    """`patterns`: find the lines' templates too, which more than doubles the time. Raises UnreadableFileError."""
    tasks = (
        (chunk, source or default_source(name), now_us, encoding, patterns)
        for name in names
        for chunk in read_chunks(name)
    )
    first = list(islice(tasks, _INLINE_CHUNKS))
    total = Measured()
    if len(first) < _INLINE_CHUNKS:
        for task in first:
            total.add(measure_chunk(*task))
        total.finish()
        return total
    with ProcessPoolExecutor(processes or os.cpu_count()) as pool:
        for measured in _in_bounds(pool, chain(first, tasks), (processes or os.cpu_count() or 1)):
            total.add(measured)
    total.finish()
    return total


def _in_bounds(
    pool: ProcessPoolExecutor, tasks: Iterable[tuple[Chunk, str, int, TokenEncoding, bool]], processes: int
) -> Iterator[Measured]:
    waiting: deque[Future[Measured]] = deque()
    for task in tasks:
        waiting.append(pool.submit(measure_chunk, *task))
        if len(waiting) >= processes * _WAITING_PER_PROCESS:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def measure_chunk(chunk: Chunk, source: str, now_us: int, encoding: TokenEncoding, patterns: bool) -> Measured:
    reader = EntryReader(source, now_us)
    entries = list(reader.entries_of(chunk))
    request = IngestRequest(_NO_ID, _NO_ID, _NO_ID, now_us, _NO_ID, entries, token_encoding=encoding)
    seconds = seconds_of_lines(entries, reader.times)
    minutes: Counter[int] = Counter()
    for second, count in seconds.items():
        minutes[second // 60 * 60] += count
    analysed = _analyser().analyse_request(request)
    deltas = [
        msgspec.structs.replace(delta, counts=None) if delta.metric_name == "blocks" else delta  # no request of `send`
        for delta in analysed.deltas
        if delta.metric_name != "requests"
    ]
    miner = PatternMiner()
    if patterns:
        mine_lines(miner, analysed.lines)
    return Measured(deltas, reader.counts, minutes, Arrivals(seconds), analysed.lines.size_bytes, miner)


@cache
def _analyser() -> Analyser:
    """One per process: its tables take a while to load."""
    return Analyser()
