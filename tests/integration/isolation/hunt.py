"""Every route × caller × tenant: with own things, with the other tenant's, and with things that never were.

What the router serves is asked, whatever the rules say; what has no rule is a finding. Everything that is answered is
kept, and looked through at the end, when all that each tenant has is known.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import re
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import Route

from mockupaws.runtime.settings import Settings
from mockupaws.schemas.accounts import SCOPES, SCOPES_OF_ROLE
from tests.integration.isolation.ask import Answered, ask, fill, places_in
from tests.integration.isolation.rules import NO_REFERENCES, Case, RouteRule
from tests.integration.isolation.tenants import (
    ROLES,
    Tenant,
    ids_in,
    ids_of,
    insert_budget,
    insert_key,
    insert_scenario,
    insert_user,
)

if TYPE_CHECKING:
    import asyncpg

    Pool = asyncpg.Pool[asyncpg.Record]

CALLERS = (*ROLES, *(f"key: {scope}" for scope in SCOPES), "nobody")
AT_ONCE = 12
FILTERS = {
    "/api/v1/scenarios/{scenario_id}/logs": {"level": "info"},
    "/api/v1/dead-letters": {"reason": "row_refused"},
    "/api/v1/audit": {"actor": "somebody"},
}
"""Of a list that has any: one under which a cursor without it is refused."""
RULES = "tests/integration/isolation/rules.py"


@dataclass(frozen=True, slots=True)
class Asked:
    route: str
    caller: str
    tenant: Tenant
    """Whose credential it was; for `nobody`, whose things."""
    variant: str
    """own, foreign or unknown."""
    answered: Answered
    rule: RouteRule
    case: Case

    def __str__(self) -> str:
        named = " ".join(f"{n}={v}" for n, v in {**self.case.query, **self.case.path, **self.case.headers}.items())
        return f"{self.route} {named} as {self.caller} of {self.tenant.name} ({self.variant}): {self.answered.status}"


@dataclass(slots=True)
class Hunt:
    settings: Settings
    owner: Pool
    tenants: tuple[Tenant, Tenant]
    api: Starlette
    asked: list[Asked] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)
    sent_ids: dict[str, set[str]] = field(default_factory=lambda: {"A": set(), "B": set()})
    cursors: dict[tuple[str, str], str] = field(default_factory=dict)
    """By tenant and path of the list."""
    _tokens: dict[tuple[str, str], str] = field(default_factory=dict)
    _limit: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def sign_in(self) -> None:
        for tenant in self.tenants:
            for role in ROLES:
                self._tokens[tenant.name, role] = (await self._log_in(tenant, tenant.email(role)))["access_token"]

    async def run(self, app: Starlette, rules: Mapping[tuple[str, str], RouteRule], service: str) -> None:
        routes = set(routes_of(app))
        for method, path in sorted(routes - rules.keys()):
            self.findings.append(
                f"{service} {method} {path} has no rule: say in {RULES} who may call it, and with what"
            )
        for method, path in sorted(rules.keys() - routes):
            self.findings.append(f"{service} has no route {method} {path}: take its rule out of {RULES}")
        uses: list[Callable[[], Awaitable[None]]] = []
        reads: list[Callable[[], Awaitable[None]]] = []
        for method, path in sorted(routes & rules.keys()):
            rule = rules[method, path]
            if method != "GET" and bool(rule.audited) == bool(rule.unaudited):
                self.findings.append(f"{service} {method} {path}: say in {RULES} how it is audited, or why it isn't")
            things = {tenant.name: await self._things_of(app, path, rule, tenant) for tenant in self.tenants}
            for case, (tenant, other), caller in itertools.product(
                rule.cases, (self.tenants, self.tenants[::-1]), CALLERS
            ):
                one = _Questions(self, app, service, method, path, rule, case, caller, tenant, things, other)
                if case.own:
                    (uses if method != "GET" else reads).append(one.ask_own)
                reads.append(one.compare)
        async with asyncio.TaskGroup() as group:
            for read in reads:
                group.create_task(self._limited(read))
            group.create_task(self._one_by_one(uses))

    async def look_through(self) -> None:
        """At the end: whatever belongs to one tenant stands in no answer to the other, or to nobody."""
        ids = {tenant.name: await ids_of(self.owner, tenant) for tenant in self.tenants}
        entries = await self.owner.fetch("SELECT request_id, tenant_id, action, outcome FROM audit_log")
        recorded: dict[str, list[Any]] = {}
        for entry in entries:
            recorded.setdefault(entry["request_id"], []).append(entry)
        for asked in self.asked:
            text = asked.answered.text
            named = ids_in(text) | ids_in_cursors(text)
            for tenant in self.tenants:
                mine = tenant is asked.tenant and asked.caller != "nobody"
                leaked = named & ids[tenant.name] if not mine else set()
                if asked.rule.tells_what_was_sent:
                    leaked -= self.sent_ids[asked.tenant.name]
                shown = [canary for canary in tenant.texts if canary in text]
                shown += re.findall(rf"(?<!\w){tenant.number}(?!\w)", text)
                if not mine and (leaked or shown):
                    self.findings.append(f"LEAK of {tenant.name}: {asked} names {sorted(leaked)} {shown}")
                if mine and _must_show(asked) and not (shown or named & ids[tenant.name]):
                    self.findings.append(f"{asked} shows nothing of the tenant: the hunt is blind here")
            self._check_audit(asked, recorded.get(asked.answered.request_id, []))

    def matrix(self) -> str:
        """Routes × callers × tenants, with what was asked and found."""
        lines = [f"{'route':62} {'asked':>6} {'own':>5} {'refused':>8} {'foreign = unknown':>18} {'leaks':>6}"]
        total: Counter[str] = Counter()
        for route in sorted({asked.route for asked in self.asked}):
            mine = [asked for asked in self.asked if asked.route == route]
            counts = Counter(
                asked=len(mine),
                own=sum(a.variant == "own" and a.answered.status < 300 for a in mine),
                refused=sum(a.answered.status in (401, 403) for a in mine),
                compared=self.compared[route],
                leaks=sum(finding.startswith("LEAK") and f": {route} " in finding for finding in self.findings),
            )
            total += counts
            lines.append(_row(route, counts))
        lines.append(_row(f"{len(lines) - 1} routes x {len(CALLERS)} callers x {len(self.tenants)} tenants", total))
        return "\n".join(lines)

    def headers_of(self, tenant: Tenant, caller: str) -> dict[str, str]:
        if caller == "nobody":
            return {}
        token = tenant.keys[caller[5:]] if caller.startswith("key: ") else self._tokens[tenant.name, caller]
        return {"authorization": f"Bearer {token}"}

    async def make_fresh(self, tenant: Tenant, kind: str, caller: str) -> dict[str, str]:
        """Things that a call uses up; what follows from them for its headers stands under `authorization`."""
        fresh_id = uuid.uuid4()
        match kind:
            case "user_id":
                await insert_user(self.owner, tenant, fresh_id, tenant.email(fresh_id.hex), "analyst")
            case "scenario_id":
                await insert_scenario(self.owner, tenant, fresh_id)
            case "budget_id":
                await insert_budget(self.owner, tenant, fresh_id)
            case "key_id":
                fresh_id, _ = await insert_key(self.owner, tenant, self.settings.api_key_pepper, "manage")
            case "new_email":
                return {"new_email": tenant.email(fresh_id.hex)}
            case "policy_version":
                newest = "SELECT max(version)::text FROM redaction_policies WHERE tenant_id = $1"
                return {"policy_version": await self.owner.fetchval(newest, tenant.id)}
            case "refresh_token":
                return {"refresh_token": (await self._log_in(tenant, tenant.email("analyst")))["refresh_token"]}
            case "sign-in":
                email = tenant.email(fresh_id.hex)
                await insert_user(self.owner, tenant, fresh_id, email, caller)
                return {"authorization": f"Bearer {(await self._log_in(tenant, email))['access_token']}"}
        return {kind: str(fresh_id)}

    async def _things_of(self, app: Starlette, path: str, rule: RouteRule, tenant: Tenant) -> dict[str, str]:
        """The tenant's, with a cursor of this route where the rule names one."""
        if not any("cursor" in places_in(case.query) for case in rule.cases):
            return tenant.things
        page = await ask(app, "GET", fill(path, tenant.things), {"limit": "1"}, self.headers_of(tenant, "owner"), None)
        found = re.search(rb'"next_cursor":"([^"]+)"', page.body)
        assert found is not None, f"{path} has no second page: {page}"
        self.cursors[tenant.name, path] = found[1].decode()
        return {**tenant.things, "cursor": found[1].decode()}

    async def swap_cursors(self) -> int:
        """The tenant's own cursor of one list is none of any other list, nor of the same one under another filter."""
        swapped = 0
        for (name, path), cursor in self.cursors.items():
            tenant = self.tenants[name == "B"]
            for wanted in {path for _, path in self.cursors}:
                query = {"limit": "1", "cursor": cursor} | (FILTERS.get(path, {}) if wanted == path else {})
                if wanted == path and path not in FILTERS:
                    continue
                headers = self.headers_of(tenant, "owner")
                answered = await ask(self.api, "GET", fill(wanted, tenant.things), query, headers, None)
                swapped += 1
                if answered.status != 400 or b"invalid_cursor" not in answered.body:
                    self.findings.append(f"the cursor of {path} is taken by {wanted} {query}: {answered}")
        return swapped

    async def _log_in(self, tenant: Tenant, email: str) -> dict[str, str]:
        body = {"email": email, "password": tenant.password}
        answered = await ask(self.api, "POST", "/api/v1/auth/login", {}, {}, body)
        assert answered.status == 200, answered
        tokens: dict[str, str] = json.loads(answered.body)
        tenant.texts |= {tokens["access_token"], tokens["refresh_token"]}
        return tokens

    async def _limited(self, work: Callable[[], Awaitable[None]]) -> None:
        async with self._limit:
            await work()

    async def _one_by_one(self, works: list[Callable[[], Awaitable[None]]]) -> None:
        for work in works:
            await work()

    def _check_audit(self, asked: Asked, entries: list[Any]) -> None:
        if any(entry["tenant_id"] != asked.tenant.id for entry in entries):
            self.findings.append(f"{asked} is recorded in another tenant's audit log")
        actions = {entry["action"] for entry in entries if entry["outcome"] == "done"}
        wanted = {asked.rule.audited} - {""} if asked.answered.status < 300 else set()
        if actions != wanted:
            self.findings.append(f"{asked} left {sorted(actions)} in the audit log, not {sorted(wanted)}")


@dataclass(frozen=True, slots=True)
class _Questions:
    """One case of one route, as one caller of one tenant."""

    hunt: Hunt
    app: Starlette
    service: str
    method: str
    path: str
    rule: RouteRule
    case: Case
    caller: str
    tenant: Tenant
    things: Mapping[str, Mapping[str, str]]
    other: Tenant

    async def ask_own(self) -> None:
        wanted = self._wanted(self.case.own)
        fresh: dict[str, str] = {}
        if wanted == self.case.own and self.rule.fresh:
            fresh = await self.hunt.make_fresh(self.tenant, self.rule.fresh, self.caller)
        if wanted == self.case.own and self.rule.scope == "signed in":
            fresh = await self.hunt.make_fresh(self.tenant, "sign-in", self.caller)
        asked = await self._ask("own", {**self._mine, **fresh})
        if asked.answered.status != wanted:
            self.hunt.findings.append(f"{asked}, not {wanted}: {asked.answered.body[:200]!r}")

    async def compare(self) -> None:
        """Another tenant's things are as unknown as those that never were: all of them at once, and each alone."""
        references = (places_in(self.path) | self._places) - NO_REFERENCES
        if self.case.path:
            references -= self.case.path.keys()
        subsets = {frozenset(references), *(frozenset({name}) for name in references)} - {frozenset()}
        for names in sorted(subsets, key=sorted):
            foreign = {**self._mine, **{name: self.things[self.other.name][name] for name in names}}
            unknown = {**self._mine, **{name: unknown_like(name, foreign[name]) for name in names}}
            one, two = await self._ask("foreign", foreign), await self._ask("unknown", unknown)
            self.hunt.compared[one.route] += 1
            if one.answered.but_for_request_id != two.answered.but_for_request_id:
                self.hunt.findings.append(
                    f"{one} is told from unknown ({', '.join(sorted(names))}): {one.answered} {two.answered}"
                )
            refused = self._wanted(0)
            if one.answered.status not in ((refused,) if refused else self.case.foreign):
                self.hunt.findings.append(f"{one}, not {refused or self.case.foreign}")

    @property
    def _mine(self) -> Mapping[str, str]:
        return self.things[self.tenant.name]

    @property
    def _places(self) -> set[str]:
        return places_in([self.case.path, self.case.query, self.case.headers, self.case.body])

    def _wanted(self, allowed: int) -> int:
        """The status of a refusal, or `allowed`; the scopes of `also` matter only where things are the caller's."""
        if self.rule.scope == "open":
            return allowed
        if self.caller == "nobody":
            return 401
        if self.rule.scope == "any":
            return allowed
        is_key = self.caller.startswith("key: ")
        if self.rule.scope == "signed in":
            return 403 if is_key else allowed
        scopes = (self.caller[5:],) if is_key else SCOPES_OF_ROLE[self.caller]
        needed = (self.rule.scope, *(self.rule.also if allowed else ()))
        return allowed if set(needed) <= set(scopes) else 403

    async def _ask(self, variant: str, things: Mapping[str, str]) -> Asked:
        path = fill(fill(self.path, {**_as_they_are(self.path), **self.case.path}), things)
        query, body = fill(self.case.query, things), fill(self.case.body, things)
        headers = self.hunt.headers_of(self.tenant, self.caller) | fill(self.case.headers, things)
        if "authorization" in things:
            headers["authorization"] = things["authorization"]
        self.hunt.sent_ids[self.tenant.name] |= ids_in(f"{path} {query} {body} {headers}")
        answered = await ask(self.app, self.method, path, query, headers, body)
        route = f"{self.service} {self.method} {self.path}"
        asked = Asked(route, self.caller, self.tenant, variant, answered, self.rule, self.case)
        if answered.status >= 500:
            self.hunt.findings.append(f"{asked} {answered.body!r}")
        self.hunt.asked.append(asked)
        return asked


def routes_of(app: Starlette) -> Iterator[tuple[str, str]]:
    for route in app.routes:
        if isinstance(route, Route):
            yield from ((method, route.path) for method in (route.methods or ()) if method != "HEAD")
        else:  # a mount or web socket: the hunt would have to learn to ask it
            yield type(route).__name__, getattr(route, "path", "?")


def ids_in_cursors(text: str) -> set[str]:
    """The ids that stand in cursors and in ids of events, which anybody can decode."""
    found = set()
    for cursor in re.findall(r'(?:"next_cursor":"|^id: )([A-Za-z0-9_-]+)', text, re.MULTILINE):
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        found.add(raw[8:24].hex())
    return found


def unknown_like(name: str, known: str) -> str:
    """Of the same form as something that exists."""
    if name.endswith("_id"):
        return str(uuid.uuid4())
    if name.endswith("cursor"):
        return base64.urlsafe_b64encode(os.urandom(len(known) * 3 // 4)).decode().rstrip("=")
    if name == "mark":
        kind, _, token = known.rpartition(":")
        return f"{kind}:{token[:2]}{uuid.uuid4().hex}{token[34:]}"
    return f"{uuid.uuid4().hex}{known[-10:]}"


def _as_they_are(path: str) -> dict[str, str]:
    return {name: f"{{{name}}}" for name in places_in(path)}


def _must_show(asked: Asked) -> bool:
    return asked.variant == "own" and asked.answered.status < 300 and asked.case.shows


def _row(route: str, counts: Counter[str]) -> str:
    return (
        f"{route:62} {counts['asked']:6} {counts['own']:5} {counts['refused']:8} {counts['compared']:18} "
        f"{counts['leaks']:6}"
    )
