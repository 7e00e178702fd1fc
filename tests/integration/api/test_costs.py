"""Costs over HTTP: versions of a scenario, two scenarios side by side, what to change, and estimates that are kept."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import pytest

from mockupaws.runtime.settings import Settings
from mockupaws.schemas.rollups import UNIT_OF
from tests.conftest import Demo, make_tenant

D = Decimal
START = datetime(2026, 11, 20, tzinfo=UTC)
HOURS = 30


@pytest.fixture
async def client(api: httpx.AsyncClient, demo: Demo) -> httpx.AsyncClient:
    api.headers["Authorization"] = f"Bearer {demo.api_key}"
    return api


@pytest.fixture
async def traffic(database: asyncpg.Connection[asyncpg.Record], demo: Demo) -> None:
    """Thirty hours, a minute of each: more by day than by night."""
    for hour in range(HOURS):
        at = START + timedelta(hours=hour)
        await database.execute(
            "INSERT INTO scenario_hours VALUES ($1, $2, $3, 1)", demo.tenant_id, demo.scenario_id, at
        )
        lines = 100 if 8 <= hour % 24 < 20 else 10
        rollups = (("ingest", "requests", 2), ("ingest", "entries", lines), ("ingest", "bytes", lines * 2000),
                   ("bedrock", "tokens", lines * 500), ("sqs", "blocks", lines + 3))  # fmt: skip
        for kind, name, value in rollups:
            batched = json.dumps({"10": lines // 10 + 5}) if kind == "sqs" else None
            await database.execute(
                "INSERT INTO scenario_metrics VALUES ($1,$2,$3,$4,$5,$6,$7,$8)",
                demo.tenant_id, demo.scenario_id, at, kind, name, value,
                UNIT_OF[kind, name], batched,
            )  # fmt: skip


async def get(client: httpx.AsyncClient, path: str, **params: str) -> dict[str, Any]:
    answered = await client.get(path, params=params)
    assert answered.status_code == 200, answered.text
    document: dict[str, Any] = answered.json()
    return document


async def test_a_scenario_keeps_each_version_and_starts_from_a_preset(client: httpx.AsyncClient, demo: Demo) -> None:
    presets = {preset["name"] for preset in (await get(client, "/api/v1/presets"))["presets"]}
    assert {"log-sqs-lambda", "log-llm-triage", "cloudwatch-only", "s3-athena"} == presets
    body = {"name": "Logs", "preset": "cloudwatch-only", "region": "eu-west-1",
            "architecture": {"log_group": {"retention_days": 90}}}  # fmt: skip
    made = (await client.post("/api/v1/scenarios", json=body)).json()
    assert made["architecture"]["log_group"] | {"used": True, "retention_days": 90} == made["architecture"]["log_group"]
    assert not made["architecture"]["queue"]["used"]
    path = f"/api/v1/scenarios/{made['id']}"
    change = {"version": 1, "architecture": {"log_group": {"retention_days": 7}}}
    assert (await client.patch(path, json=change)).status_code == 200
    versions = (await get(client, f"{path}/versions"))["versions"]
    assert [(v["version"], v["architecture"]["log_group"]["retention_days"]) for v in versions] == [(2, 7), (1, 90)]
    assert (await get(client, f"{path}/versions/1"))["architecture"] == made["architecture"]
    for missing in ("3", "0", "x", "9" * 5000):
        assert (await client.get(f"{path}/versions/{missing[:2000]}")).status_code == 404
    for bad in ({"preset": "nonsense"}, {"preset": "s3-athena", "architecture": {"archive": {"object_mb": 0}}}):
        refused = await client.post("/api/v1/scenarios", json={"name": "x", **bad})
        assert refused.status_code == 422, refused.text
    audit = await get(client, "/api/v1/audit")
    changed = next(e for e in audit["entries"] if e["action"] == "scenario.changed")
    assert changed["details"]["before"]["architecture"]["log_group"]["retention_days"] == 90


@pytest.mark.usefixtures("traffic")
async def test_costs_are_compared_explained_and_kept(
    client: httpx.AsyncClient, demo: Demo, settings: Settings, database: asyncpg.Connection[asyncpg.Record]
) -> None:
    path = f"/api/v1/scenarios/{demo.scenario_id}"
    costs = await get(client, f"{path}/costs")
    assert costs["complete"]
    assert costs["projection"]["by_hour_of_day"]
    assert costs["projection"]["stretch"] == "hours"
    low, likely, high = (D(costs["month"]["total"][end]) for end in ("low", "likely", "high"))
    assert low < likely < high
    window = {"from": START.isoformat(), "to": (START + timedelta(hours=2)).isoformat()}
    assert D((await get(client, f"{path}/costs", **window))["measured"]["total"]["likely"]) < D(
        costs["measured"]["total"]["likely"]
    )

    other = (await client.post("/api/v1/scenarios", json={"name": "Triage", "preset": "log-llm-triage"})).json()
    compared = await get(client, f"{path}/costs/compare", **{"with": other["id"]})
    assert (compared["one"]["name"], compared["other"]["name"]) == ("Test", "Triage")
    idle = D(compared["after"]["month"]["total"]["likely"])
    assert {item["name"] for item in compared["after"]["month"]["items"] if D(item["amount"]["likely"])} == {
        "empty receives"
    }, "the other has no traffic, but consumers that poll"
    assert D(compared["difference"]["month"]["total"]["likely"]) == idle - likely
    assert D(compared["month_per_million_lines"]["one"]["likely"]) > 0
    assert D(compared["month_per_million_lines"]["other"]["likely"]) == 0

    found = (await get(client, f"{path}/costs/sensitivity"))["influences"]
    strengths = [abs(D(influence["elasticity"])) for influence in found]
    assert strengths == sorted(strengths, reverse=True)
    assert found[0]["input"] in ("model.share_of_lines", "traffic.lines")

    advice = (await get(client, f"{path}/costs/suggestions"))["suggestions"]
    assert [D(s["saves"]["likely"]) for s in advice] == sorted((D(s["saves"]["likely"]) for s in advice), reverse=True)
    best = advice[0]
    assert best["arithmetic"]
    tried = (await client.post(f"{path}/what-if", json={"architecture": best["change"]})).json()
    assert D(tried["difference"]["month"]["total"]["likely"]) == -D(best["saves"]["likely"])
    assert any(s["change"] == {"function": {"architecture": "arm64"}} for s in advice)

    kept = (await client.post(f"{path}/estimates", json={"note": "before the move"})).json()
    assert kept["estimate_id"].startswith("est_")
    assert kept["month"] == costs["month"]
    again = await client.post(f"{path}/estimates", json={})
    assert (again.json()["estimate_id"], again.json()["note"]) == (kept["estimate_id"], "before the move")
    await client.patch(path, json={"version": 1, "architecture": {"queue": {"batch_size": 1}}})
    for table in ("scenario_metrics", "scenario_hours"):
        await database.execute(f"DELETE FROM {table} WHERE scenario_id = $1", demo.scenario_id)
    later = await get(client, f"/api/v1/estimates/{kept['estimate_id']}")
    assert later["month"] == costs["month"], "neither later changes nor lost rollups are in it"
    assert later["architecture"]["queue"]["batch_size"] == 10
    listed = await get(client, f"{path}/estimates")
    assert [row["estimate_id"] for row in listed["estimates"]] == [kept["estimate_id"]]
    empty = await get(client, f"{path}/costs")
    assert empty["measured"]["total"] == {"low": "0", "likely": "0", "high": "0"}

    stranger = await make_tenant(settings, "stranger@example.com")
    theirs = {"Authorization": f"Bearer {stranger.api_key}"}
    for url in (f"/api/v1/estimates/{kept['estimate_id']}", f"{path}/estimates", f"{path}/versions",
                f"{path}/costs/suggestions", f"{path}/costs/compare?with={stranger.scenario_id}",
                f"/api/v1/scenarios/{stranger.scenario_id}/costs/compare?with={demo.scenario_id}"):  # fmt: skip
        assert (await client.get(url, headers=theirs)).status_code == 404, url


CASES: list[tuple[str, str, dict[str, Any] | None, int]] = [
    ("GET", "/costs?from=2026-11-21T00:00:00Z&to=2026-11-20T00:00:00Z", None, 400),
    ("GET", "/costs?colour=red", None, 400),
    ("GET", "/costs/compare", None, 400),
    ("GET", "/costs/compare?with=nonsense", None, 400),
    ("GET", f"/costs/compare?with={uuid.UUID(int=1)}", None, 404),
    ("POST", "/what-if", {"architecture": {"queue": {"batch_size": 0}}}, 422),
    ("POST", "/what-if", {"architecture": {"function": {"memory_mb": 10**30}}}, 422),
    ("POST", "/what-if", {"architecture": {"model": {"share_of_lines": "-0.1"}}}, 422),
    ("POST", "/what-if", {"architecture": {"model": {"share_of_lines": "1e999999999"}}}, 422),
    ("POST", "/what-if", {"architecture": {"growth": {"share_per_month": 10, "months": 60}}}, 200),
    ("POST", "/what-if", {"architecture": {"model": {"id": "nobody.knows-it"}}}, 200),
    ("POST", "/what-if", {"architecture": {"region": "xx-nowhere-1"}}, 200),
    ("POST", "/estimates", {"from": "2026-11-21T00:00:00Z", "to": "2026-11-20T00:00:00Z"}, 400),
    ("POST", "/estimates", {"note": "x" * 1001}, 422),
]


@pytest.mark.usefixtures("traffic")
async def test_bad_input_is_refused_and_what_has_no_price_is_unpriced(client: httpx.AsyncClient, demo: Demo) -> None:
    for method, suffix, body, status in CASES:
        answered = await client.request(method, f"/api/v1/scenarios/{demo.scenario_id}{suffix}", json=body)
        assert answered.status_code == status, (suffix, body, answered.text)
        document = answered.json()
        if status != 200:
            assert document["error"]["message"]
        elif "growth" not in (body or {})["architecture"]:
            assert not document["after"]["complete"]
            assert document["after"]["month"]["unpriced"]
