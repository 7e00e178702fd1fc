"""One key many times: at once, over a kill, under a clock that jumps. It names one request, and 202 stays true."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockupaws.ingest_gateway.app import create_app
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.settings import Settings
from tests.conftest import make_tenant
from tests.integration.ingest_gateway.gateway_process import gateway_process
from tests.integration.ingest_gateway.test_gateway import INGEST, body_of, client_of, gateway, stored, until_ready
from tests.integration.ingest_gateway.test_spool import headers_of
from tests.running_stack import wait_until

STORM = 1000
HOUR_US = 3600 * 1_000_000


async def test_a_storm_of_one_key_is_one_request(settings: Settings, demo: Any) -> None:
    other = await make_tenant(settings, "other@example.com")
    patient = dataclasses.replace(settings, publish_deadline_seconds=30.0)  # the storm itself holds up one event loop
    async with gateway(patient) as client:
        await until_ready(client)
        mine = {**headers_of(demo), "Idempotency-Key": "storm"}
        theirs = {**headers_of(other), "Idempotency-Key": "storm"}
        answers = await asyncio.gather(
            *(client.post(INGEST, json=body_of(demo, "a"), headers=mine) for _ in range(STORM)),
            client.post(INGEST, json=body_of(other, "b"), headers=theirs),
        )
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.json()["request_id"] for answer in answers[:-1]}) == 1
        assert answers[-1].json()["request_id"] != answers[0].json()["request_id"]
        assert [answer.json()["duplicate"] for answer in answers[:-1]].count(False) == 1
        bodies = [body_of(demo, text) for text in ("a", "b", "b", "a")]
        again = await asyncio.gather(*(client.post(INGEST, json=body, headers=mine) for body in bodies))
        assert [answer.status_code for answer in again] == [202, 422, 422, 202]
        fresh = {**headers_of(demo), "Idempotency-Key": "two bodies at once"}
        raced = await asyncio.gather(*(client.post(INGEST, json=body, headers=fresh) for body in bodies))
        assert sorted(answer.status_code for answer in raced) == [202, 202, 422, 422]
    assert len(await stored(settings)) == 3


async def test_a_storm_without_durability_is_refused_as_one(settings: Settings, demo: Any) -> None:
    away = dataclasses.replace(settings, kafka_bootstrap_servers="127.0.0.1:1", spool_max_bytes=0)
    async with gateway(away) as client:
        headers = {**headers_of(demo), "Idempotency-Key": "storm"}
        answers = await asyncio.gather(
            *(client.post(INGEST, json=body_of(demo, "a"), headers=headers) for _ in range(100))
        )
        assert {(answer.status_code, answer.json()["error"]["code"]) for answer in answers} == {(503, "not_durable")}


@pytest.mark.parametrize("point", ["gateway.before_produce", "gateway.after_acknowledged"])
def test_a_kill_before_the_answer_is_never_remembered_as_accepted(
    settings: Settings, demo: Any, tmp_path: Path, log_file: Path, point: str
) -> None:
    armed = tmp_path / "failpoints"
    armed.mkdir()
    headers = {**headers_of(demo), "Idempotency-Key": "one"}
    made = dataclasses.replace(settings, failpoints=str(armed))
    with gateway_process(made, log_file) as process:
        (armed / point).write_text("kill")
        with pytest.raises(httpx.HTTPError):
            httpx.post(process.url + INGEST, json=body_of(demo, "a"), headers=headers, timeout=30)
        wait_until(process.has_ended, "the gateway is killed", 60)
    with gateway_process(made, log_file) as process:
        answer = httpx.post(process.url + INGEST, json=body_of(demo, "a"), headers=headers, timeout=30)
        assert (answer.status_code, answer.json()["duplicate"]) == (202, False)
    requests = asyncio.run(stored(settings))
    assert len(requests) == (1 if point == "gateway.before_produce" else 2)
    assert {str(request.request_id.hex()) for request in requests} == {answer.json()["request_id"].replace("-", "")}


class JumpingClock:
    """The real time, put off by a step at each reading: hours back, days ahead."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._readings = 0

    def now_us(self) -> int:
        self._readings += 1
        return self._clock.now_us() + (-HOUR_US, 0, 24 * HOUR_US, 0)[self._readings % 4]


async def test_a_clock_that_jumps_changes_no_promise(settings: Settings, demo: Any) -> None:
    app = create_app(settings, JumpingClock())
    async with app.router.lifespan_context(app), client_of(app) as client:
        client.headers.update(headers_of(demo))
        await until_ready(client)
        answers = await asyncio.gather(*(client.post(INGEST, json=body_of(demo, f"line {n}")) for n in range(100)))
        assert {answer.status_code for answer in answers} == {202}
    requests = await stored(settings)
    assert {request.request_id.hex() for request in requests} == {
        answer.json()["request_id"].replace("-", "") for answer in answers
    }
    assert len({request.request_id for request in requests}) == 100
