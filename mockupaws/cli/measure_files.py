"""Runs the pipeline's own analysis over log files, without any server: the quantities a bill is made of.

Chunks of a large file go to one process per processor core; a bounded number waits, so memory stays flat.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, islice

from mockupaws.cli.read_log_files import Chunk, EntryReader, ReadCounts, default_source, read_chunks
from mockupaws.schemas.analysed import Delta
from mockupaws.schemas.requests import IngestRequest
from mockupaws.stream_processors.analyse_entries import Analyser
from mockupaws.stream_processors.roll_up import merge

_INLINE_CHUNKS = 8
"""Files of fewer chunks (of 256 KiB) are done before another process would have started."""
_WAITING_PER_PROCESS = 4
_MINUTE_US = 60_000_000
_NO_ID = bytes(16)


@dataclass(slots=True)
class Measured:
    deltas: list[Delta] = field(default_factory=list)
    """All of one minute, whatever the lines' own timestamps; without the count of requests, as there were none."""
    counts: ReadCounts = field(default_factory=ReadCounts)
    minutes: set[int] = field(default_factory=set)
    """Minutes of the lines' own timestamps, epoch s; empty where lines name none."""

    def add(self, other: Measured) -> None:
        self.deltas = merge(chain(self.deltas, other.deltas))
        self.counts.add(other.counts)
        self.minutes |= other.minutes


def measure_files(names: Iterable[str], source: str | None, now_us: int, processes: int | None = None) -> Measured:
    """Raises UnreadableFileError."""
    tasks = ((chunk, source or default_source(name), now_us) for name in names for chunk in read_chunks(name))
    first = list(islice(tasks, _INLINE_CHUNKS))
    total = Measured()
    if len(first) < _INLINE_CHUNKS:
        for task in first:
            total.add(measure_chunk(*task))
        return total
    with ProcessPoolExecutor(processes or os.cpu_count()) as pool:
        for measured in _in_bounds(pool, chain(first, tasks), (processes or os.cpu_count() or 1)):
            total.add(measured)
    return total


def _in_bounds(
    pool: ProcessPoolExecutor, tasks: Iterable[tuple[Chunk, str, int]], processes: int
) -> Iterator[Measured]:
    waiting: deque[Future[Measured]] = deque()
    for task in tasks:
        waiting.append(pool.submit(measure_chunk, *task))
        if len(waiting) >= processes * _WAITING_PER_PROCESS:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def measure_chunk(chunk: Chunk, source: str, now_us: int) -> Measured:
    reader = EntryReader(source, now_us)
    entries = list(reader.entries_of(chunk))
    request = IngestRequest(_NO_ID, _NO_ID, _NO_ID, now_us, _NO_ID, entries)
    minutes = {entry.timestamp_us // _MINUTE_US * 60 for entry in entries if entry.timestamp_us is not None}
    deltas = [delta for delta in _analyser().analyse_request(request).deltas if delta.metric_name != "requests"]
    return Measured(deltas, reader.counts, minutes)


@cache
def _analyser() -> Analyser:
    """One per process: its tables take a while to load."""
    return Analyser()
