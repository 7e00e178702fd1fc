"""Pages, hits, facets, findings and exports of many lines, and their bounds."""

from __future__ import annotations

import csv
import gzip
import io
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pyarrow.parquet as pq
import pytest
import zstandard
from redis.asyncio import Redis

from mockupaws.api import logs, tail
from mockupaws.api.cursor import Position
from mockupaws.api.routes import ROUTES
from mockupaws.runtime.postgres import open_pool, tenant_transaction
from mockupaws.runtime.settings import Settings
from tests.conftest import Demo

LINES = 20_000
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)  # noqa: TID251 - rows must fall into today's partitions
FIRST = HOUR - timedelta(hours=1)
"""Lines come each 0.36 s of two hours; only half of them are the demo scenario's."""
MAKE_LINES = """
    INSERT INTO scenario_logs (tenant_id, scenario_id, id, received_at, message_hash, message_preview, source, level,
                               size_bytes, has_pii, pii_types, token_count, sqs_blocks, attributes)
    SELECT $1, CASE WHEN n % 2 = 0 THEN $2::uuid ELSE md5((n % 20)::text)::uuid END,
           ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, $3::timestamptz + n * interval '0.36 s',
           'x', CASE n % 5000 WHEN 0 THEN 'a Rare thing ' || n WHEN 2 THEN E'=1+"2",\n' ELSE 'an ordinary line' END,
           CASE n % 3 WHEN 0 THEN 'db' ELSE 'app' END, CASE n % 10 WHEN 0 THEN 'error' ELSE 'info' END, 100, n % 4 = 0,
           CASE WHEN n % 8 = 0 THEN '{EMAIL,IPV4}' WHEN n % 4 = 0 THEN '{EMAIL}' ELSE '{}' END::text[], 25, 1,
           jsonb_build_object('status', 200 + n % 3)
    FROM generate_series(0, $4 - 1) AS n
"""
COUNT_FACETS = """
    INSERT INTO scenario_facets (tenant_id, scenario_id, hour, source, level, pii_types, entries)
    SELECT tenant_id, scenario_id, date_trunc('hour', received_at, 'UTC'), source, level, pii_types, count(*)
    FROM scenario_logs GROUP BY 1, 2, 3, 4, 5, 6
"""


@pytest.fixture
async def path(api: httpx.AsyncClient, database: asyncpg.Connection[asyncpg.Record], demo: Demo) -> str:
    """Of the demo scenario, which has 10,000 lines."""
    await database.execute(MAKE_LINES, demo.tenant_id, demo.scenario_id, FIRST, LINES)
    await database.execute(COUNT_FACETS)
    await database.execute("ANALYZE scenario_logs")
    api.headers["Authorization"] = f"Bearer {demo.api_key}"
    return f"/api/v1/scenarios/{demo.scenario_id}"


async def get(api: httpx.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    answered = await api.get(path, params=params)
    assert answered.status_code == 200, answered.text
    document: dict[str, Any] = answered.json()
    return document


async def test_many_lines(
    api: httpx.AsyncClient, path: str, demo: Demo, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = {"from": FIRST.isoformat(), "to": (FIRST + timedelta(minutes=90)).isoformat()}

    # Pages: by attributes, as of a moment, and never longer than what may be looked at.
    found = await get(api, f"{path}/logs", attributes='{"status": 201}', limit=1000)
    assert {line["attributes"]["status"] for line in found["logs"]} == {201}
    as_of = FIRST + timedelta(hours=1)
    page = await get(api, f"{path}/logs", as_of=as_of.isoformat(), limit=2)
    assert page["logs"][0]["received_at"] <= as_of.isoformat().replace("+00:00", "Z")
    assert page["looked_through"] is True
    assert (await get(api, f"{path}/logs", attributes='{"a": -1e-99999999}'))["logs"] == []
    monkeypatch.setattr(logs, "FIRST_LOOK", 1000)
    monkeypatch.setattr(logs, "FILTERED_LOOK", 2000)
    seen: list[str] = []
    pages, cursor = 0, None
    while True:
        page = await get(api, f"{path}/logs", q="rAre", **({"cursor": cursor} if cursor else {}))
        seen += [line["message"] for line in page["logs"]]
        pages, cursor = pages + 1, page["next_cursor"]
        if cursor is None:
            break
        assert page["looked_through"] is False
    assert (seen, pages) == ([f"a Rare thing {n}" for n in (15_000, 10_000, 5_000, 0)], 4)
    await exports_hold_each_line(api, path)

    # Hits add up to the lines, whether counted by hour or line by line.
    by_hour = await get(api, f"{path}/logs/hits", level="error", **window)
    assert [hit["entries"] for hit in by_hour["hits"]] == [1000, 1000]  # whole hours
    by_minute = await get(api, f"{path}/logs/hits", level="error", step="10m", **window)
    assert (len(by_minute["hits"]), by_minute["entries"]) == (9, 1500)
    rare = await get(api, f"{path}/logs/hits", q="RARE", attributes='{"status": 200}', **window)
    assert rare["entries"] == 1

    # Facets and findings.
    facets = await get(api, f"{path}/logs/facets", **window)
    assert facets["entries"] == 10_000
    assert facets["fields"]["level"] == [{"value": "info", "entries": 8000}, {"value": "error", "entries": 2000}]
    assert facets["fields"]["pii_type"] == [{"value": "EMAIL", "entries": 5000}, {"value": "IPV4", "entries": 2500}]
    assert [value["value"] for value in facets["fields"]["source"]] == ["app", "db"]
    narrow = await get(api, f"{path}/logs/facets", source="db", pii_type="IPV4", **window)
    assert narrow["entries"] == 834
    values = await get(api, f"{path}/logs/values", field="source", starts_with="d", **window)
    assert (values["found"], values["values"][0]["value"]) == (1, "db")
    pii = await get(api, f"{path}/pii", **window)
    assert (pii["entries"], pii["pii_entries"], pii["types"]) == (10_000, 5000, {"EMAIL": 5000, "IPV4": 2500})
    assert [source["source"] for source in pii["sources"]] == ["app", "db"]
    assert sum(source["types"]["IPV4"] for source in pii["sources"]) == 2500

    for suffix, bad in (
        ("logs", {"attributes": "[]"}),
        ("logs", {"attributes": "{"}),
        ("logs", {"attributes": '{"a": "\\u0000"}'}),
        ("logs", {"attributes": '{"a": 1e999999}'}),
        ("logs", {"as_of": "now"}),
        ("logs/hits", {"step": "1s"}),
        ("logs/hits", {"attributes": "1"}),
        ("logs/hits", {"pii_type": "NOPE"}),
        ("logs/hits", {"from": "2020-01-01T00:00:00Z"}),
        ("logs/hits", {"from": HOUR.isoformat(), "to": FIRST.isoformat()}),
        ("logs/facets", {"pii_type": "NOPE"}),
        ("logs/facets", {"limit": 0}),
        ("logs/values", {"field": "message"}),
        ("pii", {"colour": "red"}),
    ):
        refused = await api.get(f"{path}/{suffix}", params=bad)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_parameter"), (suffix, bad)
    for suffix in ("logs", "logs/hits", "logs/facets", "logs/values", "pii"):
        assert (await api.get(f"/api/v1/scenarios/{uuid.uuid4()}/{suffix}")).status_code == 404
    await each_read_says_up_to_when(api, path, demo)
    await a_tail_tells_what_it_drops(settings, demo)
    await answers_are_kept(api, path, window, settings)


READS_NO_TRAFFIC = {"", "/versions", "/versions/{version}", "/estimates"}


async def each_read_says_up_to_when(api: httpx.AsyncClient, path: str, demo: Demo) -> None:
    newest = FIRST + timedelta(seconds=0.36 * (LINES - 2))
    scenario = "/api/v1/scenarios/{scenario_id}"
    suffixes = {
        route.path.removeprefix(scenario)
        for route in ROUTES
        if route.path.startswith(scenario) and route.method == "GET" and route.scope == "read"
    }
    assert suffixes > READS_NO_TRAFFIC
    for suffix in sorted(suffixes - READS_NO_TRAFFIC - {"/tail"}):
        params = {"with": str(demo.scenario_id)} if suffix == "/costs/compare" else {}
        answered = await api.get(f"{path}{suffix}", params=params)
        assert answered.status_code == 200, answered.text
        assert datetime.fromisoformat(answered.headers["data-through"]) == newest, suffix
        assert "replica-lag-seconds" in answered.headers, suffix
    what_if = await api.post(f"{path}/what-if", json={"architecture": {}})
    assert datetime.fromisoformat(what_if.headers["data-through"]) == newest
    assert "data-through" not in (await api.get(path)).headers


async def answers_are_kept(api: httpx.AsyncClient, path: str, window: dict[str, str], settings: Settings) -> None:
    """For who asked, and for the very question."""
    first = await api.get(f"{path}/logs/facets", params=window)
    same = await api.get(f"{path}/logs/facets", params=window, headers={"If-None-Match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    async with Redis.from_url(settings.redis_url) as redis:
        for key in await redis.keys("answer:*"):
            await redis.set(key, b'2020-01-02T03:04:05+00:00\n{"kept": true}', ex=600)
    again = await api.get(f"{path}/logs/facets", params=dict(reversed(window.items())))
    assert again.json() == {"kept": True}
    assert again.headers["data-through"] == "2020-01-02T03:04:05Z"  # of when it was made
    assert again.headers["etag"] != first.headers["etag"]
    other = await api.get(f"{path}/logs/facets", params={**window, "level": "error", "limit": 7})
    assert other.json()["entries"] == 2000
    assert other.headers["replica-lag-seconds"] == "0.000"
    assert (await api.get(f"/api/v1/scenarios/{uuid.uuid4()}/logs/facets", params=window)).status_code == 404
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(f"{path}/logs/facets", params=window)).status_code == 404


async def a_tail_tells_what_it_drops(settings: Settings, demo: Demo) -> None:
    pool = await open_pool(settings.postgres_api_url, settings, max_size=1)
    first = Position(FIRST, uuid.UUID("00000000-0000-7000-8000-000000000000"))
    newest = Position(
        FIRST + timedelta(seconds=0.36 * (LINES - 2)), uuid.UUID(f"00000000-0000-7000-8000-{LINES - 2:012x}")
    )
    try:
        async with tenant_transaction(pool, demo.tenant_id, readonly=True) as connection:
            errors = tail.TailQuery(level="error", order="asc")
            skipped = await tail._skip(connection, demo.scenario_id, errors, first, None)
            assert skipped == (newest, tail.Dropped(1999, FIRST, newest.received_at))  # all but the first
            close = Position(newest.received_at - timedelta(seconds=59), uuid.UUID(int=0))
            assert await tail._skip(connection, demo.scenario_id, errors, close, None) is None
    finally:
        pool.terminate()


def inflated(raw: bytes, encoding: str) -> bytes:
    return gzip.decompress(raw) if encoding == "gzip" else zstandard.ZstdDecompressor().decompressobj().decompress(raw)


async def exports_hold_each_line(api: httpx.AsyncClient, path: str) -> None:
    rare = await api.get(f"{path}/logs/export", params={"q": "rare"})
    assert len(rare.text.splitlines()) == 4  # it looks on where a page would end
    lines = [json.loads(line) for line in (await api.get(f"{path}/logs/export")).text.splitlines()]
    assert len({line["id"] for line in lines}) == len(lines) == 10_000
    assert tuple(lines[0]) == logs.LogLine.__struct_fields__
    binary = await api.get(f"{path}/logs/export", params={"format": "parquet", "order": "asc"})
    table = pq.read_table(io.BytesIO(binary.content))
    assert table["id"].to_pylist() == [line["id"] for line in reversed(lines)]
    assert table["pii_types"].to_pylist()[0] == ["EMAIL", "IPV4"]
    assert table["attributes"].to_pylist()[0] == '{"status": 200}'
    text = await api.get(f"{path}/logs/export", params={"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(text.text)))
    assert [row["id"] for row in rows] == [line["id"] for line in lines]
    for row, line in zip(rows, lines, strict=True):
        assert row["message"] == line["message"].replace("=1+", "'=1+")  # no formula
        assert datetime.fromisoformat(row["received_at"]) == datetime.fromisoformat(line["received_at"])
        assert row["pii_types"].split() == line["pii_types"]
        assert json.loads(row["attributes"]) == line["attributes"]
        assert (row["timestamp"], row["policy_version"]) == ("", "")
        for name in ("message_hash", "source", "level", "size_bytes", "token_count", "sqs_blocks"):
            assert row[name] == str(line[name])
        assert row["has_pii"] == str(line["has_pii"]).lower()
    assert sum(row["message"] == '\'=1+"2",\n' for row in rows) == 4
    for form in ("ndjson", "csv", "parquet"):
        of_form = {"format": form}
        plain = await api.get(f"{path}/logs/export", params=of_form, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        for encoding in ("gzip", "zstd"):
            asked = api.stream("GET", f"{path}/logs/export", params=of_form, headers={"Accept-Encoding": encoding})
            async with asked as streamed:
                raw = b"".join([piece async for piece in streamed.aiter_raw()])
            assert streamed.headers.get("content-encoding") == (None if form == "parquet" else encoding)
            if form != "parquet":
                assert streamed.headers["vary"] == "Accept-Encoding, Origin"
                assert inflated(raw, encoding) == plain.content
                assert len(raw) < len(plain.content) / 4
    none = await api.get(f"{path}/logs/export", params={"format": "parquet", "source": "nobody"})
    assert pq.read_table(io.BytesIO(none.content)).num_rows == 0
