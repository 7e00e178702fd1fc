"""Between the servers' start and ours: roles, schema, partitions, topics and a demo tenant. Safe to repeat."""

from __future__ import annotations

import datetime
import json
import os
import uuid

import asyncpg

from mockupaws.archive.lifecycle import maintain
from mockupaws.cli.client_settings import parse_environment_file
from mockupaws.cost_model.architecture import Architecture, architecture_document
from mockupaws.runtime import api_keys
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.embedded.installation import DATABASE, Installation
from mockupaws.runtime.kafka import create_topics
from mockupaws.runtime.migrations import create_database, create_roles, migrate
from mockupaws.runtime.passwords import hash_password
from mockupaws.runtime.replace_file import replace_file
from mockupaws.runtime.settings import PREFIX
from mockupaws.schemas.accounts import SCOPES
from mockupaws.schemas.identifiers import new_request_id

DEMO_EMAIL = "demo@mockupaws.example"
CONNECT_SECONDS = 10


async def prepare(installation: Installation) -> None:
    roles = ("mockupaws_owner", "mockupaws_sink", "mockupaws_api")
    await create_roles(installation.superuser_url, {role: installation.secrets[role] for role in roles})
    await create_database(installation.superuser_url, DATABASE)
    await migrate(installation.settings.postgres_owner_url)
    now = datetime.datetime.fromtimestamp(SystemClock().now_us() / 1e6, datetime.UTC)
    await maintain(installation.settings, now)
    await create_topics(installation.settings)
    await _prepare_demo(installation)


async def _prepare_demo(installation: Installation) -> None:
    """Makes the demo tenant and writes demo.env, unless the file's key is still good."""
    connection = await asyncpg.connect(
        installation.settings.postgres_owner_url, timeout=CONNECT_SECONDS, command_timeout=CONNECT_SECONDS
    )
    try:
        if await _is_known(connection, installation):
            return
        async with connection.transaction():
            scenario_id, key = await _make_demo(connection, installation)
    finally:
        await connection.close()
    settings = installation.settings
    values = {
        "INGEST_URL": f"http://{settings.gateway_host}:{settings.gateway_port}",
        "API_URL": f"http://{settings.api_host}:{settings.api_port}",
        "API_KEY": key,
        "SCENARIO_ID": str(scenario_id),
        "EMAIL": DEMO_EMAIL,
        "PASSWORD": installation.secrets["demo_password"],
    }
    text = "".join(f"{PREFIX}{name}={value}\n" for name, value in values.items())
    replace_file(installation.demo_file, text.encode(), mode=0o600)


async def _is_known(connection: asyncpg.Connection, installation: Installation) -> bool:
    """Whether demo.env names this gateway and a key this database knows."""
    if not installation.demo_file.exists():
        return False
    values = parse_environment_file(installation.demo_file.read_text())
    settings = installation.settings
    here = f"http://{settings.gateway_host}:{settings.gateway_port}", f"http://{settings.api_host}:{settings.api_port}"
    if (values.get(f"{PREFIX}INGEST_URL"), values.get(f"{PREFIX}API_URL")) != here:
        return False
    key = api_keys.parse(values.get(f"{PREFIX}API_KEY", ""))
    row = key and await connection.fetchrow(
        "SELECT secret_hmac, revoked_at FROM api_keys WHERE prefix = $1", key.prefix
    )
    return bool(
        key
        and row
        and row["revoked_at"] is None
        and api_keys.matches(settings.api_key_pepper, key.secret, row["secret_hmac"])
    )


async def _make_demo(connection: asyncpg.Connection, installation: Installation) -> tuple[uuid.UUID, str]:
    """A new key for the demo tenant, which is made where it is missing."""
    tenant_id: uuid.UUID | None = await connection.fetchval("SELECT tenant_id FROM users WHERE email = $1", DEMO_EMAIL)
    if tenant_id is None:
        tenant_id = _new_id()
        hashed = hash_password(installation.secrets["demo_password"])
        await connection.execute("INSERT INTO tenants (id, name, tier) VALUES ($1, 'Demo', 'unlimited')", tenant_id)
        await connection.execute(
            "INSERT INTO users (id, tenant_id, email, password_hash, role) VALUES ($1, $2, $3, $4, 'owner')",
            _new_id(),
            tenant_id,
            DEMO_EMAIL,
            hashed,
        )
        architecture = Architecture()
        await connection.execute(
            "INSERT INTO scenarios (id, tenant_id, name, description, region, architecture) "
            "VALUES ($1, $2, 'Demo', 'Log lines through SQS and Lambda to a Bedrock model', $3, $4)",
            _new_id(),
            tenant_id,
            architecture.region,
            json.dumps(architecture_document(architecture)),
        )
    scenario_id: uuid.UUID = await connection.fetchval(
        "SELECT id FROM scenarios WHERE tenant_id = $1 AND deleted_at IS NULL ORDER BY created_at LIMIT 1", tenant_id
    )
    key = api_keys.mint(os.urandom(api_keys.RANDOM_BYTES))
    await connection.execute(
        "INSERT INTO api_keys (id, tenant_id, name, prefix, secret_hmac, scopes) "
        "VALUES ($1, $2, 'demo.env', $3, $4, $5)",
        _new_id(),
        tenant_id,
        key.prefix,
        api_keys.secret_hmac(installation.settings.api_key_pepper, key.secret),
        list(SCOPES),
    )
    return scenario_id, key.text


def _new_id() -> uuid.UUID:
    return new_request_id(SystemClock().now_us(), os.urandom(10))
