"""Statements read what they need by an index, and each index has a statement that needs it: as the planner chooses, of
many rows, for the role that asks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from mockupaws.api.queries import SQL
from mockupaws.runtime.postgres import Connection, load_queries, open_pool, tenant_transaction
from mockupaws.runtime.settings import Settings
from tests.conftest import Demo
from tests.integration.plans.statements import (
    FUNCTIONS,
    SERVE_NO_STATEMENT,
    Role,
    Statement,
    statements,
    text_of,
)

PARENTS = """
    SELECT c.relname AS name, parent.relname AS parent
    FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid JOIN pg_class AS parent ON parent.oid = inhparent
"""
INDEXES = """
    SELECT c.relname AS name, i.indisunique AS is_unique, i.indpred IS NOT NULL AS is_partial,
           pg_stat_get_numscans(c.oid) AS scans
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
"""


async def test_each_statement_reads_by_its_index_and_each_index_is_needed(settings: Settings, demo: Demo) -> None:
    owner = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    try:
        day = await _fill(owner, demo)
        parents = {row["name"]: row["parent"] for row in await owner.fetch(PARENTS)}
        partial = {row["name"] for row in await owner.fetch(INDEXES) if row["is_partial"]}
        wrong, used = [], set[str]()
        wanted = statements(demo.tenant_id, demo.scenario_id, day)
        for role in ("api", "sink", "owner"):
            for name, statement in wanted.items():
                if statement.role == role:
                    async with _connection(settings, demo, role) as connection:
                        plan = await _plan(connection, text_of(name), statement)
                    faults = list(_faults(plan, statement, parents, partial))
                    used |= _indexes(plan, parents)
                    wrong += [f"{name}: {'; '.join(faults)}\n{json.dumps(plan, indent=1)}"] if faults else []
        assert not wrong, "\n".join(wrong)

        before = await owner.fetch(INDEXES)
        async with _connection(settings, demo, "api") as connection:
            for function in FUNCTIONS:
                await connection.fetch(function)
            await connection.execute("SELECT pg_stat_force_next_flush()")
        scans = {row["name"]: row["scans"] for row in before}
        idle = {
            row["name"]
            for row in await owner.fetch(INDEXES)
            if row["name"] not in used and not row["is_unique"] and row["scans"] == scans[row["name"]]
        }  # a unique one keeps what it promises
        assert idle == set(SERVE_NO_STATEMENT)
    finally:
        await owner.close()


async def _fill(owner: asyncpg.Connection[asyncpg.Record], demo: Demo) -> datetime:
    """The day of most lines: the first that has a partition of rollups."""
    day: datetime = await owner.fetchval(
        "SELECT min(lower_bound) FROM partition_bounds WHERE parent_table = 'scenario_metrics'"
    )
    for block in load_queries("tests.integration.plans", "data_set.sql").values():
        await owner.execute(block, demo.tenant_id, demo.scenario_id, day, timeout=300)
    await owner.execute("ANALYZE", timeout=300)
    return day


@asynccontextmanager
async def _connection(settings: Settings, demo: Demo, role: Role) -> AsyncIterator[Connection]:
    """In a transaction as that role's processes begin them."""
    if role == "api":
        pool = await open_pool(settings.postgres_api_url, settings, max_size=1)
        try:
            async with tenant_transaction(pool, demo.tenant_id, timeout_seconds=60) as connection:
                yield connection
        finally:
            pool.terminate()
        return
    url = settings.postgres_sink_url if role == "sink" else settings.postgres_owner_url
    connection = await asyncpg.connect(url, timeout=10, statement_cache_size=0)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


async def _plan(connection: Connection, text: str, statement: Statement) -> dict[str, Any]:
    if statement.walks:
        await connection.execute(SQL["walk_key"])
    explained = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {text}", *statement.arguments)
    plan: dict[str, Any] = json.loads(explained)[0]["Plan"]
    return plan


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _faults(
    plan: Mapping[str, Any], statement: Statement, parents: Mapping[str, str], partial: Collection[str]
) -> Iterator[str]:
    for node in _nodes(plan):
        table, index = node.get("Relation Name", ""), node.get("Index Name", "")
        table = parents.get(table, table)
        if table.startswith("pg_") or index.startswith("pg_"):
            continue  # the catalogue is small
        if node["Node Type"] in ("Seq Scan", "Tid Range Scan", "Sample Scan") and table not in statement.whole:
            yield f"reads {table} whole"
        if index and "Index Cond" not in node and index not in partial and not statement.whole:
            yield f"reads all of {index}"  # a partial one may hold just what is wanted
    missing = statement.uses - _indexes(plan, parents)
    if missing:
        yield f"does without {', '.join(sorted(missing))}"


def _indexes(plan: Mapping[str, Any], parents: Mapping[str, str]) -> set[str]:
    names = {node["Index Name"] for node in _nodes(plan) if "Index Name" in node}
    return {parents.get(name, name) for name in names}
