"""Budgets over HTTP, and what `maintenance` makes of them: each alert once, by webhook and by e-mail."""

from __future__ import annotations

import asyncio
import dataclasses
import hmac
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email import message_from_bytes
from typing import Any

import asyncpg
import httpx
import pytest

from mockupaws.maintenance.budgets import MAX_ATTEMPTS, check_budgets
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.rollups import UNIT_OF
from tests.conftest import Demo, make_tenant

D = Decimal
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass
class Receivers:
    """A webhook's server and a mail server on this machine."""

    status: int = 200
    posted: list[dict[str, Any]] = field(default_factory=list)
    signed: list[tuple[str, bytes]] = field(default_factory=list)
    """The signature of each post, and its body."""
    mailed: list[bytes] = field(default_factory=list)
    webhook_url: str = ""
    smtp_url: str = ""

    async def take_post(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        body = await reader.readexactly(int(lengths[0].split(b":")[1]))
        self.posted.append(json.loads(body))
        signatures = [line for line in head.decode().split("\r\n") if line.lower().startswith("mockupaws-signature:")]
        self.signed.append((signatures[0].split(": ")[1] if signatures else "", body))
        writer.write(f"HTTP/1.1 {self.status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()

    async def take_mail(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                self.mailed.append((await reader.readuntil(b"\r\n.\r\n"))[:-5])
            writer.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 fine\r\n")
        writer.close()


@pytest.fixture
async def receivers() -> AsyncIterator[Receivers]:
    made = Receivers()
    posts = await asyncio.start_server(made.take_post, "127.0.0.1", 0)
    mails = await asyncio.start_server(made.take_mail, "127.0.0.1", 0)
    async with posts, mails:
        made.webhook_url = f"http://127.0.0.1:{posts.sockets[0].getsockname()[1]}/hook?key=secret"
        made.smtp_url = f"smtp://127.0.0.1:{mails.sockets[0].getsockname()[1]}"
        yield made


@pytest.fixture
async def client(api: httpx.AsyncClient, demo: Demo) -> httpx.AsyncClient:
    api.headers["Authorization"] = f"Bearer {demo.api_key}"
    return api


@pytest.fixture
async def traffic(database: asyncpg.Connection[asyncpg.Record], demo: Demo) -> None:
    """Two days, a minute of each hour: 1,000 lines, 500 of them in one second."""
    for hour in range(48):
        at = NOW - timedelta(hours=50 - hour)
        await database.execute(
            "INSERT INTO scenario_hours VALUES ($1, $2, $3, 1)", demo.tenant_id, demo.scenario_id, at
        )
        for kind, name, value, counts in (
            ("ingest", "requests", 2, None), ("ingest", "entries", 1000, {"3": 500, "7": 500}),
            ("ingest", "bytes", 10**6, None), ("bedrock", "tokens", 300_000, None), ("sqs", "blocks", 1000, None),
        ):  # fmt: skip
            await database.execute(
                "INSERT INTO scenario_metrics VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                demo.tenant_id, demo.scenario_id, at, kind, name, value, UNIT_OF[kind, name],
                json.dumps(counts) if counts else None,
            )  # fmt: skip


async def make_budget(client: httpx.AsyncClient, demo: Demo, **fields: Any) -> dict[str, Any]:
    body = {"scenario_id": str(demo.scenario_id), "name": "Logs", "limit": "1", **fields}
    answered = await client.post("/api/v1/budgets", json=body)
    assert answered.status_code == 201, answered.text
    made: dict[str, Any] = answered.json()
    return made


@pytest.mark.usefixtures("traffic")
async def test_an_alert_is_told_once_for_each_threshold_month_and_version(
    client: httpx.AsyncClient,
    database: asyncpg.Connection[asyncpg.Record],
    demo: Demo,
    settings: Settings,
    receivers: Receivers,
) -> None:
    local = dataclasses.replace(
        settings, outgoing_allowed_networks="127.0.0.0/8", smtp_url=receivers.smtp_url, smtp_from="costs@mock.example"
    )
    budget = await make_budget(
        client, demo, limit="1000000", webhook_url=receivers.webhook_url, emails=["ops@example.com"], window_days=31
    )
    assert "key=secret" not in json.dumps(budget), "the query of a webhook's URL is not shown"
    path = f"/api/v1/budgets/{budget['id']}"
    assert await check_budgets(local, NOW) == 0
    amount = D((await client.get(f"/api/v1/scenarios/{demo.scenario_id}/costs")).json()["month"]["total"]["likely"])
    limit = (amount * D("1.1")).quantize(D("0.01"))
    assert (await client.patch(path, json={"version": 1, "limit": str(limit)})).status_code == 200

    new = await asyncio.gather(check_budgets(local, NOW), check_budgets(local, NOW))
    assert sorted(new) == [0, 1], "two at once tell it once"
    assert await check_budgets(local, NOW + MINUTE * 5) == 0
    (told,) = receivers.posted
    assert (told["type"], told["threshold_percent"], told["month"]) == ("budget.threshold_reached", 80, "2026-11")
    assert (D(told["amount"]), D(told["limit"])) == (amount, limit)
    signature, body = receivers.signed[0]
    at = int(NOW.timestamp())
    expected = hmac.digest(budget["webhook_secret"].encode(), f"{at}.".encode() + body, "sha256").hex()
    assert signature == f"t={at},v1={expected}"
    (letter,) = [message_from_bytes(mail) for mail in receivers.mailed]
    assert (letter["To"], letter["From"]) == ("ops@example.com", "costs@mock.example")
    assert "80 % of the limit" in str(letter.get_payload())
    (alert,) = (await client.get(f"{path}/alerts")).json()["alerts"]
    assert (alert["id"], alert["threshold"], alert["attempts"]) == (told["alert_id"], 80, 1)
    assert alert["webhook_sent_at"]
    assert alert["email_sent_at"]

    assert await check_budgets(local, NOW + timedelta(days=10)) == 1, "another month"
    await client.patch(path, json={"version": 2, "limit": str(limit / 2)})
    assert await check_budgets(local, NOW + MINUTE) == 2, "another version: both thresholds"
    await client.patch(
        f"/api/v1/scenarios/{demo.scenario_id}", json={"version": 1, "architecture": {"region": "xx-no-1"}}
    )
    receivers.posted.clear()
    assert await check_budgets(local, NOW + MINUTE) == 1, "no price: the cost is too low, which is told once"
    assert await check_budgets(local, NOW + MINUTE) == 0
    assert [(told["type"], told["complete"]) for told in receivers.posted] == [("budget.incomplete", False)]

    assert (await client.delete(path)).status_code == 204
    assert await check_budgets(local, NOW + timedelta(days=40)) == 0
    await make_budget(client, demo, metric="lines_per_second", limit="500", thresholds=[100])
    assert await check_budgets(local, NOW) == 1
    actions = [entry["action"] for entry in (await client.get("/api/v1/audit")).json()["entries"]]
    assert actions.count("budget.changed") == 2
    assert actions.count("budget.created") == 2
    assert actions.count("budget.deleted") == 1


@pytest.mark.usefixtures("traffic")
async def test_what_cannot_be_delivered_is_tried_again_and_a_private_address_never(
    client: httpx.AsyncClient, demo: Demo, settings: Settings, receivers: Receivers
) -> None:
    local = dataclasses.replace(settings, outgoing_allowed_networks="127.0.0.0/8", smtp_url=receivers.smtp_url)
    budget = await make_budget(
        client, demo, webhook_url=receivers.webhook_url, emails=["ops@example.com"], thresholds=[100]
    )
    path = f"/api/v1/budgets/{budget['id']}/alerts"
    receivers.status = 503
    assert await check_budgets(local, NOW) == 1
    assert await check_budgets(local, NOW) == 0
    (alert,) = (await client.get(path)).json()["alerts"]
    assert (alert["webhook_sent_at"], alert["attempts"]) == (None, 1)
    assert "503" in alert["last_error"]
    receivers.status = 200
    await check_budgets(local, NOW + MINUTE)
    assert len(receivers.posted) == 2
    assert receivers.posted[0] == receivers.posted[1], "the same alert: a receiver can tell"
    assert len(receivers.mailed) == 1, "what was sent isn't sent again"
    await check_budgets(local, NOW + MINUTE * 60)
    assert len(receivers.posted) == 2

    other = await make_budget(client, demo, webhook_url=receivers.webhook_url, thresholds=[100])
    guarded = dataclasses.replace(local, outgoing_allowed_networks="")
    for attempt in range(3):
        await check_budgets(guarded, NOW + MINUTE * 60 * attempt)
    (alert,) = (await client.get(f"/api/v1/budgets/{other['id']}/alerts")).json()["alerts"]
    assert (alert["webhook_sent_at"], alert["attempts"]) == (None, 1), "refused, and not tried again"
    assert alert["last_error"]
    assert "secret" not in alert["last_error"]
    assert len(receivers.posted) == 2

    no_mail = dataclasses.replace(local, smtp_url="")
    third = await make_budget(client, demo, emails=["ops@example.com"], thresholds=[100])
    for attempt in range(MAX_ATTEMPTS + 3):
        await check_budgets(no_mail, NOW + timedelta(hours=attempt * 5))
    alerts = (await client.get(f"/api/v1/budgets/{third['id']}/alerts")).json()["alerts"]
    assert {alert["attempts"] for alert in alerts} == {MAX_ATTEMPTS}
    assert "MOCKUPAWS_SMTP_URL" in alerts[0]["last_error"]


BAD: list[dict[str, Any]] = [
    {"limit": "0"}, {"limit": "-1"}, {"limit": "1e30"}, {"limit": "NaN"}, {"limit": "0.0000001"}, {"limit": "1e-99999"},
    {"limit": None}, {"metric": "nonsense"}, {"thresholds": []}, {"thresholds": [0]}, {"thresholds": [1001]},
    {"window_days": 0}, {"window_days": 10**30}, {"colour": "red"}, {"emails": ["nobody"]}, {"name": ""},
    {"emails": ["a@b.c\nBcc: d@e.f"]}, {"webhook_url": "file:///etc/passwd"}, {"webhook_url": "http://user:x@host/"},
    {"webhook_url": "https://10.0.0.1/x"}, {"webhook_url": "http://169.254.169.254/"}, {"webhook_url": "http://8.8.8.8/"},
    {"scenario_id": "x"},
]  # fmt: skip


async def test_bad_budgets_are_refused_and_a_stranger_sees_none(
    client: httpx.AsyncClient, demo: Demo, settings: Settings
) -> None:
    for bad in BAD:
        body = {"scenario_id": str(demo.scenario_id), "name": "Logs", "limit": "1", **bad}
        answered = await client.post("/api/v1/budgets", json=body)
        assert answered.status_code == 422, (bad, answered.text)
    body = {"scenario_id": str(uuid.UUID(int=1)), "name": "Logs", "limit": "1"}
    assert (await client.post("/api/v1/budgets", json=body)).status_code == 404
    budget = await make_budget(client, demo, limit=12.5, thresholds=[100, 50, 100])
    assert (budget["limit"], budget["thresholds"]) == ("12.5", [50, 100])
    path = f"/api/v1/budgets/{budget['id']}"
    assert (await client.patch(path, json={"version": 2, "name": "x"})).status_code == 409
    assert (await client.patch(path, json={"version": 2**40, "name": "x"})).status_code == 422
    stands = (await client.get(path)).json()["standing"]
    assert (stands["limit"], stands["complete"]) == ("12.5", True)
    stranger = await make_tenant(settings, "stranger@example.com")
    theirs = {"Authorization": f"Bearer {stranger.api_key}"}
    assert (await client.get("/api/v1/budgets", headers=theirs)).json() == {"budgets": []}
    for method, url, document in (
        ("GET", path, None), ("PATCH", path, {"version": 1, "name": "x"}), ("DELETE", path, None),
        ("GET", f"{path}/alerts", None), ("POST", "/api/v1/budgets", body | {"scenario_id": str(demo.scenario_id)}),
    ):  # fmt: skip
        assert (await client.request(method, url, headers=theirs, json=document)).status_code == 404, (method, url)


async def test_the_secret_of_a_webhook_is_shown_once(
    client: httpx.AsyncClient, database: asyncpg.Connection[asyncpg.Record], demo: Demo
) -> None:
    silent = await make_budget(client, demo)
    assert (silent["webhook_signed"], "webhook_secret" in silent) == (False, False)
    path = f"/api/v1/budgets/{silent['id']}"
    url = "https://hooks.example.com/x"
    first = (await client.patch(path, json={"version": 1, "webhook_url": url})).json()
    renamed = (await client.patch(path, json={"version": 2, "name": "Other"})).json()
    second = (await client.patch(path, json={"version": 3, "new_webhook_secret": True})).json()
    assert first["webhook_secret"].startswith("whs_")
    assert (renamed["webhook_signed"], "webhook_secret" in renamed) == (True, False)
    assert second["webhook_secret"] != first["webhook_secret"]
    shown = [(await client.get(path)).text, (await client.get("/api/v1/budgets")).text]
    shown.append(str(await database.fetch("SELECT * FROM audit_log")))
    for text in shown:
        assert "whs_" not in text
    stored = await database.fetchval("SELECT webhook_secret FROM budgets WHERE id = $1", uuid.UUID(silent["id"]))
    assert stored == second["webhook_secret"]
