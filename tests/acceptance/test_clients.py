"""The client commands against a running installation."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from queue import Empty, Queue

import httpx
import pytest

from tests.acceptance.test_the_whole_way import ingest
from tests.running_stack import RunningStack


@pytest.fixture
def tailed(stack: RunningStack, scenario_id: str) -> Iterator[Queue[str]]:
    """What `mockupaws tail --json` prints of the scenario."""
    lines: Queue[str] = Queue()
    with stack.start_command("tail", "--json", scenario_id=scenario_id) as process:
        assert process.stdout is not None
        output = process.stdout

        def read() -> None:
            for line in output:
                lines.put(line)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        yield lines
        process.terminate()
        reader.join()


def test_tail_shows_lines_as_they_are_stored_redacted(
    stack: RunningStack, scenario_id: str, tailed: Queue[str]
) -> None:
    body = {"scenario_id": scenario_id, "logs": [{"message": "mail to ada@example.com", "source": "shop"}]}
    for _ in range(20):  # a tail begins with what is stored after it has connected
        assert ingest(stack, body).status_code == 202
        try:
            line = json.loads(tailed.get(timeout=1.0))
        except Empty:
            continue
        assert line["message"] == "mail to [EMAIL]"
        return
    pytest.fail("tail printed nothing")


def test_send_says_what_is_wrong(stack: RunningStack) -> None:
    unknown = stack.command("send", __file__, "--scenario", "00000000-0000-0000-0000-000000000007")
    assert unknown.returncode == 1
    assert "HTTP 404 scenario_not_found" in unknown.stderr
    assert unknown.stdout.splitlines()[-1].startswith("stored = 0 of ")
    nobody = stack.command("send", "no-such-file.log")
    assert nobody.returncode == 2
    assert "no-such-file.log" in nobody.stderr


def test_doctor_finds_nothing_wrong(stack: RunningStack) -> None:
    done = stack.command("doctor", "--json")
    findings = json.loads(done.stdout)
    assert [finding for finding in findings if finding["verdict"] == "fail"] == []
    assert done.returncode == 0


def test_the_canary_finds_its_lines_once_each_and_redacted(stack: RunningStack) -> None:
    done = stack.command("canary", "--rounds", "3", "--every", "0.2", "--lines", "4", "--lost-after", "60")
    assert done.returncode == 0, done.stderr
    assert "12 lines sent, 12 stored, 0 lost, 0 duplicated, 0 unredacted" in done.stdout


def test_the_canary_tells_what_comes_twice(stack: RunningStack, scenario_id: str) -> None:
    """A second sender writes the same marked lines."""
    with stack.start_command(
        "canary", "--scenario", scenario_id, "--rounds", "40", "--every", "0.25", "--lost-after", "30"
    ) as process:
        copied: set[str] = set()
        url = f"{stack.api_url}/api/v1/scenarios/{scenario_id}/logs"
        while process.poll() is None and not copied:
            for line in httpx.get(url, headers=stack.headers, timeout=10).json()["logs"]:
                body = {"scenario_id": scenario_id, "logs": [{"message": line["message"], "source": "canary"}]}
                assert ingest(stack, body).status_code == 202
                copied.add(line["id"])
        output, _ = process.communicate(timeout=60)
    assert copied
    assert process.returncode == 1
    assert "duplicated" in output


def test_what_an_operator_does_is_in_the_audit_log_which_verifies(stack: RunningStack, scenario_id: str) -> None:
    times = ("--from", "2026-01-01", "--to", "2026-01-02")
    replayed = stack.command("replay", "--scenario", scenario_id, *times)
    assert replayed.returncode == 0, replayed.stderr
    log = httpx.get(
        f"{stack.api_url}/api/v1/audit", params={"target": scenario_id}, headers=stack.headers, timeout=10
    ).json()["entries"]
    assert (log[0]["action"], log[0]["actor"]) == ("scenario.replayed", "operator")
    assert log[0]["address"].startswith("cli:")
    nowhere = "00000000-0000-0000-0000-000000000007"
    for slip, what in (
        (("replay", "--scenario", nowhere, *times), "scenario"),
        (("audit", "verify", "--tenant", nowhere), "tenant"),
    ):
        refused = stack.command(*slip)
        assert refused.returncode == 2
        assert f"there is no {what} {nowhere}" in refused.stderr
    verified = stack.command("audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert " ok " in verified.stdout
