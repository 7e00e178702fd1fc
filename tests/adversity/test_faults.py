"""The short drill: some faults of the table against a running installation; and the oracle against spoiled stores."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mockupaws.archive.object_store import open_store
from tests.adversity.drilled_stack import DrilledStack
from tests.adversity.faults.fault import Fault, Scene
from tests.adversity.faults.table import FAULTS, TESTED_ELSEWHERE, faults_named
from tests.adversity.ledger import Head, Ledger, ReadLedger, read_ledger
from tests.adversity.lines import Content
from tests.adversity.load import Load, Producer
from tests.adversity.oracle.invariants import check_lines
from tests.adversity.oracle.read_stores import check_rollups, connect, read_stored
from tests.adversity.oracle.settle import wait_until_quiet
from tests.adversity.trial import run_trial
from tests.conftest import make_tenant

SHORT = [fault for fault in FAULTS if fault.short]
LINES_PER_SECOND = 1500.0
SEED = 20261125


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrilledStack]:
    made = DrilledStack(tmp_path_factory.mktemp("drill"))
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize("fault", SHORT, ids=[fault.name for fault in SHORT])
def test_nothing_is_lost_and_nothing_comes_twice(stack: DrilledStack, fault: Fault, tmp_path: Path) -> None:
    if reason := fault.skipped():
        pytest.skip(reason)
    result = asyncio.run(run_trial(stack, [fault], SEED, tmp_path, LINES_PER_SECOND))
    assert result.violations == []
    assert result.lines > 0
    assert result.outcomes["ok"] > 0


def test_a_fault_that_does_not_heal_in_time_breaks_i10(stack: DrilledStack, tmp_path: Path) -> None:
    async def nothing(scene: Scene) -> None:
        await scene.flow()

    fault = Fault(name="never heals", number="-", what="no time to heal in", inject=nothing, recovery_seconds=0.0)
    result = asyncio.run(run_trial(stack, [fault], SEED, tmp_path, LINES_PER_SECOND))
    assert {violation.invariant for violation in result.violations} == {"I10"}


async def test_the_oracle_sees_what_was_spoiled_in_the_real_stores(stack: DrilledStack, tmp_path: Path) -> None:
    ledger = await _send_and_settle(stack, tmp_path)
    assert await _broken(stack, ledger) == set()
    owner = await connect(stack.settings.postgres_owner_url)
    try:
        # Each is spoiled and mended again: the next one stands alone.
        scenario = ledger.head.scenario_ids[0]
        await owner.execute("CREATE TABLE kept AS SELECT * FROM scenario_logs WHERE scenario_id = $1 LIMIT 1", scenario)
        await owner.execute("DELETE FROM scenario_logs WHERE id = (SELECT id FROM kept)")
        assert await _broken(stack, ledger) >= {"I1", "I5", "I7"}
        await owner.execute("INSERT INTO scenario_logs SELECT * FROM kept")
        assert await _broken(stack, ledger) == set()

        await owner.execute("UPDATE kept SET id = gen_random_uuid()")
        await owner.execute("INSERT INTO scenario_logs SELECT * FROM kept")
        assert await _broken(stack, ledger) >= {"I1", "I5", "I7"}
        await owner.execute("DELETE FROM scenario_logs WHERE id = (SELECT id FROM kept)")

        await owner.execute("UPDATE scenario_metrics SET value = value + 1 WHERE scenario_id = $1", scenario)
        assert await _broken(stack, ledger) == {"I5"}
        await owner.execute("UPDATE scenario_metrics SET value = value - 1 WHERE scenario_id = $1", scenario)

        key = await owner.fetchval("SELECT object_key FROM archive_objects WHERE scenario_id = $1 LIMIT 1", scenario)
        store = open_store(stack.settings)
        content = await asyncio.to_thread(store.get, key)
        await asyncio.to_thread(store.put, key, content[:-1] + bytes([content[-1] ^ 1]))
        assert await _broken(stack, ledger) == {"I1"}
        await asyncio.to_thread(store.put, key, content)
        assert await _broken(stack, ledger) == set()
    finally:
        await owner.execute("DROP TABLE IF EXISTS kept")
        await owner.close()


async def test_it_is_not_quiet_while_a_sink_is_frozen(stack: DrilledStack, tmp_path: Path) -> None:
    with stack.stopped("postgres-sink"):
        await _send(stack, tmp_path)
        left = await wait_until_quiet(stack.settings, 4)
    assert left is not None
    assert left.postgres
    assert await wait_until_quiet(stack.settings, 60) is None


def test_each_fault_has_a_name_of_its_own_and_is_found_by_it() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)
    assert [fault.number for fault in faults_named(["F28"])] == ["F28"]
    with pytest.raises(ValueError, match="no fault is named"):
        faults_named(["no such fault"])


def test_what_is_tested_elsewhere_is_there() -> None:
    for place in TESTED_ELSEWHERE.values():
        file, _, name = place.partition("::")
        assert f"def {name}" in Path(file).read_text()


async def _send(stack: DrilledStack, folder: Path) -> ReadLedger:
    demo = await make_tenant(stack.settings, f"{folder.name}@drill.example")
    run = "oracle"
    head = Head(SEED, run, [demo.tenant_id], [demo.scenario_id])
    producer = Producer(demo.tenant_id, demo.scenario_id, demo.api_key)
    path = folder / "ledger"
    with Ledger(path, head) as ledger:
        load = Load(stack.ingest_url, [producer], Content(SEED, run), ledger, LINES_PER_SECOND)
        load.start()
        assert await load.wait_for_accepted(20, 30)
        await load.stop(30)
    return read_ledger(path)


async def _send_and_settle(stack: DrilledStack, folder: Path) -> ReadLedger:
    ledger = await _send(stack, folder)
    assert await wait_until_quiet(stack.settings, 60) is None
    return ledger


async def _broken(stack: DrilledStack, ledger: ReadLedger) -> set[str]:
    stored, damage = await read_stored(stack.settings, ledger)
    found = damage + check_lines(ledger, stored) + await check_rollups(stack.settings, ledger)
    return {violation.invariant for violation in found}
