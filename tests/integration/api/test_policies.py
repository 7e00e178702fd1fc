"""Policies over HTTP, on a real Postgres: versions, refusals, search by value, shadow counts, preview, and reveals."""

from __future__ import annotations

import dataclasses
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import httpx
import pytest

from mockupaws.api.app import build_app
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.identifiers import EntryIds
from mockupaws.schemas.requests import Entry
from mockupaws.stream_processors.analyse_entries import AnalysedEntry, Analyser
from mockupaws.stream_processors.policies.find_policy import QUERIES as POLICY_QUERIES
from mockupaws.stream_processors.policies.find_policy import find_policy
from tests.conftest import Demo, make_tenant

POLICIES = "/api/v1/policies"
NOW = datetime.now(UTC)  # noqa: TID251 - rows must fall into today's partitions
SECRET = "a secret of the test's own, long enough"

if TYPE_CHECKING:
    Database = asyncpg.Connection[asyncpg.Record]


@pytest.fixture(scope="module")
def analyser() -> Analyser:
    return Analyser()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(settings, tenant_key_secret=SECRET)


@pytest.fixture
async def client(api: httpx.AsyncClient, demo: Demo) -> httpx.AsyncClient:
    api.headers["Authorization"] = f"Bearer {demo.api_key}"
    return api


async def put(client: httpx.AsyncClient, version: int, policy: dict[str, Any], **headers: str) -> httpx.Response:
    return await client.put(POLICIES, json={"version": version, "policy": policy}, headers=headers)


async def store_line(database: Database, settings: Settings, analyser: Analyser, demo: Demo, entry: Entry) -> str:
    """The id of the line as the processor would make it, and the sink store it."""
    policy = await find_policy(database, demo.tenant_id, settings.tenant_key_secret)
    made: AnalysedEntry = analyser.analyse_entry(entry, policy)
    received_at_us = int(NOW.timestamp() * 1e6)
    log_id = uuid.UUID(bytes=EntryIds(uuid.uuid4().bytes, received_at_us)[0])
    await database.execute(
        "INSERT INTO scenario_logs (tenant_id, scenario_id, id, received_at, message_hash, message_preview, source,"
        " level, size_bytes, has_pii, pii_types, token_count, sqs_blocks, attributes, policy_version)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, '', 1, true, '{}', 1, 1, $8, $9)",
        demo.tenant_id,
        demo.scenario_id,
        log_id,
        datetime.fromtimestamp(received_at_us / 1e6, UTC),
        made.message_hash,
        made.message[:500],
        made.source,
        made.attributes,
        policy.version or None,
    )
    return str(log_id)


async def audited(database: Database, demo: Demo) -> list[tuple[str, str, str, str]]:
    rows = await database.fetch(
        "SELECT action, target, outcome, reason FROM audit_log WHERE tenant_id = $1 ORDER BY at, id", demo.tenant_id
    )
    return [(row["action"], row["target"], row["outcome"], row["reason"]) for row in rows]


async def test_a_policy_is_read_changed_and_kept_version_by_version(
    client: httpx.AsyncClient, database: Database, demo: Demo
) -> None:
    first = await client.get(POLICIES)
    assert (first.json()["version"], first.json()["policy"], first.headers["etag"]) == (0, {}, '"0"')
    made = await client.put(
        POLICIES, json={"policy": {"actions": {"IPV4": "flag"}}, "note": "addresses"}, headers={"If-Match": '"0"'}
    )
    assert (made.status_code, made.json()["version"], made.headers["etag"]) == (200, 1, '"1"')
    assert made.json()["created_by"].startswith("api-key:")
    stale = await put(client, 0, {})
    assert (stale.status_code, stale.json()["error"]["code"]) == (409, "version_conflict")
    assert "version 1" in stale.json()["error"]["message"]
    assert (await put(client, 1, {"actions": {"EMAIL": "drop"}})).json()["version"] == 2
    assert (await client.get(POLICIES, params={"version": 1})).json()["policy"] == {"actions": {"IPV4": "flag"}}
    assert (await client.get(POLICIES)).json()["policy"] == {"actions": {"EMAIL": "drop"}}
    assert (await client.get(POLICIES, params={"version": 9})).status_code == 404
    versions = (await client.get(f"{POLICIES}/versions")).json()["versions"]
    assert [(v["version"], v["note"]) for v in versions] == [(2, ""), (1, "addresses")]
    older = (await client.get(f"{POLICIES}/versions", params={"before": 2})).json()["versions"]
    assert [v["version"] for v in older] == [1]
    assert await audited(database, demo) == [
        ("policy.changed", "policy/1", "done", "addresses"),
        ("policy.changed", "policy/2", "done", ""),
    ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"version": 0, "policy": {"actions": {"EMIAL": "mask"}}}, ["`$.policy.actions`", "did you mean `EMAIL`"]),
        ({"version": 0, "policy": {"actions": {"EMAIL": "eat"}}}, ["eat", "$.policy.actions"]),
        (
            {"version": 0, "policy": {"fields": [{"path": "user.mail", "treat_as": "EMAIL"}]}},
            ["`$.policy.fields[0].path`"],
        ),
        ({"version": 0, "policy": {"allow": [{"type": "EMAIL", "value": "x"}] * 501}}, ["500"]),
        ({"version": 0, "policy": {"rules": {}}}, ["rules"]),
        ({"version": 0}, ["policy"]),
        ({"policy": {}}, ["If-Match"]),
    ],
)
async def test_a_policy_that_cannot_be_is_refused_by_name(
    client: httpx.AsyncClient, body: dict[str, Any], words: list[str]
) -> None:
    refused = await client.put(POLICIES, json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_body")
    for word in words:
        assert word in refused.json()["error"]["message"]
    large = await client.put(POLICIES, json={"version": 0, "policy": {}, "note": "x" * 70_000})
    assert large.status_code == 413


async def test_versions_and_audit_rows_are_never_changed(
    client: httpx.AsyncClient, database: Database, settings: Settings
) -> None:
    await put(client, 0, {"actions": {"EMAIL": "hash"}})
    for statement in (
        "UPDATE redaction_policies SET document = '{}'",
        "DELETE FROM redaction_policies",
        "UPDATE tenant_keys SET wrapped = ''",
        "UPDATE audit_log SET reason = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await database.execute(statement)
    api_role = await asyncpg.connect(settings.postgres_api_url)
    try:
        for table in ("redaction_policies", "tenant_keys", "audit_log"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="no tenant is set"):
                await api_role.fetchval(f"SELECT count(*) FROM {table}")
    finally:
        await api_role.close()


async def test_allowed_values_and_keys_are_not_kept_in_the_clear(client: httpx.AsyncClient, database: Database) -> None:
    made = await put(client, 0, {"allow": [{"type": "EMAIL", "value": "no-reply@example.com"}]})
    [allowed] = made.json()["policy"]["allow"]
    assert set(allowed) == {"type", "digest"}
    assert "no-reply" not in str(await database.fetchval("SELECT document FROM redaction_policies"))
    again = await put(client, 1, made.json()["policy"])
    assert again.json()["policy"] == made.json()["policy"]
    assert await database.fetchval("SELECT count(*) FROM tenant_keys") == 1


async def test_without_the_secret_a_policy_that_needs_a_key_is_refused(settings: Settings, demo: Demo) -> None:
    app = await build_app(dataclasses.replace(settings, tenant_key_secret=""))
    headers = {"Authorization": f"Bearer {demo.api_key}"}
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client,
    ):
        refused = await put(client, 0, {"actions": {"EMAIL": "hash"}})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "no_tenant_key")
        assert "MOCKUPAWS_TENANT_KEY_SECRET" in refused.json()["error"]["message"]
        assert (await put(client, 0, {"actions": {"EMAIL": "drop"}})).status_code == 200


async def test_lines_are_found_by_a_value_that_was_hashed_or_encrypted(
    client: httpx.AsyncClient, database: Database, settings: Settings, analyser: Analyser, demo: Demo
) -> None:
    await put(client, 0, {"actions": {"EMAIL": "hash", "IPV4": "encrypt"}})
    hashed = await store_line(database, settings, analyser, demo, Entry("login of Bob@example.com"))
    inside = await store_line(database, settings, analyser, demo, Entry("m", attributes={"ip": "10.0.0.1"}))
    labelled = await store_line(database, settings, analyser, demo, Entry("m", source="bob@example.com"))
    path = f"/api/v1/scenarios/{demo.scenario_id}/logs"

    async def found(**params: str) -> set[str]:
        answered = await client.get(path, params=params)
        assert answered.status_code == 200, answered.text
        return {line["id"] for line in answered.json()["logs"]}

    assert await found(value="BOB@example.com") == {hashed, labelled}
    assert await found(value="10.0.0.1") == {inside}
    assert await found(value="zoe@example.com") == set()
    exported = await client.get(f"{path}/export", params={"value": "10.0.0.1"})
    assert [json.loads(line)["id"] for line in exported.text.splitlines()] == [inside]
    assert json.loads(exported.text)["policy_version"] == 1
    await database.execute("UPDATE scenario_logs SET policy_version = NULL")
    of_before = (await client.get(path)).json()["logs"]
    assert [line["policy_version"] for line in of_before] == [None] * 3  # as lines of releases before have it
    other = await make_tenant(settings, "other@example.com")
    theirs = await client.get(
        f"/api/v1/scenarios/{other.scenario_id}/logs",
        params={"value": "bob@example.com"},
        headers={"Authorization": f"Bearer {other.api_key}"},
    )
    assert theirs.json()["logs"] == []


async def test_a_rotated_key_makes_new_marks_and_leaves_the_old_ones_readable(
    client: httpx.AsyncClient, database: Database, settings: Settings, analyser: Analyser, demo: Demo
) -> None:
    """Two hashed and two encrypted lines, one of each before and after."""
    path = f"/api/v1/scenarios/{demo.scenario_id}/logs"
    await put(
        client,
        0,
        {"actions": {"EMAIL": "hash", "IPV4": "encrypt"}, "allow": [{"type": "EMAIL", "value": "a@example.com"}]},
    )
    line = Entry("bob@example.com from 192.0.2.7 by a@example.com")
    before = await store_line(database, settings, analyser, demo, line)
    assert (await client.post(f"{POLICIES}/keys", json={})).status_code == 422
    made = await client.post(f"{POLICIES}/keys", json={"reason": "yearly rotation"})
    assert (made.status_code, made.json()["number"]) == (201, 2)
    after = await store_line(database, settings, analyser, demo, line)
    texts = {row["id"]: row["message"] for row in (await client.get(path)).json()["logs"]}
    assert texts[before] != texts[after]
    assert all(text.endswith(" by a@example.com") for text in texts.values())  # allowed before the rotation
    for value in ("bob@example.com", "192.0.2.7"):
        found = (await client.get(path, params={"value": value})).json()["logs"]
        assert {row["id"] for row in found} == {before, after}
    for log_id in (before, after):
        revealed = await client.post(f"{path}/{log_id}/reveal", json={"reason": "ticket 4711"})
        assert [entry["value"] for entry in revealed.json()["revealed"]] == ["192.0.2.7"]
    assert [key["number"] for key in (await client.get(f"{POLICIES}/keys")).json()["keys"]] == [2, 1]
    assert ("tenant_key.rotated", "tenant-key/2", "done", "yearly rotation") in await audited(database, demo)
    [changed] = await database.fetch(
        POLICY_QUERIES["changed_policies"], datetime.fromisoformat(made.json()["created_at"])
    )
    assert (changed["version"], changed["key_numbers"]) == (1, [2, 1])  # processors learn of a key without a new policy
    await put(client, 1, {"allow": [{"type": "EMAIL", "value": "c@example.com"}]})
    [allowed] = (await client.get(POLICIES)).json()["policy"]["allow"]
    assert allowed["key"] == 2
    await database.execute(
        "INSERT INTO tenant_keys (tenant_id, number, wrapped)"
        " SELECT tenant_id, 255, wrapped FROM tenant_keys WHERE number = 2"
    )
    unreadable = await client.post(f"{POLICIES}/keys", json={"reason": "once more"})  # wrapped as number 2, not 255
    assert (unreadable.status_code, unreadable.json()["error"]["code"]) == (422, "no_tenant_key")


async def test_what_is_encrypted_is_revealed_for_a_reason_and_on_the_record(
    client: httpx.AsyncClient, database: Database, settings: Settings, analyser: Analyser, demo: Demo
) -> None:
    await put(client, 0, {"actions": {"EMAIL": "encrypt", "IPV4": "hash"}})
    entry = Entry("login of Bob@example.com from 10.0.0.1", attributes={"cc": "ann@example.com"})
    log_id = await store_line(database, settings, analyser, demo, entry)
    path = f"/api/v1/scenarios/{demo.scenario_id}/logs/{log_id}/reveal"
    reason = {"reason": "ticket 4711"}
    answered = await client.post(path, json=reason)
    assert answered.status_code == 200
    assert answered.headers["cache-control"] == "no-store"
    assert [(r["type"], r["value"]) for r in answered.json()["revealed"]] == [
        ("EMAIL", "Bob@example.com"),
        ("EMAIL", "ann@example.com"),
    ]
    mark = answered.json()["revealed"][0]["mark"]
    by_mark = await client.post("/api/v1/reveal", json={"marks": [mark], **reason})
    assert [r["value"] for r in by_mark.json()["revealed"]] == ["Bob@example.com"]
    assert (await client.post(path, json={})).status_code == 422
    assert (await client.post(path, json={"reason": ""})).status_code == 422
    assert (await client.post(path.replace(log_id, str(uuid.uuid4())), json=reason)).status_code == 404
    assert (await client.post("/api/v1/reveal", json={"marks": [mark, "[EMAIL:e:x]"], **reason})).status_code == 404

    other = await make_tenant(settings, "other@example.com")
    theirs = {"Authorization": f"Bearer {other.api_key}"}
    assert (await client.post(path, json=reason, headers=theirs)).status_code == 404
    assert (await client.post("/api/v1/reveal", json={"marks": [mark], **reason}, headers=theirs)).status_code == 404
    reader = (await client.post("/api/v1/api-keys", json={"name": "r", "scopes": ["read"]})).json()["key"]
    refused = await client.post(path, json=reason, headers={"Authorization": f"Bearer {reader}"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")

    target = f"scenario/{demo.scenario_id}/log/{log_id}"
    assert [row for row in await audited(database, demo) if row[0] == "marks.revealed"] == [
        ("marks.revealed", target, "done", "ticket 4711"),
        ("marks.revealed", "marks", "done", "ticket 4711"),
        ("marks.revealed", "marks", "refused", "ticket 4711"),
        ("marks.revealed", path, "refused", ""),
    ]
    details = await database.fetch("SELECT details::text FROM audit_log WHERE action = 'marks.revealed'")
    assert "example.com" not in str(details)


async def test_a_line_cut_inside_a_mark_says_so(
    client: httpx.AsyncClient, database: Database, settings: Settings, analyser: Analyser, demo: Demo
) -> None:
    await put(client, 0, {"actions": {"EMAIL": "encrypt"}})
    entry = Entry("x" * 470 + " ann.with.a.long.name@example.com")
    log_id = await store_line(database, settings, analyser, demo, entry)
    path = f"/api/v1/scenarios/{demo.scenario_id}/logs/{log_id}/reveal"
    answered = await client.post(path, json={"reason": "ticket 4711"})
    assert answered.json() == {"revealed": [], "cut": True}


async def test_scopes(client: httpx.AsyncClient) -> None:
    reader = (await client.post("/api/v1/api-keys", json={"name": "r", "scopes": ["read"]})).json()["key"]
    headers = {"Authorization": f"Bearer {reader}"}
    assert (await client.get(POLICIES, headers=headers)).status_code == 200
    assert (await put(client, 0, {}, **headers)).status_code == 403
    assert (await client.get(POLICIES, headers={"Authorization": ""})).status_code == 401


async def test_shadow_counts_are_summed_over_the_tenants_scenarios(
    client: httpx.AsyncClient, database: Database, settings: Settings, demo: Demo
) -> None:
    await put(client, 0, {"shadow": {"actions": {"EMAIL": "drop", "IBAN": "flag"}, "rules": ["phone.hinted"]}})
    other = await make_tenant(settings, "other@example.com")
    for tenant, name, value in (
        (demo, "EMAIL.lines", 2),
        (demo, "EMAIL.findings", 3),
        (demo, "MAC.lines", 1),
        (demo, "phone.hinted@2.lines", 4),
        (demo, "phone.hinted@2.findings", 5),
        (demo, "email.next@7.findings", 1),
        (other, "IBAN.lines", 9),
    ):
        await database.execute(
            'INSERT INTO scenario_metrics (tenant_id, scenario_id, "timestamp", metric_type, metric_name, value, unit)'
            " VALUES ($1, $2, $3, $6, $4, $5, 'entries')",
            tenant.tenant_id,
            tenant.scenario_id,
            NOW - timedelta(minutes=1),
            name,
            value,
            "shadow_rule" if "@" in name else "shadow",
        )
    answered = (await client.get(f"{POLICIES}/shadow")).json()
    assert answered["version"] == 1
    assert answered["shadow"] == [
        {"type": "EMAIL", "action": "drop", "lines": 2, "findings": 3},
        {"type": "IBAN", "action": "flag", "lines": 0, "findings": 0},
        {"type": "MAC", "action": None, "lines": 1, "findings": 0},
    ]
    assert answered["rules"] == [
        {"rule": "email.next", "version": 7, "in_force": False, "lines": 0, "findings": 1},
        {"rule": "phone.hinted", "version": 2, "in_force": True, "lines": 4, "findings": 5},
    ]
    series = f"/api/v1/scenarios/{demo.scenario_id}/metrics"
    hinted = await client.get(series, params={"name": "shadow_rule.phone.hinted@2.findings"})
    assert (hinted.status_code, hinted.json()["unit"]) == (200, "findings")
    assert (await client.get(series, params={"name": "shadow_rule.phone.hinted@2.x"})).status_code == 400
    backwards = {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}
    assert (await client.get(f"{POLICIES}/shadow", params=backwards)).status_code == 400


async def test_a_preview_shows_what_a_candidate_would_change_and_stores_nothing(
    client: httpx.AsyncClient, database: Database
) -> None:
    await put(client, 0, {"actions": {"IPV4": "flag"}})
    body = {
        "policy": {
            "actions": {"IPV4": "flag", "EMAIL": "drop"},
            "allow": [{"type": "EMAIL", "value": "no-reply@example.com"}],
            "shadow": {"actions": {"IPV4": "mask"}},
        },
        "lines": [
            "bob@example.com from 10.0.0.1",
            "from 10.0.0.2",
            {"message": "m", "attributes": {"to": "no-reply@example.com"}},
        ],
    }
    answered = await client.post(f"{POLICIES}/preview", json=body)
    assert answered.status_code == 200, answered.text
    assert answered.json()["version"] == 1
    shown = answered.json()["preview"]
    assert (shown["lines"], shown["changed_lines"]) == (3, 2)
    assert shown["before"] == {
        "lines_with_findings": 3,
        "types": {"EMAIL": {"action": "mask", "lines": 2}, "IPV4": {"action": "flag", "lines": 2}},
    }
    assert shown["after"]["types"]["EMAIL"] == {"action": "drop", "lines": 1}
    assert shown["shadow"] == {"IPV4": {"action": "mask", "lines": 2}}
    assert shown["examples"][0]["before"] == "[EMAIL] from 10.0.0.1"
    assert shown["examples"][0]["after"] == "[DROPPED] from 10.0.0.1"
    assert shown["examples"][1]["after_attributes"] == {"to": "no-reply@example.com"}
    assert await database.fetchval("SELECT count(*) FROM redaction_policies") == 1
    refused: tuple[dict[str, Any], ...] = (
        {"policy": {"actions": {"X": "mask"}}, "lines": ["a"]},
        {"policy": {}, "lines": []},
        {"policy": {}, "lines": ["a"] * 1001},
        {"policy": {}, "lines": [1]},
    )
    for wrong in refused:
        assert (await client.post(f"{POLICIES}/preview", json=wrong)).status_code == 422
    assert (await client.post(f"{POLICIES}/preview", json={"policy": {}, "lines": ["x" * 2**20]})).status_code == 413
