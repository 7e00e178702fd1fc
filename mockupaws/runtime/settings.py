"""Every setting of every process: built once at start from the environment, frozen, checked.

The name of the environment variable is `MOCKUPAWS_` + the field's name in capitals. An unknown `MOCKUPAWS_*`
variable stops the process: a misspelt limit must not pass in silence. A secret may also stand in a file, which
`MOCKUPAWS_<NAME>_FILE` names: environments are easier to read from outside than files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mockupaws.runtime.errors import SettingsError

PREFIX = "MOCKUPAWS_"
CLIENT_VARIABLES = frozenset({"INGEST_URL", "API_URL", "API_KEY", "SCENARIO_ID", "EMAIL", "PASSWORD"})
"""Written to demo.env for clients; servers accept and ignore them, so a shell may hold both."""
SECRETS = frozenset(
    {
        "postgres_owner_url",
        "postgres_sink_url",
        "postgres_api_url",
        "postgres_replica_urls",
        "redis_url",
        "api_key_pepper",
        "jwt_secret",
        "jwt_previous_secret",
        "audit_key",
        "tenant_key_secret",
        "smtp_url",
    }
)
"""Settings that are secrets or hold one: `<NAME>_FILE` names a file to read it from; none is ever logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    home: Path = Path(".mockupaws")
    """Folder of everything `mockupaws up` keeps: data, logs, secrets, demo.env."""

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    """host:port of brokers, separated by commas."""
    kafka_topic_prefix: str = ""
    """Put before each topic's name, so that two installations can share a cluster."""
    kafka_partitions: int = 4
    """Partitions of each topic when it is created."""
    kafka_replication_factor: int = 1
    """Replicas of each topic when it is created; production: 3, with min.insync.replicas 2."""

    postgres_owner_url: str = ""
    """Role that owns the schema: migrations and maintenance only."""
    postgres_sink_url: str = ""
    """Role of the sinks: writes rows of every tenant, bypasses row-level security, reads no log."""
    postgres_api_url: str = ""
    """Role of gateway and API: plain, row-level security in force."""
    postgres_replica_urls: str = ""
    """Read replicas for the API, separated by commas; empty: reads go to the primary."""
    replica_max_lag_seconds: float = 10.0
    """A replica further behind the primary serves no reads, unless the primary is down."""
    postgres_timeout_seconds: float = 5.0
    """Limit for acquiring a connection and for each statement outside bulk writes."""

    redis_url: str = ""
    """Shared cache and limits; empty: in-process ones."""
    redis_timeout_seconds: float = 0.05
    """Limit for one call; slower counts as down."""

    archive_url: str = ""
    """Where Parquet objects go: file:///folder or s3://bucket/prefix."""
    archive_s3_endpoint_url: str = ""
    """S3 endpoint other than AWS's own; empty: AWS."""

    gateway_host: str = "127.0.0.1"
    """Address the gateway listens on."""
    gateway_port: int = 8000
    """Port the gateway listens on."""
    gateway_workers: int = 1
    """Gateway processes sharing the port."""
    gateway_max_connections: int = 8192
    """Connections of one gateway process; more wait to be accepted. At most what its file descriptors allow."""
    gateway_max_memory_bytes: int = 0
    """Resident memory of one gateway process, near which new requests get 503; 0: three quarters of the container's
    limit, or a quarter of the machine where there is none, divided among the gateway processes."""
    api_host: str = "127.0.0.1"
    """Address the API listens on."""
    api_port: int = 8001
    """Port the API listens on."""
    api_workers: int = 1
    """API processes sharing the port: a core serves some hundred reads a second."""
    api_max_connections: int = 1024
    """Connections of one API process; more wait to be accepted. At most what its file descriptors allow."""

    http_allowed_hosts: str = ""
    """Host names and networks (CIDR), separated by commas, that clients may call gateway and API by, beside loopback
    and the address listened on; *: any."""
    http_allowed_origins: str = ""
    """Origins (https://dashboard.example.com), separated by commas, whose pages may read answers of gateway and API."""
    http_trusted_proxies: str = ""
    """Networks (CIDR), separated by commas, of the proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    http_head_seconds: float = 10.0
    """How long a client may take to send the head of a request, and keep an idle connection; at most 10."""
    http_body_seconds: float = 30.0
    """How long a client may take to send a body."""
    http_send_seconds: float = 60.0
    """How long a client may leave a piece of a streamed answer (export, tail) unread before it is cut off."""

    limit_free_api_requests: int = 100
    """Calls of the API a minute for a tenant of the tier `free`; 0: no limit, here and below."""
    limit_free_ingest_requests: int = 1000
    """Ingest requests a minute; a large one counts as several. As many looks at receipts."""
    limit_free_ingest_bytes: int = 1024 * 1024 * 1024
    """Bytes of ingest bodies, after inflating, a UTC day."""
    limit_free_ingest_tokens: int = 250_000_000
    """Tokens of stored lines a UTC day; requests are refused once that many are known."""
    limit_premium_api_requests: int = 1000
    """Calls of the API a minute for the tier `premium`."""
    limit_premium_ingest_requests: int = 10_000
    """Ingest requests a minute for the tier `premium`."""
    limit_premium_ingest_bytes: int = 100 * 1024 * 1024 * 1024
    """Bytes of ingest bodies a day for the tier `premium`."""
    limit_premium_ingest_tokens: int = 25_000_000_000
    """Tokens of stored lines a day for the tier `premium`."""
    limit_enterprise_api_requests: int = 10_000
    """Calls of the API a minute for the tier `enterprise`."""
    limit_enterprise_ingest_requests: int = 100_000
    """Ingest requests a minute for the tier `enterprise`."""
    limit_enterprise_ingest_bytes: int = 1024 * 1024 * 1024 * 1024
    """Bytes of ingest bodies a day for the tier `enterprise`."""
    limit_enterprise_ingest_tokens: int = 250_000_000_000
    """Tokens of stored lines a day for the tier `enterprise`."""
    limit_sign_ins: int = 5
    """Passwords that may be tried a minute for one account from one address, right ones too."""
    limit_request_entries: int = 1000
    """Entries above which an ingest request counts as another one."""
    limit_request_bytes: int = 1024 * 1024
    """Bytes above which an ingest request counts as another one."""
    limit_processes: int = 0
    """Processes that share a limit: while Redis is down each allows its part alone. 0: as many as gateway_workers, and
    for the limits of the API as many as api_workers."""
    limit_refresh_seconds: float = 10.0
    """How often the tokens used today are read."""

    admission_lag_seconds: float = 10.0
    """How long what is accepted may take to be readable; beyond, tenants above their share get 429. 0: any time."""
    admission_retention_ratio: float = 0.9
    """Share of a topic's retention, used by its oldest unread record, from which less is accepted; 1: never."""

    max_body_bytes: int = 10 * 1024 * 1024
    """Limit of a request body, on the wire and after inflating."""
    max_entries: int = 10_000
    """Limit of log entries in a request; more than 16,384 can't be numbered."""
    max_message_bytes: int = 1024 * 1024
    """Limit of one message in UTF-8; a longer one is rejected alone."""
    oldest_timestamp_year: int = 2000
    """Entries with a timestamp before this year are rejected."""
    newest_timestamp_seconds: int = 24 * 3600
    """Entries with a timestamp further than this in the future are rejected."""
    publish_deadline_seconds: float = 2.0
    """How long a request may wait to be durable, on the brokers or in the spool, before it is answered 503."""
    bundle_linger_seconds: float = 0.025
    """How long the gateway gathers requests of one partition into one record, while they come many at a time."""
    bundle_max_lines: int = 1000
    """Lines at which a bundle is sent at once."""
    bundle_max_bytes: int = 1024 * 1024
    """Bytes at which a bundle is sent at once."""
    publish_max_pending_bytes: int = 128 * 1024 * 1024
    """Bytes waiting for acknowledgement above which the gateway answers 503."""
    spool_max_bytes: int = 256 * 1024 * 1024
    """Bytes each gateway process spools to disk while Kafka doesn't acknowledge; 0: no spool, such requests get 503."""
    directory_refresh_seconds: float = 2.0
    """How often the gateway reads changed API keys and scenarios."""

    api_key_pepper: str = ""
    """Secret under which API keys are hashed (HMAC-SHA256)."""
    jwt_secret: str = ""
    """Secret under which access tokens and cursors are signed."""
    jwt_previous_secret: str = ""
    """The secret before: tokens under it are still taken. Set while secrets are rotated; empty: none."""
    access_token_seconds: int = 900
    """Life of an access token."""
    refresh_token_days: int = 30
    """How long a sign-in lasts without the password being given again."""
    audit_key: str = ""
    """Secret under which the audit log is chained; whoever has it can forge the log."""
    outgoing_allowed_networks: str = ""
    """Networks (CIDR, separated by commas) that URLs of users may lead into although they aren't public."""
    smtp_url: str = ""
    """Mail server for alerts: smtps://user:password@host:465, or smtp://host:587 (STARTTLS where it names a user);
    empty: no alert goes out by e-mail."""
    smtp_from: str = "mockupaws@localhost"
    """Sender of alerts."""
    budget_check_seconds: float = 300.0
    """How often `maintenance` looks at budgets and sends what they raised."""
    price_book: str = ""
    """Price book in force; empty: `prices/book.json` under `home` where `mockupaws prices update` wrote one, else the
    newest that ships with the release."""
    price_list_url: str = "https://pricing.us-east-1.amazonaws.com"
    """Where `mockupaws prices update` reads AWS's public price list; a mirror has the same paths."""
    production: bool = False
    """True: this installation holds real data, and `mockupaws doctor` fails where it isn't fit for that."""

    tenant_key_secret: str = ""
    """Secret that wraps the tenants' keys of hashed and encrypted marks, 32 characters or more; without it nothing
    encrypted can be revealed."""
    policy_refresh_seconds: float = 2.0
    """How often a processor reads changed redaction policies."""

    processor_instance: str = "processor-1"
    """Slot of this processor: its static membership in the consumer group."""
    processor_max_in_flight: int = 128
    """Records being analysed or awaiting acknowledgement, per processor."""

    dead_letter_window_requests: int = 1000
    """The last requests of which a processor or Postgres sink counts those that went to the dead letters whole."""
    dead_letter_max_share: float = 0.5
    """Share of these above which it holds instead of writing more dead letters; 1: never."""
    dead_letter_min_requests: int = 100
    """Dead-lettered requests among these below which their share doesn't count."""
    dead_letter_max_consecutive: int = 100
    """Dead-lettered requests in a row at which it holds; 0: never."""

    sink_instance: str = "1"
    """Slot of this sink process: its static membership in the consumer group."""
    sink_rest_ms: int = 250
    """How long the Postgres sink rests once it has read all there was: what arrives meanwhile is one transaction."""
    sink_fetch_partition_bytes: int = 1024 * 1024
    """Bytes (compressed) a sink reads ahead of one partition; it holds this much for each of its partitions."""
    sink_transaction_max_lines: int = 20_000
    """Lines after which a sink closes a transaction."""
    sink_batch_max_bytes: int = 32 * 1024 * 1024
    """Bytes of records after which a sink closes a transaction or an object, whatever their lines."""
    retention_alarm_ratio: float = 0.5
    """Share of its topic's retention (age or size) at which an unread record raises the retention alarm."""
    loss_detector_gap_seconds: float = 60.0
    """Age at which a record of ingest.requests that was processed and never stored is looked into."""
    parquet_flush_seconds: float = 5.0
    """Age at which buffered lines are written to an object."""
    parquet_flush_lines: int = 100_000
    """Buffered lines at which they are written at once."""

    log_partitions_ahead_months: int = 2
    """Monthly partitions of `scenario_logs` made ahead."""
    metric_partitions_ahead_days: int = 7
    """Daily partitions of `scenario_metrics` made ahead."""
    applied_request_days: int = 15
    """How long applied request ids are remembered; must exceed the topics' retention."""

    health_port: int = 0
    """Port of this process's /health and /metrics where it serves no other HTTP; 0: none."""
    failpoints: str = ""
    """Fault tests only: folder in which points of this process are armed to fail; empty: off."""
    log_level: str = "info"
    """Least level of what is logged: debug, info, warning, error."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Raises SettingsError naming each variable that is unknown or malformed."""
        fields = {f.name: f for f in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        problems: list[str] = []
        for variable, text in environ.items():
            if not variable.startswith(PREFIX) or variable[len(PREFIX) :] in CLIENT_VARIABLES:
                continue
            name = variable[len(PREFIX) :].lower()
            if name.endswith("_file") and name.removesuffix("_file") in SECRETS:
                name = name.removesuffix("_file")
                if PREFIX + name.upper() in environ:
                    problems.append(f"{variable} and {PREFIX}{name.upper()} are both set: leave one out")
                    continue
                try:
                    text = Path(text).read_text(encoding="utf-8").rstrip("\r\n")
                except (OSError, ValueError) as error:
                    problems.append(f"{variable} names a file that can't be read ({type(error).__name__})")
                    continue
            field = fields.get(name)
            if field is None:
                problems.append(f"{variable} is no setting; see docs/settings.md for the list")
                continue
            try:
                values[field.name] = _parse(text, field.type)
            except (ValueError, KeyError):
                problems.append(f"{variable} must be of type {field.type}")
        if problems:
            raise SettingsError("; ".join(sorted(problems)))
        return cls(**values)

    def to_environ(self) -> dict[str, str]:
        """The variables that `from_environ` would make these settings of."""
        return {PREFIX + field.name.upper(): str(getattr(self, field.name)) for field in dataclasses.fields(self)}


def _parse(text: str, kind: Any) -> Any:
    match kind:
        case "int":
            return int(text)
        case "float":
            return float(text)
        case "Path":
            return Path(text)
        case "str":
            return text
        case "bool":
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    raise AssertionError(f"no parser for settings of type {kind}")
