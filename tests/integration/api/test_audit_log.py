"""What is recorded, by whom it can be read, that nothing can be taken back, and that damage is found."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from mockupaws.api.app import build_app
from mockupaws.archive.anchor_audit import anchor_chains
from mockupaws.archive.lifecycle import maintain
from mockupaws.archive.object_store import FolderStore, open_store
from mockupaws.cli.audit import verify_chain
from mockupaws.cli.record_in_audit_log import NotRecordedError, record_as_operator, tenants_of_scenario
from mockupaws.runtime.audit import AuditEntry, append_entry
from mockupaws.runtime.settings import Settings
from tests.conftest import Demo, make_tenant
from tests.integration.api.conftest import PASSWORD, bearer, log_in
from tests.integration.api.test_api import NOW


async def entries_of(api: httpx.AsyncClient, demo: Demo, **params: Any) -> list[dict[str, Any]]:
    answered = await api.get("/api/v1/audit", params=params, headers=bearer(demo.api_key))
    assert answered.status_code == 200, answered.text
    entries: list[dict[str, Any]] = answered.json()["entries"]
    return entries


async def fill(database: asyncpg.Connection[asyncpg.Record], settings: Settings, demo: Demo, count: int) -> None:
    for number in range(count):
        async with database.transaction():
            entry = AuditEntry(
                tenant_id=demo.tenant_id,
                actor="ada",
                action="thing.made",
                target=str(number),
                details={"n": number / 4},
            )
            await append_entry(database, settings.audit_key, entry, NOW + timedelta(seconds=number))


async def tamper(database: asyncpg.Connection[asyncpg.Record], *statements: str) -> None:
    """As somebody would who is superuser of the database, and knows about the triggers."""
    await database.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
    for statement in statements:
        await database.execute(statement)
    await database.execute("ALTER TABLE audit_log ENABLE TRIGGER USER")


async def test_each_change_is_told_with_who_what_and_from_where(
    api: httpx.AsyncClient, demo: Demo, owner_email: str
) -> None:
    owner = bearer(await log_in(api, owner_email))
    user = (
        await api.post(
            "/api/v1/users", json={"email": "ada@example.com", "password": PASSWORD, "role": "analyst"}, headers=owner
        )
    ).json()
    await api.patch(f"/api/v1/users/{user['id']}", json={"role": "operator", "password": PASSWORD + "!"}, headers=owner)
    key = (await api.post("/api/v1/api-keys", json={"name": "k", "scopes": ["read"]}, headers=owner)).json()
    rotated = (await api.post(f"/api/v1/api-keys/{key['id']}/rotate", json={}, headers=owner)).json()
    await api.delete(f"/api/v1/api-keys/{rotated['id']}", headers=owner)
    made = await api.post("/api/v1/scenarios", json={"name": "A"}, headers=owner)
    path = made.headers["location"]
    changed = await api.patch(path, json={"version": 1, "name": "B"}, headers=owner)
    await api.patch(path, json={"version": 1, "name": "C"}, headers=owner)  # refused: changes nothing
    exported = await api.get(f"{path}/logs/export", params={"q": "ada@example.com", "level": "error"}, headers=owner)
    await api.delete(path, headers=owner)
    await api.post(
        "/api/v1/auth/password", json={"current_password": PASSWORD, "new_password": PASSWORD + "?"}, headers=owner
    )
    await api.delete(f"/api/v1/users/{user['id']}", headers=owner)
    await api.post("/api/v1/auth/logout", headers=owner)
    assert exported.status_code == 200
    entries = (await entries_of(api, demo))[::-1]
    assert [entry["number"] for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry["action"] for entry in entries] == [
        "session.opened", "user.created", "user.changed", "api_key.created", "api_key.rotated", "api_key.revoked",
        "scenario.created", "scenario.changed", "logs.exported", "scenario.deleted", "password.changed", "user.removed",
        "session.ended",
    ]  # fmt: skip
    assert {entry["actor"] for entry in entries} == {str(demo.user_id)}
    assert {entry["address"] for entry in entries} == {"127.0.0.1"}
    by_action = {entry["action"]: entry for entry in entries}
    assert by_action["scenario.changed"]["request_id"] == changed.headers["x-request-id"]
    details = by_action["scenario.changed"]["details"]
    assert (details["before"]["name"], details["after"]["name"]) == ("A", "B")
    assert by_action["user.changed"]["details"]["before"] == {"role": "analyst"}
    assert by_action["user.changed"]["details"]["password_reset"] is True
    assert by_action["logs.exported"]["details"]["filter"]["level"] == "error"
    text = json.dumps(entries)
    for secret in (PASSWORD, key["key"], rotated["key"], key["key"].rpartition("_")[2], "ada@example.com", "$2b$"):
        assert secret not in text


async def test_a_change_that_cannot_be_recorded_is_not_made(
    settings: Settings, demo: Demo, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    await database.execute("REVOKE INSERT ON audit_log FROM mockupaws_api")
    app = await build_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as api,
    ):
        path = f"/api/v1/scenarios/{demo.scenario_id}"
        headers = bearer(demo.api_key)
        assert (await api.delete(path, headers=headers)).status_code == 500
        assert (await api.get(path, headers=headers)).status_code == 200
        assert (await api.get(f"{path}/logs/export", headers=headers)).status_code == 500


async def test_pages_and_filters(
    api: httpx.AsyncClient, demo: Demo, database: asyncpg.Connection[asyncpg.Record], settings: Settings
) -> None:
    await fill(database, settings, demo, 7)
    assert [entry["number"] for entry in await entries_of(api, demo, limit=3)] == [7, 6, 5]
    seen: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await api.get("/api/v1/audit", params={"limit": 3, **cursor}, headers=bearer(demo.api_key))).json()
        seen += [entry["number"] for entry in page["entries"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    for params, count in (
        ({"actor": "ada"}, 7),
        ({"actor": "' OR '1'='1"}, 0),
        ({"action": "thing"}, 7),
        ({"action": "thing.made"}, 7),
        ({"action": "thin"}, 0),
        ({"action": "%"}, 0),
        ({"target": "3"}, 1),
        ({"target": "3'; DROP TABLE audit_log; --"}, 0),
        ({"outcome": "refused"}, 0),
        ({"from": (NOW + timedelta(seconds=4)).isoformat()}, 3),
        ({"to": (NOW + timedelta(seconds=4)).isoformat()}, 4),
    ):
        assert len(await entries_of(api, demo, **params)) == count, params
    for bad in (
        {"limit": 0}, {"from": "yesterday"}, {"colour": "red"}, {"actor": "a\0"}, {"cursor": "AAAA"}, {"outcome": "x"},
        {"actor": "x", **cursor}, {"from": NOW.isoformat(), "to": (NOW - timedelta(days=1)).isoformat()},
    ):  # fmt: skip
        refused = await api.get("/api/v1/audit", params=bad, headers=bearer(demo.api_key))
        assert refused.status_code == 400, bad


async def test_only_who_manages_reads_it_and_only_their_own(
    api: httpx.AsyncClient, demo: Demo, settings: Settings, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    await fill(database, settings, demo, 2)
    other = await make_tenant(settings, "other@example.com")
    assert await entries_of(api, other) == []
    reader = await api.post(
        "/api/v1/api-keys", json={"name": "k", "scopes": ["read", "operate"]}, headers=bearer(demo.api_key)
    )
    assert (await api.get("/api/v1/audit", headers=bearer(reader.json()["key"]))).status_code == 403
    assert (await api.get("/api/v1/audit")).status_code == 401


@pytest.mark.parametrize("role", ["owner", "api", "sink"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_log SET actor = 'eve'", "DELETE FROM audit_log", "TRUNCATE audit_log", "TRUNCATE audit_log CASCADE"],
)
async def test_nobody_takes_an_entry_back(
    settings: Settings, demo: Demo, database: asyncpg.Connection[asyncpg.Record], role: str, statement: str
) -> None:
    await fill(database, settings, demo, 1)
    connection = await asyncpg.connect(getattr(settings, f"postgres_{role}_url"), timeout=10)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('app.current_tenant', $1, true)", str(demo.tenant_id))
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.IntegrityConstraintViolationError)):
                async with connection.transaction():
                    await connection.execute(statement)
    finally:
        await connection.close()
    assert await database.fetchval("SELECT count(*) FROM audit_log WHERE actor = 'ada'") == 1


async def test_appends_at_once_follow_one_another(settings: Settings, demo: Demo) -> None:
    other = await make_tenant(settings, "other@example.com")
    connections = [await asyncpg.connect(settings.postgres_owner_url, timeout=10) for _ in range(6)]

    async def append(connection: asyncpg.Connection[asyncpg.Record], tenant: Demo) -> None:
        await fill(connection, settings, tenant, 10)

    try:
        await asyncio.gather(
            *(append(connection, tenant) for connection, tenant in zip(connections, [demo, other] * 3, strict=True))
        )
        for tenant in (demo, other):
            verdict, _ = await verify_chain(connections[0], open_store(settings), settings.audit_key, tenant.tenant_id)
            assert (verdict.entries, verdict.first_bad) == (30, None)
    finally:
        for connection in connections:
            await connection.close()


@pytest.mark.parametrize(
    ("statements", "first_bad"),
    [
        (["UPDATE audit_log SET actor = 'eve' WHERE number = 4"], 4),
        (["UPDATE audit_log SET details = '{}' WHERE number = 2"], 2),
        (["UPDATE audit_log SET at = at + interval '1 microsecond' WHERE number = 6"], 6),
        (["DELETE FROM audit_log WHERE number = 3"], 3),
        (["DELETE FROM audit_log WHERE number = 3", "UPDATE audit_log SET number = number - 1 WHERE number > 3"], 3),
        (["DELETE FROM audit_log WHERE number > 5"], 6),
        (["DELETE FROM audit_log"], 1),
        (
            [
                "UPDATE audit_log SET number = 99 WHERE number = 2",
                "UPDATE audit_log SET number = 2 WHERE number = 3",
                "UPDATE audit_log SET number = 3 WHERE number = 99",
            ],
            2,
        ),
        (["UPDATE audit_log SET number = number + 1000 WHERE number > 4",
          "INSERT INTO audit_log SELECT gen_random_uuid(), tenant_id, at, actor, action, target, outcome, reason, "
          "details, 5, address, request_id, hash FROM audit_log WHERE number = 4",
          "UPDATE audit_log SET number = number - 999 WHERE number > 1000"], 5),
    ],
    ids=["changed", "details", "time", "deleted", "deleted, renumbered", "end cut", "emptied", "reordered", "inserted"],
)  # fmt: skip
async def test_damage_is_found_and_not_anchored_over(
    settings: Settings,
    demo: Demo,
    database: asyncpg.Connection[asyncpg.Record],
    statements: list[str],
    first_bad: int,
) -> None:
    await fill(database, settings, demo, 5)
    await maintain(settings, NOW)
    await fill(database, settings, demo, 3)
    await maintain(settings, NOW)
    store = open_store(settings)
    verdict, anchored = await verify_chain(database, store, settings.audit_key, demo.tenant_id)
    assert (verdict.entries, verdict.first_bad, anchored) == (8, None, 8)
    await tamper(database, *statements)
    verdict, _ = await verify_chain(database, store, settings.audit_key, demo.tenant_id)
    assert verdict.first_bad == first_bad
    await fill(database, settings, demo, 1)
    await maintain(settings, NOW)
    verdict, _ = await verify_chain(database, store, settings.audit_key, demo.tenant_id)
    assert verdict.first_bad is not None


async def test_a_chain_written_anew_with_the_key_is_found(
    settings: Settings, demo: Demo, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    await fill(database, settings, demo, 5)
    await maintain(settings, NOW)
    await tamper(database, "DELETE FROM audit_log")
    await fill(database, settings, demo, 2)
    await fill(database, settings, demo, 6)
    store = open_store(settings)
    verdict, _ = await verify_chain(database, store, settings.audit_key, demo.tenant_id)
    assert (verdict.first_bad, "replaced" in verdict.why) == (5, True)
    refused = await anchor_chains(database, store, settings.audit_key, NOW)
    assert (refused.anchored, refused.refused) == (0, 1)
    assert isinstance(store, FolderStore)


async def test_a_forged_or_missing_anchor_is_named(
    settings: Settings, demo: Demo, database: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    await fill(database, settings, demo, 1)
    await maintain(settings, NOW)
    await fill(database, settings, demo, 1)
    await maintain(settings, NOW)
    store = open_store(settings)
    folder = tmp_path / "archive" / "audit-anchors" / str(demo.tenant_id)
    assert len(list(folder.glob("*.json"))) == 3
    (folder / f"{1:020d}.json").unlink()
    verdict, _ = await verify_chain(database, store, settings.audit_key, demo.tenant_id)
    assert (verdict.first_bad, "missing" in verdict.why) == (0, True)
    (folder / "head.json").write_text('{"number": 2}')
    verdict, _ = await verify_chain(database, store, settings.audit_key, demo.tenant_id)
    assert "no anchor made here" in verdict.why


async def test_an_archive_that_is_down_stops_neither_changes_nor_maintenance(
    settings: Settings, demo: Demo, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    await fill(database, settings, demo, 1)
    await maintain(dataclasses.replace(settings, archive_url="file:///proc/nowhere"), NOW)
    await maintain(settings, NOW)
    verdict, anchored = await verify_chain(database, open_store(settings), settings.audit_key, demo.tenant_id)
    assert (verdict.first_bad, anchored) == (None, 1)
    assert await verify_chain(database, open_store(settings), settings.audit_key, uuid.uuid4())


async def test_what_an_operator_does_is_told_to_each_tenant_or_not_done(
    api: httpx.AsyncClient, settings: Settings, demo: Demo
) -> None:
    other = await make_tenant(settings, "other@example.com")
    assert await tenants_of_scenario(settings, demo.scenario_id) == [demo.tenant_id]
    assert await tenants_of_scenario(settings, uuid.uuid4()) == []
    await record_as_operator(settings, [demo.tenant_id, other.tenant_id], "dead_letters.redriven", "dead_letters", {})
    for tenant in (demo, other):
        (entry,) = await entries_of(api, tenant)
        assert (entry["actor"], entry["address"][:4]) == ("operator", "cli:")
    cut_off = dataclasses.replace(settings, postgres_owner_url="postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(NotRecordedError, match="nothing was done"):
        await record_as_operator(cut_off, [demo.tenant_id], "scenario.replayed", "x", {})
