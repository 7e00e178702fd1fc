"""Redaction policies of the tenant: read, changed as a whole, and what its shadow rules have counted.

Each change makes a new version, which is never changed itself; the highest is in force, within seconds. A policy holds
for all scenarios of the tenant.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Annotated

import asyncpg
import msgspec
from msgspec import Meta
from starlette.responses import Response

from mockupaws.api.audit import record
from mockupaws.api.errors import RefusedError
from mockupaws.api.logs import Instant
from mockupaws.api.queries import SQL
from mockupaws.api.routing import Call, answer
from mockupaws.runtime.postgres import Connection
from mockupaws.stream_processors.policies.document import PolicyDocument, PolicyError, check_policy, with_digests
from mockupaws.stream_processors.policies.find_policy import find_keys
from mockupaws.stream_processors.policies.tenant_keys import (
    FIRST_KEY,
    KEY_BYTES,
    KeyRefusedError,
    TenantKey,
    wrap_key,
)

_DEFAULT_WINDOW = timedelta(days=1)
_BEYOND_ALL = 2**31 - 1


class PolicyChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    policy: PolicyDocument
    """The whole policy: what it leaves out has its default."""
    version: int | None = None
    """The version that was read, 0 where none was stored; `If-Match` says the same."""
    note: Annotated[str, Meta(max_length=1000)] = ""
    """Why, for whoever reads the list of versions."""


class PolicyQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    version: Annotated[int, Meta(ge=1, le=_BEYOND_ALL)] | None = None
    """An older version; default: the one in force."""


class VersionQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    before: Annotated[int, Meta(ge=1, le=_BEYOND_ALL)] = _BEYOND_ALL
    """Only versions below this one."""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class ShadowQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    from_: Instant | None = msgspec.field(default=None, name="from")
    """Default: a day before `to`."""
    to: Instant | None = None
    """Default: now."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    """0: none was stored; all types are masked."""
    policy: PolicyDocument
    note: str = ""
    created_at: datetime | None = None
    created_by: str | None = None


class PolicyVersion(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    note: str
    created_at: datetime
    created_by: str


class PolicyVersions(msgspec.Struct, frozen=True):
    versions: list[PolicyVersion]


class ShadowCount(msgspec.Struct, frozen=True):
    type: str
    action: str | None
    """What is thought of now; None: the policy in force has no shadow action for the type any more."""
    lines: int
    findings: int


class ShadowRuleCount(msgspec.Struct, frozen=True):
    rule: str
    version: int
    in_force: bool
    """Whether the policy in force has it in its shadow."""
    lines: int
    findings: int
    """What it would have found where no other rule finds anything."""


class ShadowCounts(msgspec.Struct, frozen=True, kw_only=True):
    from_: datetime = msgspec.field(name="from")
    to: datetime
    version: int
    shadow: list[ShadowCount]
    rules: list[ShadowRuleCount]
    stale: bool


async def get_policy(call: Call) -> Response:
    query: PolicyQuery = call.query
    async with call.services.databases.read(call.tenant_id) as reading:
        if query.version is None:
            return _answer(await policy_in_force(reading.connection))
        row = await reading.connection.fetchrow(SQL["policy_of_version"], query.version)
    if row is None:
        raise RefusedError("not_found", "there is no such version")
    return _answer(_policy_of(row))


async def put_policy(call: Call) -> Response:
    change: PolicyChange = call.body
    checked(change.policy)
    wanted = _wanted_version(call, change)
    async with call.services.databases.write(call.tenant_id) as connection:
        before = await policy_in_force(connection)
        if before.version != wanted:
            raise _conflict(before.version)
        row = await connection.fetchrow(
            SQL["insert_policy"],
            call.tenant_id,
            wanted + 1,
            msgspec.json.encode(await sealed(call, connection, change.policy)).decode(),
            change.note,
            call.caller.subject,
        )
        if row is None:
            raise _conflict(wanted + 1)
        after = _policy_of(row)
        await record(
            call,
            connection,
            "policy.changed",
            f"policy/{after.version}",
            before=before.policy,
            after=after.policy,
            reason=change.note,
        )
    return _answer(after)


async def list_versions(call: Call) -> Response:
    query: VersionQuery = call.query
    async with call.services.databases.read(call.tenant_id) as reading:
        rows = await reading.connection.fetch(SQL["policy_versions"], query.before, query.limit)
    return answer(PolicyVersions([PolicyVersion(**row) for row in rows]))


async def get_shadow(call: Call) -> Response:
    query: ShadowQuery = call.query
    to = query.to or datetime.fromtimestamp(call.services.clock.now_us() / 1e6, UTC)
    since = query.from_ or to - _DEFAULT_WINDOW
    if since > to:
        raise RefusedError("invalid_parameter", "`from` is after `to`")
    async with call.services.databases.read(call.tenant_id) as reading:
        policy = await policy_in_force(reading.connection)
        rows = await reading.connection.fetch(SQL["shadow_totals"], since, to)
    totals: dict[str, dict[str, int]] = {pii_type: {} for pii_type in policy.policy.shadow.actions}
    for row in rows:
        pii_type, _, what = row["metric_name"].rpartition(".")
        totals.setdefault(pii_type, {})[what] = row["value"]
    actions = policy.policy.shadow.actions
    counts = [
        ShadowCount(pii_type, actions.get(pii_type), found.get("lines", 0), found.get("findings", 0))
        for pii_type, found in sorted(totals.items())
        if "@" not in pii_type
    ]
    rules = [
        _rule_count(name, found, policy.policy.shadow.rules) for name, found in sorted(totals.items()) if "@" in name
    ]
    return answer(
        ShadowCounts(from_=since, to=to, version=policy.version, shadow=counts, rules=rules, stale=reading.stale)
    )


def _rule_count(name: str, found: dict[str, int], shadowed: list[str]) -> ShadowRuleCount:
    rule, _, version = name.rpartition("@")
    in_force = rule in shadowed or name in shadowed
    return ShadowRuleCount(rule, int(version), in_force, found.get("lines", 0), found.get("findings", 0))


async def policy_in_force(connection: Connection) -> Policy:
    row = await connection.fetchrow(SQL["policy_in_force"])
    return Policy(version=0, policy=PolicyDocument()) if row is None else _policy_of(row)


def checked(policy: PolicyDocument) -> None:
    try:
        check_policy(policy)
    except PolicyError as error:
        raise RefusedError("invalid_body", str(error).replace("`$", "`$.policy")) from None


async def sealed(call: Call, connection: Connection, policy: PolicyDocument) -> PolicyDocument:
    """The policy as it is stored; where it needs the tenant's key, there is one afterwards."""
    if not policy.needs_key:
        return policy
    return with_digests(policy, (await keys_of(call, connection, make=True))[0])


async def keys_of(call: Call, connection: Connection, *, make: bool = False) -> list[TenantKey]:
    """The tenant's keys, newest first. `make`: there is at least one, afterwards."""
    secret = call.services.settings.tenant_key_secret
    try:
        keys = await find_keys(connection, call.tenant_id, secret)
        if keys or not make:
            return keys
        wrapped = wrap_key(secret, call.tenant_id, FIRST_KEY, os.urandom(KEY_BYTES))
        made = await connection.execute(SQL["insert_key"], call.tenant_id, FIRST_KEY, wrapped)
        if made == "INSERT 0 1":
            await record(call, connection, "tenant_key.created", f"tenant-key/{FIRST_KEY}")
        return await find_keys(connection, call.tenant_id, secret)
    except KeyRefusedError as error:
        raise RefusedError("no_tenant_key", str(error)) from None


def _policy_of(row: asyncpg.Record) -> Policy:
    document = msgspec.json.decode(row["document"], type=PolicyDocument)
    return Policy(
        **{**{name: row[name] for name in ("version", "note", "created_at", "created_by")}, "policy": document}
    )


def _answer(policy: Policy) -> Response:
    return answer(policy, headers={"ETag": f'"{policy.version}"'})


def _conflict(version: int) -> RefusedError:
    return RefusedError("version_conflict", f"the policy is at version {version}: read it again")


def _wanted_version(call: Call, change: PolicyChange) -> int:
    stated = call.request.headers.get("if-match", "").strip('"')
    if change.version is not None:
        return change.version
    if not (stated.isascii() and stated.isdigit() and len(stated) < 10):
        raise RefusedError("invalid_body", 'state the version you read: `$.version`, or a header `If-Match: "3"`')
    return int(stated)
