"""CloudWatch Logs, S3 with Athena, and what leaves AWS: quantities by bytes, in GB of 2^30.

Storage is that of a steady state: what comes in over the span, kept for as long as it is kept. Bytes that come in a
month and are kept for 90 days cost three months of storage, whether all of it falls into this month or not.
"""

from __future__ import annotations

from decimal import Decimal

from mockupaws.cost_model.architecture import Architecture, Archive
from mockupaws.cost_model.quantities import MONTH_SECONDS, Traffic
from mockupaws.cost_model.usage import GIB, Range, Usage, ceil_div

EVENT_OVERHEAD_BYTES = 26
"""CloudWatch Logs, PutLogEvents: a batch is sized by its messages and 26 bytes for each event."""
MONTH_DAYS = Decimal(MONTH_SECONDS) / 86_400
MIB = 1024 * 1024
_IA_MIN_BYTES = 128 * 1024
"""S3 Standard-IA bills an object as 128 KB at least."""


def log_group_usage(traffic: Traffic, architecture: Architecture) -> list[Usage]:
    """Ingested: low the lines' bytes alone, likely and high with what each event carries besides."""
    group = architecture.log_group
    if not group.used:
        return []
    bare = Decimal(traffic.size_bytes) / GIB
    with_overhead = Decimal(traffic.size_bytes + traffic.entries * EVENT_OVERHEAD_BYTES) / GIB
    ingested = Range(bare, with_overhead, with_overhead)
    kept = group.stored_share * group.retention_days / MONTH_DAYS
    name = "CloudWatch Logs"
    each = f"({traffic.size_bytes:,} bytes + {traffic.entries:,} × {EVENT_OVERHEAD_BYTES}) / 2^30"
    usages = [
        Usage(name, "ingestion", "cloudwatch_logs.ingested_gb", ingested, each),
        Usage(
            name,
            "storage",
            "cloudwatch_logs.stored_gb_months",
            ingested.times(kept),
            f"{each} × {group.stored_share:f} stored × {group.retention_days} days / {MONTH_DAYS:f}",
            estimated=True,
        ),
    ]
    scanned = _share_of_month(group.scanned_gb_per_month, traffic)
    if scanned:
        formula = f"{group.scanned_gb_per_month:f} GB a month"
        usages.append(Usage(name, "Insights queries", "cloudwatch_logs.scanned_gb", Range.exactly(scanned), formula))
    return usages


def archive_usage(traffic: Traffic, architecture: Architecture) -> list[Usage]:
    """Objects: low only full ones; likely also one for each `flush_seconds` with traffic; high one for each at all."""
    archive = architecture.archive
    if not archive.used:
        return []
    stored_bytes = Decimal(traffic.size_bytes) * archive.stored_share
    objects = _objects(traffic, archive, stored_bytes)
    billed = [stored_bytes] * 3
    if archive.storage_class == "standard_ia":
        billed = [max(stored_bytes, count * _IA_MIN_BYTES) for count in (objects.low, objects.likely, objects.high)]
    months = Decimal(archive.retention_days) / MONTH_DAYS
    meter = f"s3.{archive.storage_class}"
    each = f"{traffic.size_bytes:,} bytes × {archive.stored_share:f} stored"
    usages = [
        Usage(
            "S3",
            "storage",
            f"{meter}.gb_months",
            Range(*(size / GIB * months for size in billed)),
            f"{each} / 2^30 × {archive.retention_days} days / {MONTH_DAYS:f}",
            estimated=True,
        ),
        Usage(
            "S3",
            "PUT requests",
            f"{meter}.put_requests",
            objects,
            f"objects of {archive.object_mb} MB, or after {archive.flush_seconds:,} s",
            estimated=True,
        ),
    ]
    scanned = _share_of_month(archive.scanned_gb_per_month, traffic)
    if scanned:
        terabytes = Range.exactly(scanned / 1024)
        formula = f"{archive.scanned_gb_per_month:f} GB a month / 1024"
        usages.append(Usage("Athena", "queries", "athena.scanned_tb", terabytes, formula))
    return usages


def transfer_out_usage(traffic: Traffic, architecture: Architecture) -> list[Usage]:
    share = architecture.transfer_out_share
    if not share:
        return []
    sent = Decimal(traffic.size_bytes) * share / GIB
    formula = f"{traffic.size_bytes:,} bytes × {share:f} / 2^30"
    return [Usage("Data transfer", "out to the internet", "data_transfer.out_gb", Range.exactly(sent), formula)]


def api_gateway_usage(traffic: Traffic, architecture: Architecture) -> list[Usage]:
    """One call for each HTTP request the lines came in; HTTP APIs bill each started 512 KB of it.

    low and likely: the lines' bytes fill their calls. high: each line is a call.
    """
    api = architecture.api
    if not api.used:
        return []
    by_bytes = ceil_div(traffic.size_bytes, 512 * 1024) if api.type == "http" else 0
    least = max(min(traffic.requests, traffic.entries), by_bytes)
    return [
        Usage(
            "API Gateway",
            f"{api.type.upper()} API calls",
            f"api_gateway.{api.type}.requests",
            Range.of(least, least, max(least, traffic.entries)),
            f"{traffic.requests:,} requests the lines came in",
        )
    ]


def _objects(traffic: Traffic, archive: Archive, stored_bytes: Decimal) -> Range:
    full = ceil_div(int(stored_bytes), archive.object_mb * MIB) if traffic.entries else 0
    busy = ceil_div(traffic.active_seconds, archive.flush_seconds) if traffic.entries else 0
    always = ceil_div(traffic.span_seconds, archive.flush_seconds) if traffic.entries else 0
    likely = max(full, min(busy, traffic.entries))
    return Range.of(full, likely, max(likely, min(always, traffic.entries)))


def _share_of_month(gb_per_month: Decimal, traffic: Traffic) -> Decimal:
    return gb_per_month * traffic.span_seconds / MONTH_SECONDS
