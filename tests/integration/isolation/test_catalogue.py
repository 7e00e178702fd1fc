"""The database itself keeps tenants apart, whatever a query forgets: its catalogue is as the rules say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from mockupaws.runtime.embedded.installation import Installation
from mockupaws.runtime.migrations import migrate
from mockupaws.runtime.settings import Settings
from tests.integration.isolation.catalogue import audit


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    yield connection
    await connection.close()


async def test_nothing_is_wrong_and_every_table_and_function_has_a_rule(
    settings: Settings, owner: asyncpg.Connection[asyncpg.Record]
) -> None:
    assert await audit(owner) == []
    assert await migrate(settings.postgres_owner_url) == []


HARM = {
    "ALTER TABLE ingest_receipts DISABLE ROW LEVEL SECURITY": "ingest_receipts doesn't force",
    "ALTER TABLE audit_log NO FORCE ROW LEVEL SECURITY": "audit_log doesn't force",
    "DROP POLICY tenant_only ON users": "users has the policies []",
    "CREATE POLICY all_of_them ON api_keys FOR SELECT USING (true)": "api_keys has the policies",
    "ALTER POLICY tenant_only ON scenario_logs USING (true)": "scenario_logs has the policies",
    "ALTER POLICY tenant_only ON scenarios WITH CHECK (true)": "scenarios has the policies",
    "CREATE TABLE reports (tenant_id uuid)": "reports has no rule",
    "CREATE VIEW all_lines AS SELECT * FROM scenario_logs": "all_lines has no rule",
    "CREATE MATERIALIZED VIEW all_users AS SELECT * FROM users": "all_users has no rule",
    "ALTER VIEW partition_bounds SET (security_invoker = false)": "partition_bounds reads with its owner's rights",
    "GRANT SELECT ON dead_letters TO mockupaws_api": "dead_letters is granted otherwise",
    "GRANT SELECT (secret_hmac) ON api_keys TO PUBLIC": "api_keys is granted otherwise",
    "GRANT SELECT ON scenario_logs TO mockupaws_sink": "scenario_logs is granted otherwise",
    "GRANT UPDATE ON audit_log TO mockupaws_api": "audit_log is granted otherwise",
    "GRANT SELECT ON consumer_offsets TO mockupaws_api": "consumer_offsets is granted otherwise",
    "DO $$ BEGIN EXECUTE (SELECT format('GRANT SELECT ON %I TO mockupaws_api', partition_table) FROM partition_bounds"
    " LIMIT 1); END $$": "is granted: mockupaws_api SELECT",
    "DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE %I DISABLE ROW LEVEL SECURITY', partition_table)"
    " FROM partition_bounds LIMIT 1); END $$": "doesn't force row-level security",
    "CREATE FUNCTION peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER RETURN 1": "function peek",
    "ALTER FUNCTION find_user(text) RESET search_path": "find_user runs as its owner",
    "GRANT EXECUTE ON FUNCTION find_user TO PUBLIC": "find_user may be called by",
    "GRANT EXECUTE ON FUNCTION make_log_partition TO mockupaws_api": "make_log_partition may be called by",
    "GRANT CREATE ON SCHEMA public TO mockupaws_api": "may make things",
    "CREATE SCHEMA more": "schema more",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO mockupaws_api": "granted by default",
    "ALTER TABLE sessions ADD FOREIGN KEY (user_id) REFERENCES users": "leaves out tenant_id",
    "DROP TABLE archive_objects": "archive_objects is gone",
}  # fmt: skip


async def test_each_harm_is_found(owner: asyncpg.Connection[asyncpg.Record]) -> None:
    unseen = []
    for statement, words in HARM.items():
        transaction = owner.transaction()
        await transaction.start()
        await owner.execute(statement)
        findings = await audit(owner)
        await transaction.rollback()
        if not any(words in finding for finding in findings):
            unseen.append((statement, findings))
    assert unseen == []


ROLE_HARM = {
    "ALTER ROLE mockupaws_api BYPASSRLS": "role mockupaws_api is more",
    "ALTER ROLE mockupaws_sink CREATEROLE": "role mockupaws_sink is more",
    "GRANT mockupaws_owner TO mockupaws_api": "has the rights of mockupaws_owner",
    "ALTER TABLE users OWNER TO mockupaws_api": "users belongs to mockupaws_api",
}


async def test_each_harm_of_a_role_is_found(services: Installation, settings: Settings) -> None:
    """In transactions that are rolled back: other tests use the same roles."""
    database = urlsplit(settings.postgres_owner_url).path.removeprefix("/")
    url = services.postgres_url("postgres", services.secrets["postgres_superuser"], database)
    superuser = await asyncpg.connect(url, timeout=10)
    try:
        for statement, words in ROLE_HARM.items():
            transaction = superuser.transaction()
            await transaction.start()
            await superuser.execute(statement)
            findings = await audit(superuser)
            await transaction.rollback()
            assert any(words in finding for finding in findings), statement
    finally:
        await superuser.close()
