"""Which index each named statement is to be read by, with arguments as they come; and which statements need none."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import mockupaws
from mockupaws.api.queries import SQL
from mockupaws.runtime.postgres import load_queries

Role = Literal["api", "sink", "owner"]
_ROOT = Path(mockupaws.__file__).parent
GROWING = (
    "scenario_logs", "scenario_metrics", "scenario_hours", "scenario_days", "scenario_summaries", "scenario_facets",
    "scenario_text_blocks", "scenario_text_days", "scenario_patterns", "applied_requests", "ingest_receipts",
    "dead_letters", "archive_objects", "audit_log", "sessions", "refresh_tokens", "token_revocations",
    "sign_in_failures",
)  # fmt: skip
"""Tables of which there are more rows the longer an installation runs; the first two are partitioned."""


@dataclass(frozen=True, slots=True)
class Statement:
    """As the role runs it that runs it in production; the API's under row-level security of one tenant."""

    role: Role
    arguments: tuple[Any, ...]
    uses: frozenset[str]
    """Indexes that have to be in its plan; of partitions, their parents'."""
    walks: bool = False
    """The process tells the planner to walk along the key (`walk_key`)."""
    whole: frozenset[str] = field(default_factory=frozenset)
    """Tables that it reads whole: no index would serve it, for the reason beside it."""


def named_statements() -> Iterator[tuple[str, str]]:
    """Each of the .sql files, as `folder/file.sql:name`."""
    for file in sorted(_ROOT.rglob("*.sql")):
        if "migrations" in file.parts:
            continue
        package = ".".join(("mockupaws", *file.parent.relative_to(_ROOT).parts))
        for name, statement in load_queries(package, file.name).items():
            yield f"{file.relative_to(_ROOT)}:{name}", statement


NEED_NONE = {
    "is what others begin with, and has a plan in theirs": {"api/summaries.sql:covered"},
    "only adds rows": {
        "sinks/postgres/queries.sql:apply_requests", "sinks/parquet/queries.sql:apply_requests",
        "sinks/parquet/queries.sql:insert_archive_object", "sinks/postgres/queries.sql:add_facets",
        "archive/filter_texts.sql:add_blocks", "api/accounts.sql:insert_session",
        "api/accounts.sql:insert_refresh_token", "api/accounts.sql:revoke_tokens",
    },
    "finds the rows it adds to by the key of ON CONFLICT, which has no other way": {
        "sinks/postgres/queries.sql:add_rollups", "sinks/postgres/queries.sql:add_receipts",
        "sinks/patterns/queries.sql:add_patterns", "archive/filter_texts.sql:mark_text_day",
        "archive/fold_rollups.sql:mark_days",
    },
}  # fmt: skip
"""Statements that name a growing table, and why their plans are not looked at."""


def statements(tenant_id: uuid.UUID, scenario_id: uuid.UUID, day: datetime) -> dict[str, Statement]:
    """`day`: that of most rows of the data set. Its first hour is a window as callers ask for them."""
    hour, end, later = day + timedelta(hours=1), day + timedelta(hours=2), day + timedelta(minutes=5)
    nobody, no_one = (None,) * 3, uuid.UUID(int=0)
    spans = [day, hour], [hour, end]
    logs, metrics = frozenset({"scenario_logs_pkey"}), frozenset({"scenario_metrics_pkey"})
    hours, days = frozenset({"scenario_hours_pkey"}), frozenset({"scenario_days_pkey"})
    summaries, facets = frozenset({"scenario_summaries_pkey"}), frozenset({"scenario_facets_of_hour"})
    blocks, text_days = frozenset({"scenario_text_blocks_pkey"}), frozenset({"scenario_text_days_pkey"})
    letters, applied = frozenset({"dead_letters_pkey"}), frozenset({"applied_requests_pkey"})
    folding = [scenario_id] * 2, [day, hour]
    places = [1, 2], [3, 4, 5], [1], [3]
    covered = scenario_id, day - timedelta(days=3), end, day - timedelta(days=3), day, day - timedelta(days=3), end

    def api(*arguments: Any, uses: frozenset[str], walks: bool = False) -> Statement:
        return Statement("api", arguments, uses, walks)

    def owner(*arguments: Any, uses: frozenset[str], walks: bool = False, whole: str = "") -> Statement:
        return Statement("owner", arguments, uses, walks, whole=frozenset(whole.split()))

    def sink(*arguments: Any, uses: frozenset[str]) -> Statement:
        return Statement("sink", arguments, uses)

    line = None, None, "db", None, True, None, "rare"
    pages: dict[str, tuple[Any, ...]] = {
        "logs_newest_first": (scenario_id, *line, None, None, 9, None, 1000, None, None, *spans),
        "logs_oldest_first": (scenario_id, day, *line[1:], day, no_one, 9, None, 99, end, None, *spans),
        "all_newest_first": (scenario_id, None, None, None, None, 100),
        "all_oldest_first": (scenario_id, day, None, hour, no_one, 100),
    }
    found = {f"api/queries.sql:{name}": api(*arguments, uses=logs, walks=True) for name, arguments in pages.items()}
    found |= {  # as exports put them together
        f"{name}_as_{form}": api(*arguments, True, uses=logs, walks=True)
        for name, arguments in pages.items()
        for form in ("json", "csv")
    }
    return found | {
        "api/queries.sql:find_measured_scenario": api(scenario_id, uses=logs | {"scenarios_pkey"}),
        "api/queries.sql:look_end": api(scenario_id, day, no_one, 1000, uses=logs, walks=True),
        "api/queries.sql:count_lines": api(scenario_id, day, no_one, hour, no_one, *nobody, *nobody, None, uses=logs),
        "api/queries.sql:newest_line": api(scenario_id, uses=logs),
        "api/queries.sql:patterns": api(
            scenario_id, day, end, [day], [5], 100, uses=frozenset({"scenario_patterns_pkey"})
        ),
        "api/queries.sql:tokens_today": api(uses=frozenset({"scenario_metrics_tokens_of_tenant"})),
        "api/queries.sql:find_receipts": api([no_one], uses=frozenset({"ingest_receipts_pkey"})),
        "api/queries.sql:list_dead_letters": api(
            *nobody, None, *nobody, day + timedelta(days=5), no_one, 50, uses=frozenset({"dead_letters_of_tenant"})
        ),
        "api/queries.sql:find_dead_letter": api(no_one, uses=letters),
        "api/queries.sql:list_scenarios": api(None, None, 50, uses=frozenset({"scenarios_of_tenant"})),
        "api/queries.sql:list_estimates": api(
            scenario_id, day, no_one, 50, uses=frozenset({"estimates_of_scenario"})
        ),
        "api/facets.sql:facets": api(scenario_id, day, end, *nobody, None, 100, uses=facets),
        "api/facets.sql:hits_by_hour": api(scenario_id, day, end, *nobody, None, 3600.0, uses=facets),
        "api/facets.sql:hits_by_line": api(scenario_id, day, later, *nobody, None, 60.0, "rare", None, uses=logs),
        "api/searches.sql:text_days": api(scenario_id, day - timedelta(days=3), end, uses=text_days | hours),
        "api/searches.sql:text_bound_newest_first": api(scenario_id, day - timedelta(days=9), end, 10, uses=blocks),
        "api/searches.sql:text_bound_oldest_first": api(scenario_id, day - timedelta(days=9), end, 10, uses=blocks),
        "api/searches.sql:text_blocks": api(
            scenario_id, day - timedelta(days=3), end, [day], *places, uses=blocks
        ),
        "api/searches.sql:entries_between": api(scenario_id, *spans, day, end, uses=metrics),
        "api/summaries.sql:coverage": api(*covered, uses=hours | days),
        "api/summaries.sql:totals": api(*covered, uses=hours | days | summaries),
        "api/summaries.sql:series": api(*covered, "ingest", "entries", False, uses=hours | days | summaries),
        "api/summaries.sql:summary_counts": api(scenario_id, [day], [day, hour], ["ingest"], ["bytes"], uses=summaries),
        "api/summaries.sql:minute_totals": api(scenario_id, day, end, uses=metrics),
        "api/summaries.sql:minute_counts": api(scenario_id, day, end, ["ingest"], ["bytes"], uses=metrics),
        "api/summaries.sql:minute_series": api(scenario_id, day, end, "ingest", "entries", 60.0, uses=metrics),
        "api/summaries.sql:peaks": api(scenario_id, day, end, uses=metrics),
        "api/policies.sql:shadow_totals": api(day, end, uses=metrics),
        "api/policies.sql:stored_texts_of_line": api(scenario_id, no_one, day, later, uses=logs),
        "api/accounts.sql:end_sessions_of_user": api(no_one, no_one, uses=frozenset({"sessions_of_user"})),
        "api/accounts.sql:end_session": api(no_one, uses=frozenset({"sessions_pkey"})),
        "api/accounts.sql:lock_session": api(no_one, uses=frozenset({"sessions_pkey"})),
        "api/accounts.sql:note_refresh": api(no_one, uses=frozenset({"sessions_pkey"})),
        "api/accounts.sql:use_refresh_token": api(b"secret", uses=frozenset({"refresh_tokens_pkey"})),
        "api/accounts.sql:list_users": api(None, None, 50, uses=frozenset({"users_of_tenant"})),
        "api/accounts.sql:list_api_keys": api(uses=frozenset({"api_keys_of_tenant"})),
        "api/accounts.sql:list_audit_entries": api(
            *nobody, *nobody, 5000, 50, uses=frozenset({"audit_log_is_a_chain"})
        ),
        "api/accounts.sql:list_audit_entries#from-to": api(
            day, later, None, *nobody, None, 50, uses=frozenset({"audit_log_of_tenant"})
        ),
        "api/accounts.sql:list_audit_entries#actor": api(
            None, None, "user/rare", *nobody, None, 50, uses=frozenset({"audit_log_by_actor"})
        ),
        "sinks/postgres/queries.sql:count_rows": sink(scenario_id, day, [no_one], uses=logs),
        "sinks/postgres/queries.sql:load_applied": sink("postgres", [no_one], uses=applied),
        "sinks/parquet/queries.sql:load_applied": sink("parquet", [no_one], uses=applied),
        "sinks/postgres/queries.sql:insert_dead_letter": sink(
            no_one, tenant_id, scenario_id, no_one, "undecodable", "processor", "", "t", 0, 1, 1, [0], day, b"", "1",
            day, "1", no_one, uses=applied,
        ),
        "sinks/postgres/queries.sql:lock_dead_letters": sink(no_one, uses=frozenset({"dead_letters_of_request"})),
        "sinks/postgres/queries.sql:supersede_dead_letters": sink(
            no_one, [no_one], 1, uses=letters | {"ingest_receipts_pkey"}
        ),
        "sinks/dead_letters/queries.sql:list_letters": sink(
            *nobody, None, None, day, 50, uses=frozenset({"dead_letters_by_time"})
        ),
        "sinks/dead_letters/queries.sql:tenants_of_letters": sink(
            tenant_id, None, None, None, day + timedelta(days=9), None, uses=frozenset({"dead_letters_of_tenant"})
        ),
        "sinks/dead_letters/queries.sql:find_letter": sink(no_one, uses=letters),
        "sinks/dead_letters/queries.sql:next_letters": sink(
            *nobody, None, day, None, end, day, no_one, 100, uses=frozenset({"dead_letters_by_time"})
        ),
        "sinks/dead_letters/queries.sql:begin_redrive": sink([no_one], uses=letters),
        "sinks/dead_letters/queries.sql:end_redrive": sink([no_one], [1], uses=letters),
        "sinks/dead_letters/queries.sql:uncount_lines": sink(
            [no_one], [1], uses=frozenset({"ingest_receipts_pkey"})
        ),
        # What has changed stands in each row, and is updated again and again: an index on it would cost the sinks their
        # updates in place. One process reads all rows, a minute apart.
        "archive/fold_rollups.sql:hours_due": owner(end, 100, uses=frozenset(), whole="scenario_hours"),
        "archive/fold_rollups.sql:days_due": owner(
            end, 100, None, uses=frozenset(), whole="scenario_hours scenario_days"
        ),
        "archive/filter_texts.sql:text_days_due": owner(
            None, uses=frozenset(), whole="scenario_hours scenario_text_days"
        ),
        "archive/fold_rollups.sql:clear_hours": owner(*folding, uses=summaries),
        "archive/fold_rollups.sql:fold_hours": owner(*folding, day, end, uses=metrics),
        "archive/fold_rollups.sql:mark_hours": owner(*folding, [3, 3], uses=hours),
        "archive/fold_rollups.sql:clear_days": owner(*folding, uses=summaries),
        "archive/fold_rollups.sql:fold_days": owner(*folding, uses=summaries),
        "archive/fold_rollups.sql:fold_facets": owner(10, uses=facets | {"scenario_facets_to_fold"}),
        "archive/filter_texts.sql:hour_changes": owner(scenario_id, day, end, uses=hours, walks=True),
        "archive/filter_texts.sql:minute_entries": owner(scenario_id, day, end, uses=metrics, walks=True),
        "archive/filter_texts.sql:day_blocks": owner(scenario_id, day, end, uses=blocks, walks=True),
        "archive/filter_texts.sql:drop_blocks": owner(scenario_id, [day], uses=blocks, walks=True),
        "archive/filter_texts.sql:read_lines": owner(scenario_id, day, end, 100, uses=logs, walks=True),
        "archive/lifecycle.sql:forget_applied_requests": owner(
            day + timedelta(hours=3), 5000, uses=frozenset({"applied_requests_by_age"})
        ),
        "archive/lifecycle.sql:forget_sign_ins": owner(
            uses=frozenset({"sessions_by_end", "sign_in_failures_by_time"}), whole="token_revocations"
        ),
        "archive/lifecycle.sql:forget_patterns": owner(
            day - timedelta(days=82), uses=frozenset({"scenario_patterns_by_hour"})
        ),
        "archive/lifecycle.sql:archived_folders": owner(
            day, end, 100, uses=frozenset({"archive_objects_by_age"})
        ),
        "archive/lifecycle.sql:known_objects": owner(["a/b"], uses=frozenset({"archive_objects_pkey"})),
        "archive/lifecycle.sql:first_day_of_lines": owner(uses=frozenset()),
        "archive/lifecycle.sql:forget_text_blocks": owner(
            day - timedelta(days=82), uses=frozenset(), whole="scenario_text_blocks scenario_text_days"
        ),
        "maintenance/budgets.sql:take_alerts": owner(
            end, 10, uses=frozenset({"budget_alerts_to_send"}), whole="budgets"
        ),
    }  # fmt: skip


FUNCTIONS = (
    "SELECT * FROM changed_api_keys(now())",
    "SELECT * FROM changed_scenarios(now())",
    "SELECT * FROM changed_limits(now())",
    "SELECT * FROM changed_policies_with_keys(now())",
    "SELECT * FROM revocations_since(now())",
)
"""What the API asks before it knows a tenant. They run as the owner, and tell no plan: only which indexes were read."""
SERVE_NO_STATEMENT = {
    "refresh_tokens_of_session": "a session that ends takes its refresh tokens along (foreign key)",
}


def text_of(name: str) -> str:
    """Of a statement as it is run: the API puts some together. Behind # stands which conditions are asked for."""
    name = name.partition("#")[0]
    if "_as_" in name:
        return SQL[f"export_{name}"]
    file, _, statement = name.partition(":")
    return SQL[statement] if file.startswith("api/") else dict(named_statements())[name]
