"""What a user sees: lines in by HTTP or `send`, out through the API, the same counts everywhere, whatever is killed."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockupaws.schemas.pii_types import PII_TYPES
from tests.benchmarks.log_lines import make_log
from tests.running_stack import RunningStack

LINES = 50_000
SETTLE_SECONDS = 60.0


def ingest(stack: RunningStack, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{stack.ingest_url}/api/v1/ingest", json=body, headers=stack.headers, timeout=10)


def get(stack: RunningStack, path: str, **parameters: Any) -> Any:
    answer = httpx.get(f"{stack.api_url}{path}", params=parameters, headers=stack.headers, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def read_all_logs(stack: RunningStack, scenario_id: str) -> Iterator[dict[str, Any]]:
    cursor: dict[str, str] = {}
    while True:
        page = get(stack, f"/api/v1/scenarios/{scenario_id}/logs", limit=50, **cursor)
        yield from page["logs"]
        if not page["next_cursor"]:
            return
        cursor = {"cursor": page["next_cursor"]}


def wait_for_receipt(stack: RunningStack, path: str, seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while True:
        receipt: dict[str, Any] = get(stack, path)
        if receipt["state"] != "queued" or time.monotonic() > deadline:
            return receipt
        time.sleep(0.02)


def test_a_hundred_lines_are_readable_and_redacted(stack: RunningStack, scenario_id: str) -> None:
    logs = [
        {
            "message": f"order {n} of ada.{n}@example.com paid with 4111 1111 1111 1111",
            "level": "info",
            "source": "shop",
        }
        for n in range(100)
    ]
    answer = ingest(stack, {"scenario_id": scenario_id, "logs": logs})
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert (body["accepted"], body["rejected"], body["duplicate"]) == (100, [], False)

    receipt = wait_for_receipt(stack, body["receipt"], SETTLE_SECONDS)
    assert (receipt["state"], receipt["accepted"], receipt["stored"]) == ("stored", 100, 100)
    rows = list(read_all_logs(stack, scenario_id))

    assert len(rows) == len({row["id"] for row in rows}) == 100
    for row in rows:
        assert "example.com" not in row["message"]
        assert "4111" not in row["message"]
        assert {"EMAIL", "CREDIT_CARD"} <= set(row["pii_types"])


def test_status_names_every_process(stack: RunningStack) -> None:
    done = stack.command("status", "--json")
    assert done.returncode == 0, done.stdout
    processes = json.loads(done.stdout)
    assert all({"name", "pid", "state", "uptime_seconds", "lag_seconds"} <= process.keys() for process in processes)
    assert {"kafka", "postgres", "valkey", "gateway", "processor", "postgres-sink", "parquet-sink", "api"} <= {
        process["name"] for process in processes
    }


@pytest.fixture(scope="module")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JSON lines and plain ones, some of them broken, as files are."""
    choose = random.Random(3)
    path = tmp_path_factory.mktemp("logs") / "shop.log"
    with path.open("wb") as file:
        for number in range(LINES):
            log = make_log(choose)
            match number % 10:
                case 0:
                    file.write(f"Nov 24 03:{number % 60:02} node app[{number}]: {log['message']}\n".encode())
                case 1:
                    file.write(json.dumps(log, ensure_ascii=False).encode()[:-20] + b" caf\xe9 \x00\n")
                case _:
                    file.write(json.dumps(log).encode() + b"\n")
    return path


def test_a_file_is_stored_exactly_once_whatever_is_killed(
    stack: RunningStack, scenario_id: str, log_file: Path
) -> None:
    sending = stack.start_command("send", str(log_file), "--batch-lines", "200", scenario_id=scenario_id)
    for name in ("gateway", "processor", "postgres-sink", "parquet-sink"):
        assert sending.poll() is None, "the file is too short: nothing was left to kill in the middle of"
        stack.kill(name)
    output, _ = sending.communicate(timeout=200)
    assert sending.returncode == 0, output
    assert output.splitlines()[-1] == f"stored = {LINES} of {LINES} lines", output

    counts = stack.wait_for_counts(scenario_id, LINES, SETTLE_SECONDS)
    assert counts.all_are(LINES), counts

    document = json.loads(stack.command("estimate", str(log_file), "--json").stdout)
    estimated = document["totals"]
    assert served_profile(stack, scenario_id) == {
        "model_tokens": document["model_tokens"],
        "size_bytes": document["profile"]["size_bytes"],
        "tokens": document["profile"]["tokens"],
        "sqs_requests": document["profile"]["sqs_requests"]["1"],
    }
    assert estimated == served_totals(stack, scenario_id) | {"span_seconds": estimated["span_seconds"]}

    replay_everything(stack, scenario_id)
    assert stack.wait_for_counts(scenario_id, LINES, 0.0) == counts
    assert estimated == served_totals(stack, scenario_id) | {"span_seconds": estimated["span_seconds"]}


def served_totals(stack: RunningStack, scenario_id: str) -> dict[str, Any]:
    """The scenario's summary in the words of `estimate --json`."""
    summary = get(stack, f"/api/v1/scenarios/{scenario_id}/summary")
    return {
        "entries": summary["entries"],
        "bytes": summary["bytes"],
        "tokens": summary["tokens"],
        "sqs_blocks": summary["sqs_blocks"],
        "pii_entries": summary["pii_entries"],
        "pii": {name: lines for name, lines in summary["pii"].items() if name in PII_TYPES},
        "sizes": {str(bucket["up_to_bytes"]): bucket["entries"] for bucket in summary["sizes"]},
    }


def served_profile(stack: RunningStack, scenario_id: str) -> dict[str, Any]:
    """What doesn't hang on when lines arrived, and in which requests."""
    profile = get(stack, f"/api/v1/scenarios/{scenario_id}/profile")
    assert profile["lines_per_second"]["max"] > 0
    return {
        "model_tokens": get(stack, f"/api/v1/scenarios/{scenario_id}/summary")["model_tokens"],
        "size_bytes": profile["size_bytes"],
        "tokens": profile["tokens"],
        "sqs_requests": profile["sqs_requests"]["1"],
    }


def replay_everything(stack: RunningStack, scenario_id: str) -> None:
    """Returns once the sinks have seen all that was published again."""
    now = datetime.now(UTC)  # noqa: TID251 (the range a user would type)
    begin, end = (now - timedelta(hours=1)).isoformat(), (now + timedelta(hours=1)).isoformat()
    done = stack.command("replay", "--scenario", scenario_id, "--from", begin, "--to", end)
    assert done.returncode == 0, done.stdout + done.stderr
    # a request sent after the replay is stored after it: per partition, records keep their order
    markers = [
        ingest(stack, {"scenario_id": stack.make_scenario("marker"), "logs": [{"message": "x"}]}) for _ in range(24)
    ]
    for marker in markers:
        assert marker.status_code == 202, marker.text
        assert wait_for_receipt(stack, marker.json()["receipt"], SETTLE_SECONDS)["state"] == "stored"
