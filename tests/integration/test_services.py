"""The fixtures themselves: what they promise to every other test."""

from __future__ import annotations

import asyncpg

from mockupaws.runtime.kafka import topic_ids, topic_name
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.topics import TOPICS
from tests.conftest import Demo


async def test_each_test_has_topics_and_a_migrated_database_of_its_own(settings: Settings, demo: Demo) -> None:
    assert set(await topic_ids(settings)) == {topic_name(settings, topic) for topic in TOPICS}
    connection = await asyncpg.connect(settings.postgres_owner_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM scenarios") == 1
        assert await connection.fetchval("SELECT tenant_id FROM scenarios") == demo.tenant_id
    finally:
        await connection.close()


async def test_no_test_sees_the_rows_of_another(settings: Settings) -> None:
    connection = await asyncpg.connect(settings.postgres_owner_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM tenants") == 0
    finally:
        await connection.close()
