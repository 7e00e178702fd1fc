"""Real services for the tests that need them: started once a session on free ports, when the first test asks."""

from __future__ import annotations

import itertools
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import hypothesis  # first of all: its plugin imports it last otherwise, where CPython 3.11 may fail
import pytest

from mockupaws.cost_model.architecture import Architecture, architecture_document
from mockupaws.runtime import api_keys
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.identifiers import new_request_id
from tests.running_services import own_installation, running_services

# How long an example takes says nothing on a machine that is shared.
hypothesis.settings.register_profile("untimed", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("untimed")


@dataclass(frozen=True, slots=True)
class Demo:
    """A tenant with a user, a key of all scopes and a scenario."""

    tenant_id: uuid.UUID
    user_id: uuid.UUID
    api_key: str
    scenario_id: uuid.UUID


@pytest.fixture(autouse=True)
def _clean_environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own settings reach no test."""
    for name in os.environ:
        if name.startswith("MOCKUPAWS_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Kafka, Postgres and Valkey, with a migrated database to copy."""
    with running_services(tmp_path_factory.mktemp("services")) as installation:
        yield installation


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
async def settings(services: Installation, _numbers: Iterator[int], tmp_path: Path) -> Settings:
    """An installation of the test's own on the shared servers: database, topics, archive, home."""
    return await own_installation(services, f"test_{next(_numbers)}", tmp_path)


@pytest.fixture
async def demo(settings: Settings) -> Demo:
    return await make_tenant(settings, "demo@example.com")


async def make_tenant(settings: Settings, email: str) -> Demo:
    """Another tenant in the test's database."""
    key = api_keys.mint(os.urandom(api_keys.RANDOM_BYTES))
    secret_hmac = api_keys.secret_hmac(settings.api_key_pepper, key.secret)
    architecture = Architecture()
    made = Demo(_new_id(), _new_id(), key.text, _new_id())
    connection = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    try:
        await connection.execute(
            "INSERT INTO tenants (id, name, tier) VALUES ($1, $2, 'unlimited')", made.tenant_id, email
        )
        await connection.execute(
            "INSERT INTO users (id, tenant_id, email, password_hash, role) VALUES ($1, $2, $3, '-', 'owner')",
            made.user_id,
            made.tenant_id,
            email,
        )
        await connection.execute(
            "INSERT INTO api_keys (id, tenant_id, name, prefix, secret_hmac, scopes) "
            "VALUES ($1, $2, 'test', $3, $4, $5)",
            _new_id(),
            made.tenant_id,
            key.prefix,
            secret_hmac,
            ["ingest", "read", "manage", "operate"],
        )
        await connection.execute(
            "INSERT INTO scenarios (id, tenant_id, name, region, architecture) VALUES ($1, $2, 'Test', $3, $4)",
            made.scenario_id,
            made.tenant_id,
            architecture.region,
            json.dumps(architecture_document(architecture)),
        )
    finally:
        await connection.close()
    return made


def _new_id() -> uuid.UUID:
    return new_request_id(SystemClock().now_us(), os.urandom(10))
