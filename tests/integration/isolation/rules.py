"""What is expected of each route of the API and the gateway. A route without a rule fails the leak hunt.

A `{place}` in a path, query, header or body stands for something of a tenant; the hunt fills it with the caller's own,
with the other tenant's and with something unknown. Places of `NO_REFERENCES` are always the caller's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NO_REFERENCES = {"name", "email", "new_email", "password", "refresh_token", "policy_version"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to call the route."""

    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    path: dict[str, str] = field(default_factory=dict)
    """What a path parameter is filled with; default: the thing of its name."""
    own: int = 200
    """Status for a caller who may and names own things; 0: the hunt doesn't ask that."""
    shows: bool = True
    """The answer then holds something of the tenant's: it proves that the hunt would see it."""
    foreign: tuple[int, ...] = (404,)
    """Statuses for another tenant's things and for unknown ones: which, doesn't depend on which of both it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRule:
    scope: str
    """Scope the credential needs; `open`: none is needed; `signed in`: any credential of a user; `any`: any at all."""
    cases: tuple[Case, ...] = (Case(),)
    also: tuple[str, ...] = ()
    """Scopes without which an own thing is refused all the same: nobody gives what they don't have."""
    fresh: str = ""
    """A thing that is made anew for each call that uses it up."""
    audited: str = ""
    """Action in the audit log of each call that succeeds."""
    unaudited: str = ""
    """Why a call that isn't a GET leaves no entry."""
    tells_what_was_sent: bool = False
    """The answer may name ids that the tenant itself has sent before, whosever they are."""


OPEN = RouteRule(scope="open", cases=(Case(shows=False),))
PAGE = Case(query={"limit": "1", "cursor": "{cursor}"}, foreign=(400,))
STORES_NOTHING = "stores nothing"
LINE = '{"message": "hello {name}"}'
_SCENARIO = "/api/v1/scenarios/{scenario_id}"

API_RULES: dict[tuple[str, str], RouteRule] = {
    ("GET", "/"): OPEN,
    ("GET", "/style.css"): OPEN,
    ("GET", "/health"): OPEN,
    ("GET", "/health/ready"): OPEN,
    ("GET", "/health/db"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("GET", "/api/v1/openapi.json"): OPEN,
    ("POST", "/api/v1/auth/login"): RouteRule(
        scope="open", cases=(Case(body={"email": "{email}", "password": "{password}"}, shows=False),),
        audited="session.opened",
    ),
    ("POST", "/api/v1/auth/refresh"): RouteRule(
        scope="open", cases=(Case(body={"refresh_token": "{refresh_token}"}, shows=False),), fresh="refresh_token",
        unaudited="a sign-in that is recorded goes on",
    ),
    ("POST", "/api/v1/auth/logout"): RouteRule(
        scope="signed in", cases=(Case(own=204, shows=False),), audited="session.ended"
    ),
    ("POST", "/api/v1/auth/password"): RouteRule(
        scope="signed in", audited="password.changed",
        cases=(Case(body={"current_password": "{password}", "new_password": "{password}!"}, own=204, shows=False),),
    ),
    ("GET", "/api/v1/limits"): RouteRule(scope="any", cases=(Case(shows=False),)),
    ("GET", "/api/v1/users"): RouteRule(scope="manage", cases=(Case(), PAGE)),
    ("POST", "/api/v1/users"): RouteRule(
        scope="manage", also=("read",), fresh="new_email", audited="user.created",
        cases=(Case(body={"email": "{new_email}", "password": "{password}", "role": "analyst"}, own=201),),
    ),
    ("GET", "/api/v1/users/{user_id}"): RouteRule(scope="manage"),
    ("PATCH", "/api/v1/users/{user_id}"): RouteRule(
        scope="manage", also=("read", "ingest"), cases=(Case(body={"role": "producer"}),), fresh="user_id",
        audited="user.changed",
    ),
    ("DELETE", "/api/v1/users/{user_id}"): RouteRule(
        scope="manage", also=("read",), cases=(Case(own=204, shows=False),), fresh="user_id", audited="user.removed"
    ),
    ("GET", "/api/v1/scenarios"): RouteRule(scope="read", cases=(Case(), PAGE)),
    ("POST", "/api/v1/scenarios"): RouteRule(
        scope="manage", cases=(Case(body={"name": "{name}"}, own=201),), audited="scenario.created"
    ),
    ("GET", _SCENARIO): RouteRule(scope="read"),
    ("PATCH", _SCENARIO): RouteRule(
        scope="manage", cases=(Case(body={"version": 1, "name": "{name}!"}),), fresh="scenario_id",
        audited="scenario.changed",
    ),
    ("DELETE", _SCENARIO): RouteRule(
        scope="manage", cases=(Case(own=204, shows=False),), fresh="scenario_id", audited="scenario.deleted"
    ),
    ("GET", f"{_SCENARIO}/logs"): RouteRule(
        scope="read",
        cases=(
            Case(),
            PAGE,
            Case(query={"q": "{canary}"}, foreign=(200, 404)),
            Case(query={"value": "{value}"}, foreign=(200, 404)),
            Case(query={"source": "{canary}"}, foreign=(200, 404)),
        ),
    ),
    ("GET", f"{_SCENARIO}/logs/export"): RouteRule(
        scope="read",
        cases=(Case(), Case(query={"format": "csv"}), Case(query={"format": "parquet"}, shows=False)),  # compressed
        audited="logs.exported",
    ),
    ("GET", f"{_SCENARIO}/logs/hits"): RouteRule(
        scope="read", cases=(Case(shows=False), Case(query={"source": "{canary}"}, shows=False, foreign=(200, 404)))
    ),
    ("GET", f"{_SCENARIO}/logs/facets"): RouteRule(
        scope="read", cases=(Case(), Case(query={"source": "{canary}"}, foreign=(200, 404)))
    ),
    ("GET", f"{_SCENARIO}/logs/values"): RouteRule(scope="read", cases=(Case(query={"field": "source"}),)),
    ("GET", f"{_SCENARIO}/pii"): RouteRule(scope="read"),
    ("GET", f"{_SCENARIO}/tail"): RouteRule(
        scope="read",
        cases=(Case(headers={"last-event-id": "{tail_cursor}"}, foreign=(400,)), Case(own=0)),
    ),
    ("GET", f"{_SCENARIO}/metrics"): RouteRule(scope="read", cases=(Case(query={"name": "ingest.entries"}),)),
    ("GET", f"{_SCENARIO}/summary"): RouteRule(scope="read"),
    ("GET", f"{_SCENARIO}/profile"): RouteRule(scope="read"),
    ("GET", f"{_SCENARIO}/patterns"): RouteRule(scope="read"),
    ("GET", f"{_SCENARIO}/costs"): RouteRule(scope="read"),
    ("GET", "/api/v1/budgets"): RouteRule(scope="read"),
    ("POST", "/api/v1/budgets"): RouteRule(
        scope="manage", audited="budget.created",
        cases=(Case(body={"scenario_id": "{scenario_id}", "name": "{name}", "limit": "1"}, own=201),),
    ),
    ("GET", "/api/v1/budgets/{budget_id}"): RouteRule(scope="read"),
    ("PATCH", "/api/v1/budgets/{budget_id}"): RouteRule(
        scope="manage", cases=(Case(body={"version": 1, "name": "{name}!"}),), fresh="budget_id",
        audited="budget.changed",
    ),
    ("DELETE", "/api/v1/budgets/{budget_id}"): RouteRule(
        scope="manage", cases=(Case(own=204, shows=False),), fresh="budget_id", audited="budget.deleted"
    ),
    ("GET", "/api/v1/budgets/{budget_id}/alerts"): RouteRule(scope="read"),
    ("GET", f"{_SCENARIO}/costs/compare"): RouteRule(scope="read", cases=(Case(query={"with": "{scenario_id}"}),)),
    ("GET", f"{_SCENARIO}/costs/sensitivity"): RouteRule(scope="read", cases=(Case(shows=False),)),
    ("GET", f"{_SCENARIO}/costs/suggestions"): RouteRule(scope="read", cases=(Case(shows=False),)),
    ("GET", f"{_SCENARIO}/estimates"): RouteRule(scope="read", cases=(Case(), PAGE)),
    ("POST", f"{_SCENARIO}/estimates"): RouteRule(
        scope="manage", cases=(Case(body={"note": "{name}"}, own=201),), audited="estimate.kept"
    ),
    ("GET", "/api/v1/estimates/{estimate_id}"): RouteRule(scope="read"),
    ("GET", "/api/v1/presets"): RouteRule(scope="read", cases=(Case(shows=False),)),
    ("GET", f"{_SCENARIO}/versions"): RouteRule(scope="read"),
    ("GET", f"{_SCENARIO}/versions/{{version}}"): RouteRule(scope="read", cases=(Case(path={"version": "1"}),)),
    ("POST", f"{_SCENARIO}/what-if"): RouteRule(
        scope="read", cases=(Case(body={"architecture": {}}),), unaudited=STORES_NOTHING
    ),
    ("POST", f"{_SCENARIO}/logs/{{log_id}}/reveal"): RouteRule(
        scope="manage", cases=(Case(body={"reason": "hunting for leaks"}),), audited="marks.revealed"
    ),
    ("POST", "/api/v1/reveal"): RouteRule(
        scope="manage", cases=(Case(body={"marks": ["{mark}"], "reason": "hunting for leaks"}),),
        audited="marks.revealed",
    ),
    ("GET", "/api/v1/policies"): RouteRule(scope="read", cases=(Case(query={"version": "1"}), Case())),
    ("PUT", "/api/v1/policies"): RouteRule(
        scope="manage", fresh="policy_version", audited="policy.changed",
        cases=(Case(body={"policy": {"actions": {"EMAIL": "encrypt"}}, "note": "{name}"},
                    headers={"if-match": "{policy_version}"}),),
    ),
    ("GET", "/api/v1/policies/versions"): RouteRule(scope="read"),
    ("GET", "/api/v1/policies/shadow"): RouteRule(scope="read"),
    ("GET", "/api/v1/policies/keys"): RouteRule(scope="read", cases=(Case(shows=False),)),
    ("POST", "/api/v1/policies/keys"): RouteRule(
        scope="manage", audited="tenant_key.rotated",
        cases=(Case(body={"reason": "hunting for leaks"}, own=201, shows=False),),
    ),
    ("POST", "/api/v1/policies/preview"): RouteRule(
        scope="read", cases=(Case(body={"policy": {}, "lines": ["a line of {name}"]}, shows=False),),
        unaudited="stores nothing but a tenant's first key, which is recorded",
    ),
    ("GET", "/api/v1/ingest/receipts"): RouteRule(
        scope="read", cases=(Case(query={"request_ids": "{request_id},{queued_id}"}, foreign=(200,)),)
    ),
    ("GET", "/api/v1/ingest/receipts/{request_id}"): RouteRule(
        scope="read", cases=(Case(), Case(path={"request_id": "{queued_id}"}))
    ),
    ("GET", "/api/v1/dead-letters"): RouteRule(
        scope="operate", audited="dead_letters.listed",
        cases=(
            Case(),
            PAGE,
            Case(query={"scenario_id": "{scenario_id}"}, foreign=(200,)),
            Case(query={"request_id": "{request_id}"}, foreign=(200,)),
        ),
    ),
    ("GET", "/api/v1/dead-letters/{dead_letter_id}"): RouteRule(scope="operate", audited="dead_letter.viewed"),
    ("GET", "/api/v1/api-keys"): RouteRule(scope="manage"),
    ("POST", "/api/v1/api-keys"): RouteRule(
        scope="manage", cases=(Case(body={"name": "{name}", "scopes": ["manage"]}, own=201),),
        audited="api_key.created",
    ),
    ("POST", "/api/v1/api-keys/{key_id}/rotate"): RouteRule(
        scope="manage", cases=(Case(body={}, own=201),), fresh="key_id", audited="api_key.rotated"
    ),
    ("DELETE", "/api/v1/api-keys/{key_id}"): RouteRule(
        scope="manage", cases=(Case(own=204, shows=False),), fresh="key_id", audited="api_key.revoked"
    ),
    ("GET", "/api/v1/audit"): RouteRule(
        scope="manage", tells_what_was_sent=True,
        cases=(
            Case(),
            PAGE,
            Case(query={"target": "{made_user_id}"}, foreign=(200,)),
            Case(query={"actor": "{owner_id}"}, foreign=(200,)),
        ),
    ),
}  # fmt: skip

GATEWAY_RULES: dict[tuple[str, str], RouteRule] = {
    ("GET", "/health"): OPEN,
    ("GET", "/health/ready"): OPEN,
    ("GET", "/metrics"): OPEN,
    ("GET", "/api/v1/openapi.json"): OPEN,
    ("POST", "/api/v1/ingest"): RouteRule(
        scope="ingest", unaudited="lines, no change: receipts tell of them",
        cases=(
            Case(body={"scenario_id": "{scenario_id}", "logs": [{"message": "hello {name}"}]}, own=202, shows=False),
            Case(body=LINE, headers={"content-type": "application/x-ndjson", "x-scenario-id": "{scenario_id}"},
                 own=202, shows=False),
            Case(body=LINE, headers={"content-type": "application/x-ndjson"}, query={"scenario_id": "{scenario_id}"},
                 own=202, shows=False),
            Case(body={"scenario_id": "{scenario_id}", "logs": [{"message": "hello {name}"}]}, query={"dry_run": "1"}),
        ),
    ),
}  # fmt: skip
