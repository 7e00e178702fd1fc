"""What each process tells of itself: structured logs on stderr, and the one catalogue of metrics.

Log lines are events with a stable name and fields, as `key=value` (or JSON, one object a line); they never hold a
message, key or token. Metric names are `mockupaws_<what>_<unit>[_total]`; label values come from closed sets, so that
the number of series stays bounded.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram

from mockupaws.runtime.plain_structlog import structlog

LogFormat = Literal["key_value", "json"]

QUIET_LIBRARIES = ("aiokafka", "faust", "mode", "botocore", "fsspec", "s3fs", "httpx", "httpcore", "asyncio")
"""They build records on hot paths even where nobody prints them; below WARNING they say nothing we need."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def configure_logging(process: str, level: str = "info", form: LogFormat = "key_value") -> None:
    """From here on every log line of this process, ours or a library's, goes to stderr with `process` in it."""
    renderer: structlog.types.Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.processors.LogfmtRenderer(
            key_order=["timestamp", "level", "event", "process"], bool_as_flag=False
        )
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.contextvars.bind_contextvars(process=process)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Events are short past-tense names with fields: `log.info("partition_assigned", topic=…, partition=…)`."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


# Ingest gateway

INGEST_REQUESTS = Counter(
    "mockupaws_ingest_requests_total", "Ingest requests answered, by HTTP status code.", ["status"]
)
INGEST_ENTRIES = Counter(
    "mockupaws_ingest_entries_total", "Log entries seen by the gateway, by what became of them.", ["outcome"]
)
INGEST_BODY_BYTES = Counter("mockupaws_ingest_body_bytes_total", "Bytes of request bodies after inflating.")
INGEST_ACK_SECONDS = Histogram(
    "mockupaws_ingest_ack_seconds", "From the first byte of a request to its 202.", buckets=_SECONDS
)
PUBLISH_PENDING_BYTES = Gauge("mockupaws_publish_pending_bytes", "Bytes sent to the brokers and not yet acknowledged.")
PUBLISHED_BUNDLES = Counter("mockupaws_published_bundles_total", "Bundles acknowledged by the brokers.")
PUBLISH_FAILURES = Counter(
    "mockupaws_publish_failures_total", "Bundles the brokers did not acknowledge, by reason.", ["reason"]
)
INGEST_IN_FLIGHT = Gauge("mockupaws_ingest_in_flight_requests", "Ingest requests being answered.")
INGEST_HELD_BYTES = Gauge("mockupaws_ingest_held_bytes", "Bytes of request bodies held in memory.")
MEMORY_BYTES = Gauge("mockupaws_gateway_memory_bytes", "Resident memory, as the load shedder last saw it.")
SPOOL_REQUESTS = Gauge("mockupaws_spool_requests", "Requests in the spool, waiting for the brokers.")
SPOOL_BYTES = Gauge("mockupaws_spool_bytes", "Bytes of these requests.")
SPOOL_OLDEST_SECONDS = Gauge("mockupaws_spool_oldest_seconds", "Age of the oldest request in the spool; 0: none.")
SPOOLED_REQUESTS = Counter("mockupaws_spooled_requests_total", "Requests written to the spool and synced.")
SPOOL_REFUSALS = Counter(
    "mockupaws_spool_refusals_total",
    "Requests the spool did not take, by reason: off, full, failed, deadline.",
    ["reason"],
)
SPOOL_DRAINED = Counter("mockupaws_spool_drained_requests_total", "Requests of the spool the brokers acknowledged.")
SPOOL_STUCK = Counter(
    "mockupaws_spool_stuck_requests_total",
    "Requests of the spool too large for the brokers, each time they are tried; kept.",
)
SPOOL_DAMAGED = Counter(
    "mockupaws_spool_damaged_requests_total",
    "Requests of damaged spool files, by outcome: salvaged, lost.",
    ["outcome"],
)
DIRECTORY_AGE_SECONDS = Gauge(
    "mockupaws_directory_age_seconds", "Age of the gateway's knowledge of keys and scenarios."
)
ADMISSION_STATE = Gauge(
    "mockupaws_admission_state",
    "1 for the state of admission by lag: open, limiting, stalled, signal_missing, retention.",
    ["state"],
)
ADMISSION_DELAY_SECONDS = Gauge(
    "mockupaws_admission_delay_seconds", "From the 202 of a request accepted now until it can be read, as estimated."
)
ADMISSION_RATE_BYTES = Gauge(
    "mockupaws_admission_rate_bytes", "Bytes of records a second this process lets in; -1: all."
)
ADMISSION_RETENTION_RATIO = Gauge(
    "mockupaws_admission_retention_ratio",
    "Share of the topics' retention that the oldest unread record has used, as the gateway was told; -1: it wasn't.",
)
ADMISSION_REFUSALS = Counter(
    "mockupaws_admission_refusals_total",
    "Requests answered 429 because of what waits behind the gateway, by reason: lag, retention.",
    ["reason"],
)

# Stream processors

ANALYSED_RECORDS = Counter("mockupaws_analysed_records_total", "Records of ingest.requests analysed and passed on.")
ANALYSED_ENTRIES = Counter("mockupaws_analysed_entries_total", "Log entries analysed.")
ANALYSE_SECONDS = Histogram("mockupaws_analyse_seconds", "CPU part of analysing one record.", buckets=_SECONDS)
PROCESSOR_IN_FLIGHT = Gauge("mockupaws_processor_in_flight_records", "Records analysed and awaiting acknowledgement.")
PROCESSOR_LAG_MESSAGES = Gauge(
    "mockupaws_processor_lag_messages", "Records of ingest.requests behind what the processor has acknowledged."
)
PROCESSOR_LAG_SECONDS = Gauge(
    "mockupaws_processor_lag_seconds", "Age of the oldest record that isn't acknowledged, or time since anything moved."
)

POLICIES_AGE_SECONDS = Gauge(
    "mockupaws_policies_age_seconds", "Age of the process's knowledge of the tenants' redaction policies."
)
POLICY_PROBLEMS = Gauge(
    "mockupaws_policy_problems",
    "Tenants whose newest policy is not applied as written: its key is missing, or a newer release wrote it.",
)

# Sinks

SINK_ENTRIES = Counter("mockupaws_sink_entries_total", "Log entries written, by sink.", ["sink"])
SINK_REPEATS = Counter(
    "mockupaws_sink_repeated_requests_total", "Requests dropped because the sink had applied them.", ["sink"]
)
SINK_TRANSACTION_SECONDS = Histogram(
    "mockupaws_sink_transaction_seconds", "Duration of one transaction, by sink.", ["sink"], buckets=_SECONDS
)
SINK_RETRIES = Counter(
    "mockupaws_sink_retries_total", "Transactions or objects tried again, by sink and reason.", ["sink", "reason"]
)
SINK_FRESHNESS_SECONDS = Gauge(
    "mockupaws_sink_freshness_seconds", "Now minus received_at of the newest committed entry, by sink.", ["sink"]
)
SINK_LAG_MESSAGES = Gauge("mockupaws_sink_lag_messages", "Records between committed and log end, by sink.", ["sink"])
SINK_LAG_SECONDS = Gauge("mockupaws_sink_lag_seconds", "Age of the oldest uncommitted record, by sink.", ["sink"])
DEAD_LETTERS = Counter("mockupaws_dead_letters_total", "Requests or records dead-lettered, by reason.", ["reason"])
DEAD_LETTER_HOLD = Gauge(
    "mockupaws_dead_letter_hold", "1 while a process holds at the dead-letter limit, by process.", ["process"]
)

# Canary

CANARY_LINES = Counter(
    "mockupaws_canary_lines_total", "Lines of probes, by what became of them (sent, stored, lost, …).", ["outcome"]
)
CANARY_FAILURES = Counter("mockupaws_canary_failures_total", "Calls of the canary that failed, by step.", ["step"])
CANARY_ACK_SECONDS = Histogram("mockupaws_canary_ack_seconds", "From a probe's request to its 202.", buckets=_SECONDS)
CANARY_FRESHNESS_SECONDS = Histogram(
    "mockupaws_canary_freshness_seconds", "From a probe's 202 until all its lines can be read.", buckets=_SECONDS
)
RETENTION_USED_RATIO = Gauge(
    "mockupaws_retention_used_ratio",
    "How much of its topic's retention (age or size) the oldest unread record has used, by reader; lost at 1.",
    ["reader"],
)
SOURCE_MISSING = Gauge(
    "mockupaws_source_records_missing", "Records of ingest.requests known to be lost on their way and not yet healed."
)
SOURCE_HEALED = Counter(
    "mockupaws_source_records_healed_total", "Records of ingest.requests published anew because they were lost."
)
SOURCE_LOST = Gauge(
    "mockupaws_source_records_lost", "Records of ingest.requests lost for good; until an operator clears them."
)

# Patterns

PATTERN_ENTRIES = Counter("mockupaws_pattern_entries_total", "Log entries looked at for patterns: a sample.")
PATTERN_FAILURES = Counter(
    "mockupaws_pattern_failures_total", "Times the sampling of patterns or its store failed, by error.", ["error"]
)

# Summaries of rollups

FOLD_FAILURES = Counter(
    "mockupaws_fold_failures_total", "Times rollups could not be folded into summaries, by error.", ["error"]
)
TEXT_BLOCK_FAILURES = Counter(
    "mockupaws_text_block_failures_total", "Times filters of lines' texts could not be made, by error.", ["error"]
)

# API

API_REQUESTS = Counter(
    "mockupaws_api_requests_total", "API requests answered, by route template and status.", ["route", "status"]
)
API_SECONDS = Histogram(
    "mockupaws_api_seconds", "Time to answer an API request, by route template.", ["route"], buckets=_SECONDS
)
API_READS = Counter(
    "mockupaws_api_reads_total",
    "Reads by who served them: replica, primary, stale_replica (the primary is down).",
    ["server"],
)
REPLICA_LAG_SECONDS = Gauge(
    "mockupaws_replica_lag_seconds", "How far a replica was behind the primary when last looked at.", ["replica"]
)
SIGN_INS = Counter(
    "mockupaws_sign_ins_total",
    "Passwords and refresh tokens that were checked, by what came of it (accepted, refused, locked, token_reused, …).",
    ["outcome"],
)
ARCHIVE_ORPHANS_DELETED = Counter(
    "mockupaws_archive_orphans_deleted_total", "Objects deleted that no manifest row named for a day."
)
BUDGET_ALERTS = Counter(
    "mockupaws_budget_alerts_total", "Alerts of budgets: raised, sent, failed, given_up.", ["outcome"]
)
BUDGET_CHECK_FAILURES = Counter(
    "mockupaws_budget_check_failures_total", "Checks of budgets that failed, by class of error.", ["error"]
)
AUDIT_ANCHOR_FAILURES = Counter(
    "mockupaws_audit_anchor_failures_total",
    "Anchorings of the audit log that failed: the archive is unreachable, or the chain was changed.",
    ["reason"],
)

# Gateway and API

HTTP_REFUSALS = Counter(
    "mockupaws_http_refusals_total",
    "Requests refused before any route was looked for, by error code; slow_client: answers cut off.",
    ["reason"],
)

# Limits

LIMIT_CHECKS = Counter(
    "mockupaws_limit_checks_total",
    "Checks of rate limits, by who answered: the leased slice, redis, or this process alone.",
    ["answered_by"],
)
LIMIT_REFUSALS = Counter("mockupaws_limit_refusals_total", "Requests refused by a limit, by the limit.", ["limit"])

# What each process calls

CIRCUIT_STATE = Gauge(
    "mockupaws_circuit_state", "Circuit breaker of a target: 0 closed, 1 half-open, 2 open.", ["target"]
)
CIRCUIT_REJECTIONS = Counter(
    "mockupaws_circuit_rejections_total", "Calls that weren't made because the circuit is open.", ["target"]
)
