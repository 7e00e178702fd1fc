"""How much of everything a stream of log lines takes: partitions, processes, servers, bytes, and what has a price.

Pure. The constants come from a benchmark (`capacity_constants.json`, which says where each is from); what is assumed
beside them stands here, each with its reason, and is printed with the result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from typing import NamedTuple

import msgspec

from mockupaws.cost_model.prices import PriceBook, charges, unpriced_part

BUSY_SHARE = 0.6
"""Of a core, at the given rate: peaks and restarts need the rest, and queues grow steeply above."""
PROCESSES = ("gateway", "processor", "postgres-sink", "parquet-sink")
"""Each uses one core at most; more of them share the load."""
SERVER_CORES = 16
"""Of one Postgres primary, and of one broker: a common size."""
LEAST_BROKERS, REPLICAS = 3, 3
"""What acknowledged lines need to survive a broker (acks=all, min.insync.replicas 2)."""
BROKER_DISK_BYTES = 4 * 10**12
BROKER_WRITE_BYTES = 200 * 10**6
"""A second, of one broker's disk, replicas included."""
PARTITION_BYTES = 10 * 10**6
"""A second, of one partition, before compression: what one reader of it keeps up with."""
PARTITIONS_PER_READER = 2
"""So that one reader more takes a fair part."""
PRIMARY_WAL_BYTES = 200 * 10**6
"""A second that a primary and its replicas sync and ship."""
PRIMARY_DISK_BYTES = 64 * 10**12
"""What one volume group of a primary holds."""
KAFKA_DAYS = 7.0
"""Retention of both topics."""
GATEWAY_CONNECTIONS = 8192
OBJECT_LINES = 100_000
MONTH_SECONDS = 730 * 3600
MAX_LINES_PER_SECOND = 10**8
MAX_LINE_BYTES = 1024 * 1024
MAX_RETENTION_DAYS = 3650.0
MAX_CONNECTIONS = 10**8
GB = 10**9


class CapacityError(ValueError):
    """An input no installation can be computed for; the message names it and its range."""


class Constants(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    origin: str
    machine: str
    line_bytes: int
    """Of the lines that were measured."""
    lines_per_second: int
    """At which they were."""
    cpu_us_per_line: dict[str, float]
    postgres_bytes_per_line: float
    postgres_wal_bytes_per_line: float
    kafka_bytes_per_line: float
    """Compressed, in both topics together, one replica."""
    archive_bytes_per_line: float
    measured: dict[str, str]
    """Where each constant is from."""


class Workload(NamedTuple):
    lines_per_second: float
    """At its peak; processes are computed for it."""
    line_bytes: float
    retention_days: float
    """Of lines in Postgres; the archive is computed for the same time."""
    connections: int = 0
    """Clients connected at once; 0: few."""


class Ceiling(NamedTuple):
    """A part that more processes don't help, and the rate it carries."""

    part: str
    lines_per_second: float
    remedy: str


class CostLine(NamedTuple):
    part: str
    amount: Decimal | None
    """US dollars a month; None: unpriced."""
    basis: str


class Capacity(NamedTuple):
    workload: Workload
    partitions: int
    brokers: int
    processes: dict[str, int]
    postgres_cores: float
    postgres_bytes: float
    archive_bytes: float
    kafka_bytes: float
    """All replicas."""
    ingress_bits: float
    """A second, of line bytes alone."""
    kafka_write_bits: float
    wal_bits: float
    ceilings: list[Ceiling]
    """The lowest, which is the next bottleneck, first."""
    costs: list[CostLine]


def shipped_constants() -> Constants:
    path = resources.files("mockupaws.cost_model").joinpath("capacity_constants.json")
    return decode_constants(path.read_bytes())


def decode_constants(document: bytes) -> Constants:
    """Raises CapacityError."""
    try:
        constants = msgspec.json.decode(document, type=Constants)
    except msgspec.MsgspecError as error:
        raise CapacityError(f"no constants of capacity: {error}") from None
    missing = {*PROCESSES, "postgres", "kafka"} - constants.cpu_us_per_line.keys()
    numbers = [*constants.cpu_us_per_line.values(), constants.line_bytes, constants.postgres_wal_bytes_per_line]
    if missing or not all(math.isfinite(number) and number > 0 for number in numbers):
        raise CapacityError(f"constants of capacity: CPU of {sorted(missing) or 'each part'} must be above 0")
    return constants


def compute_capacity(workload: Workload, constants: Constants, book: PriceBook, region: str) -> Capacity:
    """Raises CapacityError where an input is out of its range."""
    _check(workload)
    # Longer lines cost in proportion; shorter ones as much as those measured, since most of the cost is a line's own.
    scale = max(1.0, workload.line_bytes / constants.line_bytes)
    rate = workload.lines_per_second
    month_lines = rate * 86_400 * workload.retention_days
    cpu = {part: us * scale / 1e6 for part, us in constants.cpu_us_per_line.items()}
    processes = {part: max(1, math.ceil(rate * cpu[part] / BUSY_SHARE)) for part in PROCESSES}
    processes["gateway"] = max(processes["gateway"], math.ceil(workload.connections / GATEWAY_CONNECTIONS))
    readers = max(processes[part] for part in PROCESSES[1:])
    by_bytes = math.ceil(rate * workload.line_bytes / PARTITION_BYTES)
    partitions = max(4, PARTITIONS_PER_READER * readers, by_bytes)
    kafka_second = rate * constants.kafka_bytes_per_line * scale * REPLICAS
    kafka_bytes = kafka_second * 86_400 * KAFKA_DAYS
    # What was measured is one broker with one replica; followers write what the leader does.
    broker_cores = rate * cpu["kafka"] * REPLICAS / BUSY_SHARE
    brokers = max(
        LEAST_BROKERS,
        math.ceil(broker_cores / SERVER_CORES),
        math.ceil(kafka_second / BROKER_WRITE_BYTES),
        math.ceil(kafka_bytes / BUSY_SHARE / BROKER_DISK_BYTES),
    )
    wal = constants.postgres_wal_bytes_per_line
    archive_bytes = month_lines * constants.archive_bytes_per_line * scale
    held = workload.retention_days * 86_400 * constants.postgres_bytes_per_line
    ceilings = sorted(
        (
            Ceiling(
                "Postgres primary: CPU",
                SERVER_CORES * BUSY_SHARE / cpu["postgres"],
                "a larger primary, then a second database by tenant",
            ),
            Ceiling("Postgres primary: WAL", PRIMARY_WAL_BYTES / wal, "faster disks, then a second database by tenant"),
            Ceiling("Postgres primary: disk", PRIMARY_DISK_BYTES / held, "a shorter retention: the archive keeps all"),
        ),
        key=lambda ceiling: ceiling.lines_per_second,
    )
    return Capacity(
        workload,
        partitions,
        brokers,
        processes,
        rate * cpu["postgres"] / BUSY_SHARE,
        month_lines * constants.postgres_bytes_per_line,
        archive_bytes,
        kafka_bytes,
        rate * workload.line_bytes * 8,
        kafka_second * 8,
        rate * wal * 8,
        ceilings,
        _costs(rate, archive_bytes, book, region),
    )


def _costs(rate: float, archive_bytes: float, book: PriceBook, region: str) -> list[CostLine]:
    objects = rate * MONTH_SECONDS / OBJECT_LINES
    priced = [
        _priced(book, region, "archive, stored", "s3.standard.gb_months", archive_bytes / GB, "GB-months, once full"),
        _priced(book, region, "archive, written", "s3.standard.put_requests", objects, "PUT requests"),
    ]
    unpriced = ("gateway, processor and sink processes", "brokers", "Postgres primary and replicas", "Redis")
    return priced + [CostLine(part, None, "no row of the price book") for part in unpriced]


def _priced(book: PriceBook, region: str, part: str, meter: str, quantity: float, unit: str) -> CostLine:
    exact = Decimal(math.ceil(quantity))
    tiers = book.with_free_quantity(book.tiers(meter, region))
    if not tiers or unpriced_part(tiers, Decimal(0), exact):
        return CostLine(part, None, f"{exact:,} {unit}: no row of the price book for {meter} in {region}")
    amounts = list(charges(tiers, Decimal(0), exact))
    rows = ", ".join(charge.row.id for charge in amounts)
    return CostLine(part, sum((c.amount for c in amounts), Decimal(0)), f"{exact:,} {unit}; {rows}; {book.name}")


def _check(workload: Workload) -> None:
    ranges: Mapping[str, tuple[float, float]] = {
        "lines_per_second": (0.001, MAX_LINES_PER_SECOND),
        "line_bytes": (1, MAX_LINE_BYTES),
        "retention_days": (0.01, MAX_RETENTION_DAYS),
        "connections": (0, MAX_CONNECTIONS),
    }
    for name, (least, most) in ranges.items():
        value = getattr(workload, name)
        if not (math.isfinite(value) and least <= value <= most):
            option = {"retention_days": "retention"}.get(name, name).replace("_", "-")
            raise CapacityError(f"--{option} is {value:,g}: give a number from {least:g} to {most:,g}")
