"""Each bad body is a clear 4xx or a rejection of the entry alone; its neighbours are stored and nothing stops."""

from __future__ import annotations

import gzip
import json
import uuid
from typing import Any

import httpx
import pytest

from tests.acceptance.test_the_whole_way import SETTLE_SECONDS, ingest, read_all_logs, wait_for_receipt
from tests.running_stack import RunningStack

GOOD = {"message": "a good neighbour"}


def post(stack: RunningStack, body: bytes, **headers: str) -> httpx.Response:
    sent = {"Content-Type": "application/json", **stack.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
    return httpx.post(f"{stack.ingest_url}/api/v1/ingest", content=body, headers=sent, timeout=30)


def encoded(scenario_id: str, logs: Any) -> bytes:
    return json.dumps({"scenario_id": scenario_id, "logs": logs}).encode()


@pytest.fixture(autouse=True)
def _still_ready(stack: RunningStack) -> Any:
    """Whatever a test sends, no process has gone down or begun to loop."""
    before = {process["name"]: process["restarts"] for process in stack.status()}
    yield
    assert {process["name"]: process["restarts"] for process in stack.status()} == before
    assert stack.is_ready()


@pytest.mark.parametrize(
    ("name", "body", "statuses"),
    [
        ("broken JSON", b'{"scenario_id": "', {400}),
        ("not JSON at all", b"\x00\xff\xfe", {400}),
        ("empty body", b"", {400}),
        ("a list", b"[]", {400}),
        ("no scenario", json.dumps({"logs": [GOOD]}).encode(), {400}),
        ("scenario that is no id", encoded("x", [GOOD]), {400}),
        ("unknown scenario", encoded(str(uuid.UUID(int=7)), [GOOD]), {404}),
    ],
)
def test_bodies_refused_whole(stack: RunningStack, name: str, body: bytes, statuses: set[int]) -> None:
    answer = post(stack, body)
    assert answer.status_code in statuses, (name, answer.text)
    error = answer.json()["error"]
    assert error["code"], name
    assert error["message"], name
    assert error["retryable"] is False, name


def test_wrong_types_name_the_field(stack: RunningStack, scenario_id: str) -> None:
    answer = ingest(stack, {"scenario_id": scenario_id, "logs": [{"message": 5}]})
    assert answer.status_code == 400
    assert "message" in answer.text
    assert "logs" in answer.text or '"index":0' in answer.text.replace(" ", "")


@pytest.mark.parametrize("logs", [[], "text", None])
def test_no_entries(stack: RunningStack, scenario_id: str, logs: Any) -> None:
    assert post(stack, encoded(scenario_id, logs)).status_code == 400


def test_too_large(stack: RunningStack, scenario_id: str) -> None:
    twenty_megabytes = encoded(scenario_id, [{"message": "x" * 1000}] * 20_000)
    assert post(stack, twenty_megabytes).status_code == 413
    bomb = gzip.compress(b'{"scenario_id":"' + b" " * 200_000_000)
    assert post(stack, bomb, Content_Encoding="gzip").status_code == 413
    assert post(stack, encoded(scenario_id, [GOOD] * 10_001)).status_code == 413


def test_wrong_key_and_encoding(stack: RunningStack, scenario_id: str) -> None:
    body = encoded(scenario_id, [GOOD])
    assert post(stack, body, Authorization="Bearer mk_no_no").status_code == 401
    assert post(stack, body, Content_Encoding="br").status_code == 415
    assert post(stack, body, Content_Encoding="gzip").status_code == 400


def test_bad_entries_are_rejected_alone(stack: RunningStack, scenario_id: str) -> None:
    logs: list[Any] = [
        GOOD,
        {"message": 5},
        {"message": "old", "timestamp": "1970-01-01T00:00:00Z"},
        {"message": "late", "timestamp": "2100-01-01T00:00:00Z"},
        {"message": "x" * (1024 * 1024 + 1)},
        {"level": "info"},
        GOOD,
    ]
    answer = ingest(stack, {"scenario_id": scenario_id, "logs": logs})
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert body["accepted"] == 2
    assert [rejection["index"] for rejection in body["rejected"]] == [1, 2, 3, 4, 5]
    assert wait_for_receipt(stack, body["receipt"], SETTLE_SECONDS)["stored"] == 2
    assert len(list(read_all_logs(stack, scenario_id))) == 2


def test_hard_texts_are_kept_visibly(stack: RunningStack, scenario_id: str) -> None:
    deep: Any = 1
    for _ in range(30):
        deep = {"a": deep}
    logs = [{"message": "nul \x00 inside"}, {"message": "deep", "attributes": deep}, {"message": "ünï ☃ 😀"}, GOOD]
    answer = ingest(stack, {"scenario_id": scenario_id, "logs": logs})
    assert answer.status_code == 202, answer.text
    body = answer.json()
    wait_for_receipt(stack, body["receipt"], SETTLE_SECONDS)
    previews = {row["message"] for row in read_all_logs(stack, scenario_id)}
    assert {"nul ␀ inside", "ünï ☃ 😀", "a good neighbour"} <= previews
    assert len(previews) == body["accepted"]


def test_very_deep_nesting_and_invalid_utf8_do_no_harm(stack: RunningStack, scenario_id: str) -> None:
    head = b'{"scenario_id":"' + scenario_id.encode() + b'","logs":[{"message":"x","attributes":'
    answer = post(stack, head + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}]}")
    assert answer.status_code == 400, answer.text
    answer = post(stack, b'{"scenario_id":"' + scenario_id.encode() + b'","logs":[{"message":"caf\xe9"}]}')
    assert answer.status_code in {202, 400}, answer.text
