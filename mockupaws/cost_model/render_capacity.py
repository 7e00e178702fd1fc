"""A capacity as text: for the command, and for docs/capacity.md. Pure."""

from __future__ import annotations

from mockupaws.cost_model.capacity import BUSY_SHARE, KAFKA_DAYS, REPLICAS, SERVER_CORES, Capacity, Constants

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")


def render_capacity(capacity: Capacity, constants: Constants) -> str:
    workload = capacity.workload
    processes = capacity.processes
    next_part = capacity.ceilings[0]
    over = [ceiling for ceiling in capacity.ceilings if ceiling.lines_per_second < workload.lines_per_second]
    connections = f", {workload.connections:,} connections" if workload.connections else ""
    rows = [
        f"{workload.lines_per_second:,g} lines/s of {workload.line_bytes:,g} bytes, "
        f"{workload.retention_days:g} days{connections}",
        "",
        f"partitions        {capacity.partitions:,} a topic",
        f"brokers           {capacity.brokers:,}, {_size(capacity.kafka_bytes)} of log "
        f"({KAFKA_DAYS:g} days, {REPLICAS} replicas)",
        f"gateway           {processes['gateway']:,} processes",
        f"processor         {processes['processor']:,} processes",
        f"postgres-sink     {processes['postgres-sink']:,} processes",
        f"parquet-sink      {processes['parquet-sink']:,} processes",
        f"Postgres          {_size(capacity.postgres_bytes)}, {capacity.postgres_cores:,.1f} cores of the primary",
        f"archive           {_size(capacity.archive_bytes)}",
        f"network           {_bits(capacity.ingress_bits)} in, {_bits(capacity.kafka_write_bits)} to the brokers' "
        f"disks, {_bits(capacity.wal_bits)} of WAL to each replica",
        "",
        f"next bottleneck   {next_part.part}, at {next_part.lines_per_second:,.0f} lines/s: {next_part.remedy}",
    ]
    rows += [f"TOO MUCH FOR      {c.part}: it carries {c.lines_per_second:,.0f} lines/s; {c.remedy}" for c in over]
    rows += ["", "a month, US dollars"]
    for line in capacity.costs:
        amount = "unpriced" if line.amount is None else f"{line.amount:,.2f}"
        rows.append(f"  {line.part:<38} {amount:>14}   {line.basis}")
    rows += [
        "",
        f"A process uses {BUSY_SHARE:.0%} of a core at this rate; servers have {SERVER_CORES} cores. Constants: "
        f"{constants.origin}; {constants.machine}.",
    ]
    return "\n".join(rows) + "\n"


def _size(size: float) -> str:
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            return f"{size:,.1f} {unit}"
        size /= 1000
    raise AssertionError


def _bits(bits: float) -> str:
    return f"{bits / 1e9:,.2f} Gbit/s" if bits >= 1e9 else f"{bits / 1e6:,.1f} Mbit/s"
