"""Retries keep their key, refusals stop the run, and no total is guessed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import httpx
import pytest
import zstandard

from mockupaws.cli.batch_entries import MAX_BATCH_BYTES, Batch, Batcher
from mockupaws.cli.client_settings import ClientSettings
from mockupaws.cli.ship_batches import GaveUpError, Patience, RefusedError, Shipper
from mockupaws.schemas.requests import Entry

SETTINGS = ClientSettings(ingest_url="http://gateway", api_url="http://api", api_key="mk_x_y", scenario_id="s")
PATIENCE = Patience()
"""Of a user: what gets through must not depend on how fast this machine is."""
IMPATIENCE = Patience(give_up_after_seconds=1.0, receipts_seconds=1.0)


def batches(lines: int, max_lines: int = 10) -> Iterator[Batch]:
    batcher = Batcher("s", "run", max_lines)
    for number in range(lines):
        yield from batcher.add(Entry(f"line {number}"))
    yield from batcher.flush()


def body_of(request: httpx.Request) -> dict[str, list[object]]:
    return dict(json.loads(zstandard.ZstdDecompressor().decompress(request.content)))


def receipts_of(
    request: httpx.Request, receipt: Callable[[str], dict[str, object]], unknown: tuple[str, ...] = ()
) -> httpx.Response:
    known = [name for name in request.url.params["request_ids"].split(",") if name not in unknown]
    receipts = [{"request_id": name, "dead_lettered": 0, **receipt(name)} for name in known]
    return httpx.Response(200, json={"receipts": receipts})


class Servers:
    """Gateway and API in one: stores each key once; `answer` may step in before."""

    def __init__(self, answer: Callable[[httpx.Request, int], httpx.Response | None]) -> None:
        self._answer = answer
        self.calls = 0
        self.keys: list[str] = []
        self.stored: dict[str, int] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        if request.method == "POST":
            self.keys.append(request.headers["Idempotency-Key"])
        if (answer := self._answer(request, self.calls)) is not None:
            return answer
        if request.method == "GET":
            return receipts_of(request, lambda request_id: {"state": "stored", "stored": self.stored[request_id]})
        key, lines = self.keys[-1], len(body_of(request)["logs"])
        answer_body = {
            "request_id": key,
            "accepted": lines,
            "rejected": [],
        }
        self.stored[key] = lines
        return httpx.Response(202, json=answer_body)


async def ship(servers: Servers, lines: int = 25, patience: Patience = PATIENCE) -> Shipper:
    async with httpx.AsyncClient(transport=httpx.MockTransport(servers)) as client:
        shipper = Shipper(SETTINGS, patience, client)
        await shipper.ship(batches(lines))
        return shipper


async def test_all_lines_are_stored() -> None:
    shipper = await ship(Servers(lambda _request, _call: None))
    assert (shipper.totals.sent, shipper.totals.accepted, shipper.totals.stored) == (25, 25, 25)
    assert shipper.totals.unconfirmed == 0


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
async def test_a_retry_keeps_its_key_and_counts_once(status: int) -> None:
    servers = Servers(lambda _request, call: httpx.Response(status, headers={"Retry-After": "0"}) if call < 6 else None)
    shipper = await ship(servers)
    assert shipper.totals.stored == 25
    assert set(servers.keys) == set(servers.stored) == {"run-1", "run-2", "run-3"}
    assert len(servers.keys) == 3 + 5


async def test_a_gateway_that_is_away_is_waited_for() -> None:
    def answer(_request: httpx.Request, call: int) -> None:
        if call < 8:
            raise httpx.ConnectError("refused")

    assert (await ship(Servers(answer))).totals.stored == 25


async def test_nothing_gets_through() -> None:
    with pytest.raises(GaveUpError, match="HTTP 503"):
        await ship(Servers(lambda _request, _call: httpx.Response(503)), patience=IMPATIENCE)


async def test_a_quota_that_is_used_up_for_hours_is_not_waited_for() -> None:
    error = {"error": {"code": "quota_exhausted", "message": "come again in 2:00:00", "retryable": True}}
    servers = Servers(lambda _request, _call: httpx.Response(429, json=error, headers={"Retry-After": "7200"}))
    with pytest.raises(GaveUpError, match="takes nothing for 7200 s: HTTP 429 quota_exhausted: come again in 2:00:00"):
        await ship(servers)
    assert servers.calls <= 4


async def test_receipts_are_asked_for_again_after_the_time_a_limit_names() -> None:
    def answer(request: httpx.Request, _call: int) -> httpx.Response | None:
        if request.method == "GET" and not asked:
            asked.append(request.url.path)
            return httpx.Response(429, headers={"Retry-After": "0.5"})
        return None

    asked: list[str] = []
    assert (await ship(Servers(answer))).totals.stored == 25


async def test_receipts_are_asked_for_many_at_once_until_each_is_final() -> None:
    def answer(request: httpx.Request, _call: int) -> httpx.Response | None:
        if request.method != "GET":
            return None
        if len(servers.stored) < 250:  # however fast they are sent: all of them wait then
            return httpx.Response(503, headers={"Retry-After": "0"})
        names = request.url.params["request_ids"].split(",")
        asked.append(names)
        new = tuple(name for name in names if sum(name in earlier for earlier in asked) == 1 and int(name[4:]) % 3 == 0)
        return receipts_of(request, lambda name: {"state": "stored", "stored": servers.stored[name]}, unknown=new)

    asked: list[list[str]] = []
    servers = Servers(answer)
    assert (await ship(servers, lines=2_500)).totals.stored == 2_500
    assert sum(map(len, asked)) == 250 + 83  # each third is asked for twice
    assert len(asked) < 50
    assert max(map(len, asked)) == 100


async def test_a_refusal_stops_with_its_reason() -> None:
    error = {"error": {"code": "scenario_not_found", "message": "no such scenario", "retryable": False}}
    servers = Servers(lambda _request, _call: httpx.Response(404, json=error))
    with pytest.raises(RefusedError, match="HTTP 404 scenario_not_found: no such scenario"):
        await ship(servers)
    assert servers.calls <= 4


async def test_receipts_that_stay_queued_end_the_run() -> None:
    def answer(request: httpx.Request, _call: int) -> httpx.Response | None:
        return receipts_of(request, lambda _: {"state": "queued"}) if request.method == "GET" else None

    with pytest.raises(GaveUpError, match="25 accepted lines have no final receipt"):
        await ship(Servers(answer), patience=IMPATIENCE)


async def test_an_api_that_cannot_be_asked_for_receipts_is_named() -> None:
    def answer(request: httpx.Request, _call: int) -> None:
        if request.method == "GET":
            raise httpx.ConnectError("refused")

    with pytest.raises(GaveUpError, match=r"can't be asked: ConnectError: refused\).* don't send them again"):
        await ship(Servers(answer), patience=Patience(receipts_seconds=4.0))


async def test_an_api_that_is_still_to_be_upgraded_is_waited_for() -> None:
    def answer(request: httpx.Request, _call: int) -> httpx.Response | None:
        if request.method == "GET" and not asked:
            asked.append(request.url.path)
            return httpx.Response(404)
        return None

    asked: list[str] = []
    assert (await ship(Servers(answer))).totals.stored == 25


async def test_rejected_and_dead_lettered_lines_are_told_apart() -> None:
    def answer(request: httpx.Request, _call: int) -> httpx.Response:
        if request.method == "GET":
            return receipts_of(request, lambda _: {"state": "partly_dead_lettered", "stored": 3, "dead_lettered": 1})
        rejected = [{"index": 0, "code": "message_too_large", "message": "too long"}]
        return httpx.Response(202, json={"request_id": "r", "accepted": 4, "rejected": rejected})

    totals = (await ship(Servers(answer), lines=5)).totals
    assert (totals.accepted, totals.stored, totals.dead_lettered, totals.unconfirmed) == (4, 3, 1, 0)
    assert totals.rejected == {"message_too_large: too long": 1}


def test_batches_hold_to_their_limits_and_keep_the_order() -> None:
    batcher = Batcher("s", "run", max_lines=1000)
    made = [b for n in range(2500) for b in batcher.add(Entry(str(n) + "x" * 4000))] + list(batcher.flush())
    sizes = [zstandard.frame_content_size(batch.body) for batch in made]
    assert all(size <= MAX_BATCH_BYTES + 100 for size in sizes)
    assert all(batch.entries <= 1000 for batch in made)
    logs = [log for b in made for log in json.loads(zstandard.ZstdDecompressor().decompress(b.body))["logs"]]
    assert [int(log["message"].rstrip("x")) for log in logs] == list(range(2500))
    assert len({batch.idempotency_key for batch in made}) == len(made)
