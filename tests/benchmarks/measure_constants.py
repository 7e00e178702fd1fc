"""The constants of `mockupaws capacity`, from one run of the benchmark: CPU of its highest held rate, bytes of all lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import asyncpg
import msgspec

from mockupaws.cost_model import capacity
from mockupaws.cost_model.capacity import PROCESSES, Constants
from tests.benchmarks.observe_processes import ProcessUse
from tests.running_stack import RunningStack

CONSTANTS_FILE = Path(capacity.__file__).with_name("capacity_constants.json")
LINE_BYTES = 250
_SIZES = """
    SELECT (SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint
            FROM pg_partition_tree('scenario_logs') WHERE isleaf),
           (SELECT coalesce(sum(size_bytes), 0)::bigint FROM archive_objects),
           pg_current_wal_lsn() - '0/0'::pg_lsn
"""


class StoredBytes(NamedTuple):
    """By all lines so far."""

    postgres: int
    archive: int
    wal: int
    kafka: int


async def stored_bytes(stack: RunningStack) -> StoredBytes:
    connection = await asyncpg.connect(stack.settings.postgres_owner_url)
    try:
        row = await connection.fetchrow(_SIZES)
    finally:
        await connection.close()
    logs = (stack.settings.home / "data").glob("kafka/**/*.log")
    kafka = sum(path.stat().st_size for path in logs if path.parent.name.startswith(("ingest.", "logs.")))
    assert row is not None
    return StoredBytes(int(row[0]), int(row[1]), int(row[2]), kafka)


def constants_of(
    when: str, machine: str, rate: int, uses: Mapping[str, ProcessUse], lines: int, before: StoredBytes,
    after: StoredBytes, all_lines: int,
) -> Constants:  # fmt: skip
    """`lines`: of the rate's window; `all_lines`: between `before` and `after`."""
    parts = (*PROCESSES, "postgres", "kafka")
    per_line = [(late - early) / all_lines for early, late in zip(before, after, strict=True)]
    origin = f"make bench of {when[:10]}, {rate:,} lines/s, held"
    names = ("postgres", "archive", "postgres_wal", "kafka")
    sizes = {f"{name}_bytes_per_line": round(size, 1) for name, size in zip(names, per_line, strict=True)}
    # The load generator's lines come again and again, and an object holds many rounds of them: it says too little.
    kept = msgspec.json.decode(CONSTANTS_FILE.read_bytes(), type=Constants)
    measured = dict.fromkeys(("cpu_us_per_line", *sizes), "the same run")
    measured["archive_bytes_per_line"] = kept.measured["archive_bytes_per_line"]
    sizes["archive_bytes_per_line"] = kept.archive_bytes_per_line
    return msgspec.convert(
        {
            "origin": origin,
            "machine": machine,
            "line_bytes": LINE_BYTES,
            "lines_per_second": rate,
            "cpu_us_per_line": {part: round(uses[part].cpu_seconds / lines * 1e6, 1) for part in parts},
            **sizes,
            "measured": measured,
        },
        Constants,
    )


def write_constants(constants: Constants) -> None:
    CONSTANTS_FILE.write_bytes(msgspec.json.format(msgspec.json.encode(constants)) + b"\n")
