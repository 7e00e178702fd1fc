"""Real services for the tests that need them: started once a session on free ports, when the first test asks."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import hypothesis  # first of all: its plugin imports it last otherwise, where CPython 3.11 may fail
import pytest

from mockupaws.archive.lifecycle import maintain
from mockupaws.cli.processes import server_plans
from mockupaws.cost_model.architecture import Architecture, architecture_document
from mockupaws.runtime import api_keys
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.embedded.supervisor import Supervisor, read_state
from mockupaws.runtime.kafka import create_topics
from mockupaws.runtime.migrations import create_database, create_roles, migrate
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.identifiers import new_request_id

TEMPLATE = "template_migrated"
ROLES = ("mockupaws_owner", "mockupaws_sink", "mockupaws_api")
START_SECONDS = 120

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
    installation = Installation.open(dataclasses.replace(Settings(), home=tmp_path_factory.mktemp("services")))
    supervisor = Supervisor(installation.state_file, installation.lock_file, SystemClock())
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def make_template() -> None:
        await create_roles(installation.superuser_url, {role: installation.secrets[role] for role in ROLES})
        await create_database(installation.superuser_url, TEMPLATE)
        owner_url = installation.postgres_url("mockupaws_owner", installation.secrets["mockupaws_owner"], TEMPLATE)
        await migrate(owner_url)
        now = datetime.fromtimestamp(SystemClock().now_us() / 1e6, UTC)
        await maintain(dataclasses.replace(installation.settings, postgres_owner_url=owner_url), now)
        ready.set()

    def supervise() -> None:
        try:
            loop.run_until_complete(supervisor.run([lambda: server_plans(installation), make_template]))
        finally:
            ready.set()

    thread = threading.Thread(target=supervise, name="services")
    thread.start()
    try:
        assert ready.wait(START_SECONDS)
        assert read_state(installation.state_file), f"the services did not start; see {installation.home}/logs"
        yield installation
    finally:
        loop.call_soon_threadsafe(supervisor.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return itertools.count(1)


@pytest.fixture
async def settings(services: Installation, _numbers: Iterator[int], tmp_path: Path) -> Settings:
    """An installation of the test's own on the shared servers: database, topics, archive, home."""
    name = f"test_{next(_numbers)}"
    connection = await asyncpg.connect(services.superuser_url, timeout=10)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER mockupaws_owner")
    finally:
        await connection.close()
    url: Callable[[str], str] = lambda role: services.postgres_url(role, services.secrets[role], name)  # noqa: E731
    made = dataclasses.replace(
        services.settings,
        home=tmp_path,
        kafka_topic_prefix=f"{name}.",
        postgres_owner_url=url("mockupaws_owner"),
        postgres_sink_url=url("mockupaws_sink"),
        postgres_api_url=url("mockupaws_api"),
        redis_url=services.settings.redis_url,
        archive_url=f"file://{tmp_path}/archive",
        http_allowed_hosts="api,gateway,other",  # what tests call the applications
    )
    await create_topics(made)
    return made


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
