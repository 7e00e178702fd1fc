"""The one table of routes: the router and openapi.json are both made of it."""

from __future__ import annotations

from mockupaws.api import api_keys, auth, costs, dashboard, health, logs, metrics, receipts, scenarios, tail
from mockupaws.api.routing import ApiRoute

_SCENARIO = "/api/v1/scenarios/{scenario_id}"

ROUTES: tuple[ApiRoute, ...] = (
    ApiRoute("GET", "/", dashboard.front_page, "What this service is", media_type="text/html"),
    ApiRoute("GET", "/style.css", dashboard.style, "Its style", media_type="text/css"),
    ApiRoute("POST", "/api/v1/auth/login", auth.log_in, "An access token for e-mail and password",
             body=auth.Credentials, errors=("unauthenticated",)),
    ApiRoute("GET", "/api/v1/scenarios", scenarios.list_scenarios, "The tenant's scenarios, oldest first", "read",
             query=scenarios.ScenarioQuery, errors=("invalid_cursor",)),
    ApiRoute("POST", "/api/v1/scenarios", scenarios.create_scenario, "A new scenario", "manage",
             body=scenarios.NewScenario, status=201),
    ApiRoute("GET", _SCENARIO, scenarios.get_scenario, "One scenario", "read"),
    ApiRoute("PATCH", _SCENARIO, scenarios.change_scenario, "Change a scenario", "manage",
             body=scenarios.ScenarioChange, errors=("version_conflict",)),
    ApiRoute("DELETE", _SCENARIO, scenarios.delete_scenario, "Delete a scenario", "manage", status=204),
    ApiRoute("GET", f"{_SCENARIO}/logs", logs.list_logs, "Stored lines, redacted, by page", "read",
             query=logs.LogQuery, errors=("invalid_cursor",)),
    ApiRoute("GET", f"{_SCENARIO}/logs/export", logs.export_logs, "All matching lines as a stream", "read",
             query=logs.ExportQuery, media_type="application/x-ndjson"),
    ApiRoute("GET", f"{_SCENARIO}/tail", tail.tail_logs, "Lines as they are stored (server-sent events)", "read",
             query=tail.TailQuery, media_type="text/event-stream", errors=("invalid_cursor", "too_many_tails")),
    ApiRoute("GET", f"{_SCENARIO}/metrics", metrics.get_series, "One metric over time", "read",
             query=metrics.SeriesQuery, answers=metrics.Series),
    ApiRoute("GET", f"{_SCENARIO}/summary", metrics.get_summary, "Exact totals from the rollups", "read",
             query=metrics.SummaryQuery, answers=metrics.Summary),
    ApiRoute("GET", f"{_SCENARIO}/profile", metrics.get_profile,
             "How lines are spread: percentiles of size, tokens and arrival rate; SQS requests by batch size", "read",
             query=metrics.SummaryQuery, answers=metrics.ProfileAnswer),
    ApiRoute("GET", f"{_SCENARIO}/costs", costs.get_costs, "The bill", "read"),
    ApiRoute("POST", f"{_SCENARIO}/what-if", costs.what_if, "The bill under a changed architecture", "read",
             body=costs.WhatIf),
    ApiRoute("GET", "/api/v1/ingest/receipts/{request_id}", receipts.get_receipt,
             "What became of an ingest request", "read"),
    ApiRoute("GET", "/api/v1/api-keys", api_keys.list_api_keys, "The tenant's API keys", "manage"),
    ApiRoute("POST", "/api/v1/api-keys", api_keys.create_api_key, "A new API key, shown once", "manage",
             body=api_keys.NewApiKey, status=201),
    ApiRoute("DELETE", "/api/v1/api-keys/{key_id}", api_keys.revoke_api_key, "Revoke an API key", "manage",
             status=204),
    ApiRoute("GET", "/health", health.alive, "Whether the process lives"),
    ApiRoute("GET", "/health/ready", health.ready, "Whether it can answer", errors=("unavailable",)),
    ApiRoute("GET", "/health/db", health.databases, "Each database server and its lag", errors=("unavailable",)),
    ApiRoute("GET", "/metrics", health.prometheus, "Prometheus metrics", media_type="text/plain"),
)  # fmt: skip
