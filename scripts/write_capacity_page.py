"""Writes docs/capacity.md: the calculator's constants, and worked examples computed by it.

python scripts/write_capacity_page.py            # writes the page
python scripts/write_capacity_page.py --check    # only says whether it is as it would be written
"""

from __future__ import annotations

import sys
from pathlib import Path

from mockupaws.cost_model import capacity as model
from mockupaws.cost_model.capacity import Workload, compute_capacity, shipped_constants
from mockupaws.cost_model.prices import current_prices
from mockupaws.cost_model.render_capacity import render_capacity

PAGE = Path(__file__).resolve().parent.parent / "docs" / "capacity.md"
EXAMPLES = (
    ("40,000 lines a second", Workload(40_000, 250, 30)),
    ("50,000 users, each connected and sending a line in ten seconds", Workload(5_000, 250, 30, 50_000)),
    ("1 Gbit/s of lines", Workload(500_000, 250, 7)),
)


def render() -> str:
    constants = shipped_constants()
    lines = [
        "# Capacity",
        "",
        "What an installation for a given stream is made of: `mockupaws capacity --lines-per-second 40000",
        "--line-bytes 250 --retention 30` computes it, without a server. This page is written by",
        "`scripts/write_capacity_page.py`.",
        "",
        "The figures are of the machine the constants were measured on, with everything on it; a benchmark on yours",
        "(`make bench ARGS=--write-constants`) replaces them. Processes are computed for the peak.",
        "",
        "## Constants",
        "",
        f"{constants.origin}. {constants.machine}; lines of {constants.line_bytes} bytes.",
        "",
        "| constant | value | from |",
        "|---|---|---|",
    ]
    for part, us in constants.cpu_us_per_line.items():
        lines.append(f"| CPU of {part}, µs a line | {us:g} | {constants.measured['cpu_us_per_line']} |")
    for name, text in (
        ("postgres_bytes_per_line", "bytes a line in Postgres"),
        ("postgres_wal_bytes_per_line", "bytes a line of WAL"),
        ("kafka_bytes_per_line", "bytes a line in both topics, a replica"),
        ("archive_bytes_per_line", "bytes a line in the archive"),
    ):
        lines.append(f"| {text} | {getattr(constants, name):g} | {constants.measured[name]} |")
    lines += [
        "",
        "## Assumed beside them",
        "",
        f"- A process is busy for {model.BUSY_SHARE:.0%} of one core; servers have {model.SERVER_CORES} such cores.",
        "- A line longer than those measured costs in proportion, in CPU and in bytes of Kafka and archive; a shorter",
        "  one as much. Postgres keeps a preview, so a row stays as large.",
        f"- {model.REPLICAS} replicas of each record, {model.KAFKA_DAYS:g} days; a broker writes"
        f" {model.BROKER_WRITE_BYTES // 10**6} MB/s and holds {model.BROKER_DISK_BYTES // 10**12} TB.",
        f"- {model.PARTITIONS_PER_READER} partitions for each reader, at least 4.",
        f"- A primary syncs {model.PRIMARY_WAL_BYTES // 10**6} MB/s of WAL and holds"
        f" {model.PRIMARY_DISK_BYTES // 10**12} TB.",
        "- A line costs the same whatever is stored: within what repeats differ from 10⁵ to 10⁸ lines"
        " ([benchmarks](benchmarks/sinks.md)).",
        "- Lines come at the peak's rate all the time: sizes and costs are upper bounds.",
        "",
        "More processes of the gateway, the processor and the sinks share the load by partitions. What they don't",
        "help is the one Postgres primary; the result names which of its limits comes first, and at which rate.",
    ]
    for title, workload in EXAMPLES:
        shown = render_capacity(compute_capacity(workload, constants, current_prices(), "eu-west-1"), constants)
        lines += ["", f"## {title}", "", "```", shown.rstrip("\n"), "```"]
    return "\n".join(lines) + "\n"


def main() -> int:
    page = render()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page)
        return 0
    if PAGE.exists() and PAGE.read_text() == page:
        return 0
    print(f"{PAGE} is not as it would be written: run scripts/write_capacity_page.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
