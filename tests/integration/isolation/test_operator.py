"""What an operator does with dead letters on the command line is told to each tenant, of its own letters only."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import msgspec
import pytest
from typer.testing import CliRunner

from mockupaws.cli import dead_letters as commands
from mockupaws.runtime.settings import Settings
from mockupaws.sinks.dead_letters.redrive_letters import LetterFilter
from tests.conftest import Demo, make_tenant

INSERT = """
    INSERT INTO dead_letters (id, tenant_id, scenario_id, request_id, reason, step, detail, topic, partition, "offset",
                              accepted, entry_indexes, received_at, original, software_version, occurred_at)
    VALUES ($1, $2, $3, gen_random_uuid(), 'analysis_failed', 'analyse', 'ValueError', 't', 0, 0, 1, '{0}', now(),
            'a secret of theirs', '0', now())
"""


async def with_letters(settings: Settings) -> dict[uuid.UUID, str]:
    """Two tenants with a letter each: tenant → letter."""
    tenants: list[Demo] = [await make_tenant(settings, f"{name}@example.com") for name in ("ada", "bob")]
    letters = {tenant.tenant_id: str(uuid.uuid4()) for tenant in tenants}
    owner = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    try:
        for tenant in tenants:
            await owner.execute(INSERT, letters[tenant.tenant_id], tenant.tenant_id, tenant.scenario_id)
    finally:
        await owner.close()
    return letters


async def recorded(settings: Settings) -> list[tuple[uuid.UUID, str, str, Any]]:
    owner = await asyncpg.connect(settings.postgres_owner_url, timeout=10)
    try:
        rows = await owner.fetch("SELECT tenant_id, action, actor, target || details::text AS told FROM audit_log")
    finally:
        await owner.close()
    return [tuple(row.values()) for row in rows]


def test_each_look_and_each_redrive_is_told_to_whom_it_concerns(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = asyncio.run(with_letters(settings))
    (ada, ada_letter), (bob, bob_letter) = letters.items()
    monkeypatch.setattr(commands, "_settings", lambda: settings)
    listed = CliRunner().invoke(commands.dead_letters, ["list", "--json"])
    assert {row["id"] for row in msgspec.json.decode(listed.stdout)} == {ada_letter, bob_letter}
    assert CliRunner().invoke(commands.dead_letters, ["list", "--tenant", str(ada)]).exit_code == 0
    shown = CliRunner().invoke(commands.dead_letters, ["show", bob_letter])
    assert (shown.exit_code, "a secret of theirs" in shown.stdout) == (0, False)
    wanted = LetterFilter(ids=[uuid.UUID(ada_letter), uuid.UUID(bob_letter)])
    asyncio.run(commands._record_redrive(settings, wanted))
    entries = asyncio.run(recorded(settings))
    assert {actor for _, _, actor, _ in entries} == {"operator"}
    actions = {tenant: sorted(action for t, action, _, _ in entries if t == tenant) for tenant in letters}
    assert actions == {
        ada: ["dead_letters.listed", "dead_letters.listed", "dead_letters.redriven"],
        bob: ["dead_letter.viewed", "dead_letters.listed", "dead_letters.redriven"],
    }
    told = {tenant: "".join(text for t, _, _, text in entries if t == tenant) for tenant in letters}
    assert ada_letter in told[ada]
    assert bob_letter in told[bob]
    assert bob_letter not in told[ada], "a tenant is told of another's letter"
    assert ada_letter not in told[bob], "a tenant is told of another's letter"
