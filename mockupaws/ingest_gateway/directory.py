"""Who may send how much, and whose each scenario is: a copy of keys, plans, scenarios and revoked tokens. Pure.

The copy is refreshed by change and kept on disk, so that ingest goes on while the database is down and even when the
gateway starts meanwhile. A revoked key is refused once the next refresh brought the change.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mockupaws.runtime.limits.plan_feed import TenantPlans
from mockupaws.runtime.revocations import Revocation, RevokedTokens
from mockupaws.schemas.limits import TenantPlan
from mockupaws.schemas.token_encodings import DEFAULT_ENCODING, TokenEncoding

SNAPSHOT_VERSION = 2


class KeyRecord(msgspec.Struct, frozen=True, array_like=True):
    """An API key as stored: of the secret only an HMAC."""

    prefix: str
    tenant_id: bytes
    secret_hmac: bytes
    scopes: list[str]
    expires_at_us: int | None
    revoked: bool


class ScenarioRecord(msgspec.Struct, frozen=True, array_like=True):
    scenario_id: bytes
    tenant_id: bytes
    deleted: bool
    token_encoding: TokenEncoding = DEFAULT_ENCODING
    """What the scenario's model counts tokens with."""


class _Snapshot(msgspec.Struct, array_like=True):
    version: int
    changed_us: int
    keys: list[KeyRecord]
    scenarios: list[ScenarioRecord]
    revocations: list[Revocation]
    plans: list[TenantPlan] = []


class Directory:
    """Keys by prefix, and scenarios that aren't deleted by id."""

    def __init__(self, revoked: RevokedTokens, plans: TenantPlans) -> None:
        self.revoked = revoked
        self.plans = plans
        self._keys: dict[str, KeyRecord] = {}
        self._scenarios: dict[bytes, ScenarioRecord] = {}
        self.changed_us = 0
        """`updated_at` of the newest change known, by the database's clock; 0: nothing was ever read."""

    def key(self, prefix: str) -> KeyRecord | None:
        return self._keys.get(prefix)

    def scenario(self, scenario_id: bytes) -> ScenarioRecord | None:
        return self._scenarios.get(scenario_id)

    def apply(self, keys: Iterable[KeyRecord], scenarios: Iterable[ScenarioRecord], changed_us: int) -> bool:
        """Whether anything differs from before."""
        differs = False
        for key in keys:
            differs = differs or self._keys.get(key.prefix) != key
            self._keys[key.prefix] = key
        for scenario in scenarios:
            known = None if scenario.deleted else scenario
            differs = differs or self._scenarios.get(scenario.scenario_id) != known
            if known is None:
                self._scenarios.pop(scenario.scenario_id, None)
            else:
                self._scenarios[scenario.scenario_id] = known
        self.changed_us = max(self.changed_us, changed_us)
        return differs

    def to_snapshot(self) -> bytes:
        scenarios = list(self._scenarios.values())
        keys, revoked, plans = list(self._keys.values()), self.revoked.all(), self.plans.all()
        return msgspec.msgpack.encode(_Snapshot(SNAPSHOT_VERSION, self.changed_us, keys, scenarios, revoked, plans))

    def load_snapshot(self, snapshot: bytes) -> bool:
        """Takes over what `to_snapshot` wrote; False where the bytes are none or of another version."""
        try:
            read = msgspec.msgpack.decode(snapshot, type=_Snapshot)
        except msgspec.DecodeError:
            return False
        if read.version != SNAPSHOT_VERSION:
            return False
        self.apply(read.keys, read.scenarios, read.changed_us)
        self.revoked.apply(read.revocations)
        self.plans.apply(read.plans)
        return True
