"""Real Kafka, Postgres and Valkey on free ports, and installations of one's own on them."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from mockupaws.archive.lifecycle import maintain
from mockupaws.cli.processes import server_plans
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.embedded.supervisor import Supervisor, read_state
from mockupaws.runtime.kafka import create_topics
from mockupaws.runtime.migrations import create_database, create_roles, migrate
from mockupaws.runtime.settings import Settings

TEMPLATE = "template_migrated"
ROLES = ("mockupaws_owner", "mockupaws_sink", "mockupaws_api")
START_SECONDS = 120


@contextmanager
def running_services(home: Path) -> Iterator[Installation]:
    """The servers, supervised from a thread, with a migrated database to copy."""
    installation = Installation.open(dataclasses.replace(Settings(), home=home))
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


async def own_installation(services: Installation, name: str, home: Path) -> Settings:
    """A database, topics and an archive of this name on the shared servers."""
    connection = await asyncpg.connect(services.superuser_url, timeout=10)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER mockupaws_owner")
    finally:
        await connection.close()
    url: Callable[[str], str] = lambda role: services.postgres_url(role, services.secrets[role], name)  # noqa: E731
    made = dataclasses.replace(
        services.settings,
        home=home,
        kafka_topic_prefix=f"{name}.",
        postgres_owner_url=url("mockupaws_owner"),
        postgres_sink_url=url("mockupaws_sink"),
        postgres_api_url=url("mockupaws_api"),
        redis_url=services.settings.redis_url,
        archive_url=f"file://{home}/archive",
        http_allowed_hosts="api,gateway,other",  # what tests call the applications
    )
    await create_topics(made)
    return made
