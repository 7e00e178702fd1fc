"""Secrets and personal data in every field and header, by every way to fail: none of it in a log, metric or letter."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from mockupaws.cli.processes import MODULES, health_url
from tests.acceptance.canaries import Canaries, Sent, requests_of
from tests.acceptance.test_the_whole_way import SETTLE_SECONDS
from tests.integration.stream_processors.processor_process import publish
from tests.running_stack import RunningStack, wait_until

CALL_SECONDS = 30.0
AT_ONCE = 4
SECRET_PLACES = ("password", "token", "credential", "api_key")


def send_all(url: str, requests: Iterable[Sent]) -> dict[int, int]:
    """Statuses and how often; what the server ends without an answer counts as 0."""
    counts: dict[int, int] = {}

    def one(client: httpx.Client, sent: Sent) -> int:
        try:
            headers = {name.encode(): value.encode() for name, value in sent.headers.items()}
            with client.stream(sent.method, sent.path, headers=headers, content=sent.content or None) as answer:
                return answer.status_code  # a tail would never end
        except httpx.TransportError:
            return 0

    with httpx.Client(base_url=url, timeout=CALL_SECONDS) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        for status in pool.map(lambda sent: one(client, sent), requests):
            counts[status] = counts.get(status, 0) + 1
    return counts


def lines_with(canaries: Canaries, scenario_id: str) -> bytes:
    """Personal data and secrets of each kind, as a producer's lines hold them."""
    word = canaries.word
    messages = [
        f"mail {word('line_mail')}@example.com signed in",
        f"password={word('line_password')} for user",
        f"Authorization: Bearer {word('line_bearer')}",
        f"GET https://user:{word('line_url')}@db.example.com/x",
        f"nul \0 and {word('line_nul')}",
    ]
    logs = [{"message": text, "source": "app", "attributes": {"k": word("line_attribute")}} for text in messages]
    return json.dumps({"scenario_id": scenario_id, "logs": logs}).encode()


async def texts_of_tables(url: str) -> dict[str, str]:
    """All rows of all tables, as text, but for what holds lines and original bytes."""
    connection = await asyncpg.connect(url, timeout=10, command_timeout=60)
    try:
        names = [
            row["name"]
            for row in await connection.fetch(
                "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
                "WHERE nspname = 'public' AND relkind = 'r' AND NOT relispartition"
            )
        ]
        texts = {}
        for name in names:
            row = "to_jsonb(t) - 'original'" if name == "dead_letters" else "to_jsonb(t)"
            found = await connection.fetch(f"SELECT ({row})::text AS text FROM {name} t")
            texts[name] = "\n".join(each["text"] for each in found)
        return texts
    finally:
        await connection.close()


@pytest.mark.timeout(900)
def test_no_canary_is_in_a_log_a_metric_or_the_metadata_of_a_dead_letter(
    stack: RunningStack, scenario_id: str, tmp_path: Path
) -> None:
    canaries = Canaries()
    services = {
        url: httpx.get(f"{url}/api/v1/openapi.json", timeout=CALL_SECONDS).json()
        for url in (stack.ingest_url, stack.api_url)
    }

    def all_requests(url: str) -> list[Sent]:
        ids = {"scenario_id": stack.make_scenario("to be deleted")}
        made = requests_of(services[url], canaries, stack.api_key, ids)
        return sorted(made, key=lambda sent: sent.method == "DELETE")

    for url in services:
        counts = send_all(url, all_requests(url))
        assert {400, 401, 404, 405, 421, 431} & counts.keys() >= {400, 401, 421, 431}, counts
        assert not {status for status in counts if status >= 500}, counts

    good = httpx.post(
        f"{stack.ingest_url}/api/v1/ingest", content=lines_with(canaries, scenario_id), timeout=CALL_SECONDS,
        headers={**stack.headers, "Content-Type": "application/json", "Idempotency-Key": canaries.word("key")},
    )  # fmt: skip
    assert good.status_code == 202, good.text
    receipt = f"{stack.api_url}{good.json()['receipt']}"
    read: Any = {"headers": stack.headers, "timeout": CALL_SECONDS}
    wait_until(lambda: httpx.get(receipt, **read).json().get("stored") == 5, "lines are stored", SETTLE_SECONDS)

    # Dead letters, and sending them on again.
    garbage = [b"\xc1" + canaries.word("garbage").encode(), b"\x92\xc4\x04" + canaries.word("bundle").encode()]
    asyncio.run(publish(stack.settings, garbage))
    wait_until(lambda: _letters(stack) >= len(garbage), "the dead letters are stored", SETTLE_SECONDS)
    outputs = [stack.command("dead-letters", "list", "--json"), stack.command("dead-letters", "redrive", "--all")]
    # The command line, with what can't work.
    file = tmp_path / f"{canaries.word('file')}.log"
    file.write_text(f"user {canaries.word('sent')}@example.com\n\0\n")
    stack.command("send", str(file), scenario_id=canaries.word("scenario"))
    outputs.append(stack.command("status"))
    outputs.append(stack.command("doctor"))

    # The database goes away and comes back, under the same requests.
    again = {url: all_requests(url) for url in services}
    over = threading.Event()
    killer = threading.Thread(target=_keep_down, args=(stack, over))
    killer.start()
    try:
        wait_until(lambda: stack.pid_of("postgres") is None, "the database is gone", SETTLE_SECONDS)
        during = {url: send_all(url, requests) for url, requests in again.items()}
    finally:
        over.set()
        killer.join()
    assert during[stack.api_url].get(503), during
    wait_until(stack.is_ready, "all is ready again", 2 * SETTLE_SECONDS)

    leaks: dict[str, set[str]] = {}
    for log in (stack.home / "logs").rglob("*"):
        if log.is_file():
            leaks[log.name] = canaries.found_in(log.read_text(errors="replace"))
    for name in MODULES:
        address = health_url(stack.installation, name)
        assert address is not None
        text = httpx.get(address.replace("/health/ready", "/metrics"), timeout=CALL_SECONDS).text
        assert "mockupaws_" in text
        leaks[f"metrics of {name}"] = canaries.found_in(text)
        leaks[f"health of {name}"] = canaries.found_in(httpx.get(address, timeout=CALL_SECONDS).text)
    for done in outputs:
        leaks[" ".join(map(str, done.args[2:]))] = canaries.found_in(done.stdout + done.stderr)
    for table, text in asyncio.run(texts_of_tables(stack.settings.postgres_owner_url)).items():
        found = canaries.found_in(text)
        leaks[f"table {table}"] = (
            found if table == "dead_letters" else {w for w in found if any(p in w for p in SECRET_PLACES)}
        )
    assert {place: words for place, words in leaks.items() if words} == {}
    assert {"gateway.log", "api.log", "postgres.log", "kafka.log", "processor.log"} <= leaks.keys()


def _keep_down(stack: RunningStack, over: threading.Event) -> None:
    """Kills the database whenever it is there again."""
    while not over.wait(0.05):
        pid = stack.pid_of("postgres")
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _letters(stack: RunningStack) -> int:
    async def count() -> int:
        connection = await asyncpg.connect(stack.settings.postgres_owner_url, timeout=10)
        try:
            return int(
                await connection.fetchval("SELECT count(*) FROM dead_letters WHERE reason = 'undecodable_record'")
            )
        finally:
            await connection.close()

    return asyncio.run(count())
