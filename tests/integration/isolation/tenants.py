"""Two tenants who have something in every table, each with canaries that stand nowhere else."""

from __future__ import annotations

import json
import os
import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import bcrypt

from mockupaws.api.cursor import Position, encode_cursor
from mockupaws.cost_model.architecture import Architecture, architecture_document
from mockupaws.cost_model.price_file import prices_in_force
from mockupaws.cost_model.quantities import Quantities
from mockupaws.cost_model.snapshot import snapshot_of
from mockupaws.runtime import api_keys
from mockupaws.runtime.audit import AuditEntry, append_entry
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.accounts import SCOPES, SCOPES_OF_ROLE
from mockupaws.schemas.distributions import bucket_of
from mockupaws.schemas.identifiers import EntryIds, new_request_id
from mockupaws.schemas.rollups import UNIT_OF
from mockupaws.stream_processors.policies.tenant_keys import FIRST_KEY, KEY_BYTES, unwrap_key, wrap_key
from tests.integration.isolation.catalogue import TABLES

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]

ROLES = tuple(SCOPES_OF_ROLE)
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


@dataclass(slots=True)
class Tenant:
    name: str
    canary: str
    """In every text that is the tenant's."""
    number: int
    """In every count that is the tenant's."""
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    things: dict[str, str] = field(default_factory=dict)
    """What places in rules are filled with."""
    keys: dict[str, str] = field(default_factory=dict)
    """By scope."""
    texts: set[str] = field(default_factory=set)
    """What nobody else may be shown, as it is written: beside the ids."""

    @property
    def password(self) -> str:
        return f"password {self.canary}"

    def email(self, role: str) -> str:
        return f"{role}@{self.canary}.example"


def ids_in(text: str) -> set[str]:
    """All UUIDs of a text, in one spelling."""
    return {found.replace("-", "") for found in _UUID.findall(text)}


async def seed(owner: Pool, settings: Settings, tenant: Tenant, now: datetime) -> None:
    """Fills every table and `tenant.things`; what the application itself writes best (sign-ins) is left to it."""
    scenario_id, other_scenario_id, request_id, letter_id = (_new_id(now) for _ in range(4))
    log_ids = [uuid.UUID(bytes=EntryIds(os.urandom(16), int(now.timestamp() * 1e6))[0]) for _ in range(3)]
    pepper = settings.api_key_pepper
    await owner.execute("INSERT INTO tenants (id, name, tier) VALUES ($1, $2, 'unlimited')", tenant.id, tenant.canary)
    users = {role: _new_id(now) for role in ROLES}
    for role, user_id in users.items():
        await insert_user(owner, tenant, user_id, tenant.email(role), role)
    for scope in SCOPES:
        tenant.keys[scope] = (await insert_key(owner, tenant, pepper, scope))[1]
    key_id, _ = await insert_key(owner, tenant, pepper, "manage")
    for scenario in (scenario_id, other_scenario_id):
        await insert_scenario(owner, tenant, scenario)
    wrapped = wrap_key(settings.tenant_key_secret, tenant.id, FIRST_KEY, os.urandom(KEY_BYTES))
    await owner.execute("INSERT INTO tenant_keys VALUES ($1, $2, $3)", tenant.id, FIRST_KEY, wrapped)
    value = f"someone@{tenant.canary}.example"
    key = unwrap_key(settings.tenant_key_secret, tenant.id, FIRST_KEY, wrapped)
    mark = f"[EMAIL:e:{key.encrypt('EMAIL', value.encode())}]"
    policy = {"actions": {"EMAIL": "encrypt"}, "allow": [{"type": "EMAIL", "pattern": f"*@{tenant.canary}.test"}],
              "shadow": {"actions": {"IPV4": "drop"}}}  # fmt: skip
    await owner.execute(
        "INSERT INTO redaction_policies (tenant_id, version, document, note, created_by) VALUES ($1, 1, $2, $3, $4)",
        tenant.id, json.dumps(policy), tenant.canary, str(users["owner"]),
    )  # fmt: skip
    for number, log_id in enumerate(log_ids):
        await owner.execute(
            "INSERT INTO scenario_logs (tenant_id, scenario_id, id, received_at, message_hash, message_preview, source,"
            " level, size_bytes, has_pii, pii_types, token_count, sqs_blocks, attributes)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $7, 1, true, '{EMAIL}', 1, 1, $8)",
            tenant.id, scenario_id, log_id, now + timedelta(microseconds=number), os.urandom(32),
            f"line of {tenant.canary} {mark}", tenant.canary, json.dumps({tenant.canary: mark}),
        )  # fmt: skip
    for (kind, name), unit in UNIT_OF.items():
        counts = {"2": tenant.number} if (kind, name) == ("sqs", "blocks") else {str(bucket_of(100)): tenant.number}
        await owner.execute(
            "INSERT INTO scenario_metrics VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            tenant.id, scenario_id, now.replace(second=0), kind, name, tenant.number, unit,
            json.dumps(counts) if kind in ("ingest", "bedrock", "sqs") and name != "requests" else None,
        )  # fmt: skip
    hour = now.replace(minute=0, second=0, microsecond=0)
    await owner.execute("INSERT INTO scenario_hours VALUES ($1, $2, $3, 1, 0)", tenant.id, scenario_id, hour)
    await owner.execute(
        "INSERT INTO scenario_days VALUES ($1, $2, $3, 0)", tenant.id, scenario_id, hour.replace(hour=0)
    )
    await owner.execute(
        "INSERT INTO scenario_summaries VALUES ($1, $2, 'hour', $3, 'ingest', 'entries', $4, 1, $3, $3)",
        tenant.id, scenario_id, hour, tenant.number,
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO scenario_facets VALUES ($1, $2, $3, $4, $4, '{EMAIL}', $5)",
        tenant.id, scenario_id, hour, tenant.canary, tenant.number,
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO scenario_text_days VALUES ($1, $2, $3, 1)", tenant.id, scenario_id, hour.replace(hour=0)
    )
    await owner.execute(
        "INSERT INTO scenario_text_blocks VALUES ($1, $2, $3, $4, 0, $5, $6, $6, $7)",
        tenant.id, scenario_id, hour.replace(hour=0), hour + timedelta(hours=1), tenant.number, now, b"\xff" * 64,
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO scenario_patterns VALUES ($1, $2, $3, $4, $5, $6, $6, $6, $6)",
        tenant.id, scenario_id, now.replace(minute=0, second=0), os.urandom(16), f"template of {tenant.canary} <n>",
        tenant.number,
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO ingest_receipts (tenant_id, request_id, scenario_id, accepted, stored, received_at)"
        " VALUES ($1, $2, $3, $4, $4, $5)",
        tenant.id, request_id, scenario_id, tenant.number, now,
    )  # fmt: skip
    for identifier in (letter_id, _new_id(now)):
        await owner.execute(
            "INSERT INTO dead_letters (id, tenant_id, scenario_id, request_id, reason, step, detail, topic, partition,"
            ' "offset", accepted, entry_indexes, received_at, original, software_version, occurred_at)'
            " VALUES ($1, $2, $3, $4, 'analysis_failed', 'analyse', $5, $5, 0, $6, 1, '{0}', $7, $8, '0', $7)",
            identifier, tenant.id, scenario_id, request_id, tenant.canary, tenant.number, now, tenant.canary.encode(),
        )  # fmt: skip
    await owner.execute(
        "INSERT INTO archive_objects VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 1, 1, $6, $7, $7)",
        tenant.id, scenario_id, f"tenant_id={tenant.id}/{tenant.canary}", now.replace(minute=0), uuid.uuid4(),
        os.urandom(32), now,
    )  # fmt: skip
    session_id = uuid.uuid4()
    await owner.execute(
        "INSERT INTO sessions (id, tenant_id, user_id, expires_at) VALUES ($1, $2, $3, $4)",
        session_id, tenant.id, users["producer"], now + timedelta(days=1),
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO refresh_tokens (secret_hmac, tenant_id, session_id) VALUES ($1, $2, $3)",
        os.urandom(32), tenant.id, session_id,
    )  # fmt: skip
    await owner.execute(
        "INSERT INTO token_revocations (id, tenant_id, expires_at) VALUES ($1, $2, $3)",
        uuid.uuid4(), tenant.id, now + timedelta(hours=1),
    )  # fmt: skip
    async with owner.acquire() as connection, connection.transaction():
        entry = AuditEntry(tenant_id=tenant.id, actor=str(users["owner"]), action="user.created",
                           target=str(users["analyst"]), details={"note": tenant.canary})  # fmt: skip
        await append_entry(connection, settings.audit_key, entry, now)
    snapshot = snapshot_of(Quantities(entries=tenant.number), Architecture(), prices_in_force(settings))
    for estimate_id in (snapshot.estimate_id, f"est_{os.urandom(16).hex()}"):
        await owner.execute(
            "INSERT INTO estimates (tenant_id, id, scenario_id, scenario_version, note, snapshot, created_by)"
            " VALUES ($1, $2, $3, 1, $4, $5, $6)",
            tenant.id, estimate_id, scenario_id, tenant.canary, snapshot.encode().decode(), str(users["owner"]),
        )  # fmt: skip
    budget_id = uuid.uuid4()
    await insert_budget(owner, tenant, budget_id, scenario_id)
    await owner.execute(
        'INSERT INTO budget_alerts (tenant_id, id, budget_id, budget_version, period, threshold, amount, "limit",'
        " complete, last_error) VALUES ($1, $2, $3, 1, $4, 100, $5, 1, true, $6)",
        tenant.id, _new_id(now), budget_id, now.date(), tenant.number, tenant.canary,
    )  # fmt: skip
    before_all = Position(now - timedelta(seconds=1), uuid.UUID(int=0))
    tenant.texts |= {tenant.canary, mark}
    tenant.things |= {
        "name": tenant.canary,
        "canary": tenant.canary,
        "value": value,
        "mark": mark,
        "password": tenant.password,
        "email": tenant.email("analyst"),
        "new_email": tenant.email("never"),
        "refresh_token": f"mr_{tenant.canary}",
        "policy_version": "1",
        "user_id": str(users["analyst"]),
        "made_user_id": str(users["analyst"]),
        "owner_id": str(users["owner"]),
        "key_id": str(key_id),
        "scenario_id": str(scenario_id),
        "log_id": str(log_ids[0]),
        "request_id": str(request_id),
        "queued_id": str(_new_id(now)),
        "dead_letter_id": str(letter_id),
        "estimate_id": snapshot.estimate_id,
        "budget_id": str(budget_id),
        "tail_cursor": encode_cursor(settings.jwt_secret, f"tail/{tenant.id}/{scenario_id}", before_all),
    }


async def insert_user(owner: Pool, tenant: Tenant, user_id: uuid.UUID, email: str, role: str) -> None:
    """With the tenant's password, hashed cheaply, to be quick."""
    hashed = bcrypt.hashpw(tenant.password.encode(), bcrypt.gensalt(4)).decode()
    await owner.execute(
        "INSERT INTO users (id, tenant_id, email, password_hash, role) VALUES ($1, $2, $3, $4, $5)",
        user_id, tenant.id, email, hashed, role,
    )  # fmt: skip


async def insert_key(owner: Pool, tenant: Tenant, pepper: str, scope: str) -> tuple[uuid.UUID, str]:
    """Its id and its text."""
    key, key_id = api_keys.mint(os.urandom(api_keys.RANDOM_BYTES)), uuid.uuid4()
    tenant.texts |= {key.prefix, key.secret}
    await owner.execute(
        "INSERT INTO api_keys (id, tenant_id, name, prefix, secret_hmac, scopes) VALUES ($1, $2, $3, $4, $5, $6)",
        key_id, tenant.id, tenant.canary, key.prefix, api_keys.secret_hmac(pepper, key.secret), [scope],
    )  # fmt: skip
    return key_id, key.text


async def insert_scenario(owner: Pool, tenant: Tenant, scenario_id: uuid.UUID) -> None:
    architecture = Architecture()
    await owner.execute(
        "INSERT INTO scenarios (id, tenant_id, name, description, region, architecture)"
        " VALUES ($1, $2, $3, $3, $4, $5)",
        scenario_id, tenant.id, tenant.canary, architecture.region, json.dumps(architecture_document(architecture)),
    )  # fmt: skip


async def insert_budget(
    owner: Pool, tenant: Tenant, budget_id: uuid.UUID, scenario_id: uuid.UUID | None = None
) -> None:
    await owner.execute(
        'INSERT INTO budgets (tenant_id, id, scenario_id, name, metric, "limit", thresholds, window_days)'
        " VALUES ($1, $2, $3, $4, 'month_cost', $5, '{100}', 7)",
        tenant.id, budget_id, scenario_id or uuid.UUID(tenant.things["scenario_id"]), tenant.canary, tenant.number,
    )  # fmt: skip


async def ids_of(owner: Pool, tenant: Tenant) -> set[str]:
    """Every id in the tenant's rows: no other tenant may be shown one."""
    ids: set[str] = set()
    for name, rule in TABLES.items():
        if rule.of_tenants:
            column = "id" if name == "tenants" else "tenant_id"
            rows = await owner.fetch(f'SELECT * FROM "{name}" WHERE {column} = $1', tenant.id)
            ids |= {value.hex for row in rows for value in row.values() if isinstance(value, uuid.UUID)}
    return ids


async def unseeded(owner: Pool, tenant: Tenant) -> list[str]:
    """Tenants' tables in which this tenant has nothing: there the hunt would find nothing either."""
    empty = []
    for name, rule in TABLES.items():
        column = "id" if name == "tenants" else "tenant_id"
        if rule.of_tenants and not await owner.fetchval(
            f'SELECT count(*) FROM "{name}" WHERE {column} = $1', tenant.id
        ):
            empty.append(f"{name} holds nothing of a tenant: seed it in tenants.py")
    return empty


def _new_id(now: datetime) -> uuid.UUID:
    return new_request_id(int(now.timestamp() * 1e6), os.urandom(10))
