from __future__ import annotations

import msgspec

from mockupaws.ingest_gateway.directory import Directory, KeyRecord, ScenarioRecord
from mockupaws.runtime.limits.plan_feed import TenantPlans
from mockupaws.runtime.revocations import Revocation, RevokedTokens

KEY = KeyRecord("abc", b"t" * 16, b"h" * 32, ["ingest"], None, False)
SCENARIO = ScenarioRecord(b"s" * 16, b"t" * 16, False)


def test_changes() -> None:
    directory = Directory(RevokedTokens(), TenantPlans())
    assert directory.apply([KEY], [SCENARIO], 5)
    assert not directory.apply([KEY], [SCENARIO], 3)
    assert directory.changed_us == 5
    assert directory.scenario(b"s" * 16) == SCENARIO
    assert directory.apply([], [msgspec.structs.replace(SCENARIO, token_encoding="o200k_base")], 5)
    assert directory.apply([], [ScenarioRecord(b"s" * 16, b"t" * 16, True)], 6)
    assert directory.scenario(b"s" * 16) is None
    assert directory.key("other") is None


def test_snapshot_round_trip() -> None:
    directory, again = Directory(RevokedTokens(), TenantPlans()), Directory(RevokedTokens(), TenantPlans())
    directory.apply([KEY], [SCENARIO], 5)
    directory.revoked.apply([Revocation(b"r" * 16, 9)])
    assert again.load_snapshot(directory.to_snapshot())
    assert again.to_snapshot() == directory.to_snapshot()
    assert not Directory(RevokedTokens(), TenantPlans()).load_snapshot(b"other")
