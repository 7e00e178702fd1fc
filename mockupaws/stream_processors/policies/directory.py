"""The policy in force of every tenant: a process's own copy, compiled. Pure, and without a clock.

The copy is refreshed by change and kept on disk, so that processing goes on by the last known policies while the
database is down, and even when the process starts meanwhile. Keys stand in it as wrapped as in the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from mockupaws.stream_processors.policies.apply_policy import DEFAULT_POLICY, CompiledPolicy
from mockupaws.stream_processors.policies.document import PolicyError, read_policy
from mockupaws.stream_processors.policies.tenant_keys import KeyRefusedError, unwrap_key

SNAPSHOT_VERSION = 1


class PolicyRecord(msgspec.Struct, frozen=True, array_like=True):
    """A version of a tenant's policy, as stored."""

    tenant_id: bytes
    version: int
    document: str
    """JSON."""
    key_number: int | None
    """Of the key that marks are made under."""
    wrapped_key: bytes | None
    older_keys: list[tuple[int, bytes]] = []
    """Numbers and wrapped keys of before: allowed values may be digests under one of them."""

    @classmethod
    def of(cls, tenant_id: bytes, version: int, document: str, keys: Sequence[tuple[int, bytes]]) -> PolicyRecord:
        """`keys`: all, the newest first."""
        number, wrapped = keys[0] if keys else (None, None)
        return cls(tenant_id, version, document, number, wrapped, list(keys[1:]))


class _Snapshot(msgspec.Struct, array_like=True):
    version: int
    changed_us: int
    policies: list[PolicyRecord]


class PolicyDirectory:
    """Compiled policies by tenant."""

    def __init__(self, secret: str) -> None:
        """`secret`: under which the tenants' keys are wrapped."""
        self._secret = secret
        self._records: dict[bytes, PolicyRecord] = {}
        self._compiled: dict[bytes, CompiledPolicy] = {}
        self.changed_us = 0
        """`created_at` of the newest version known, by the database's clock; 0: none is known."""
        self.problems: dict[bytes, str] = {}
        """By tenant, why its newest policy isn't applied as it is written."""

    def policy_of(self, tenant_id: bytes) -> CompiledPolicy:
        """That of a tenant without one masks everything."""
        return self._compiled.get(tenant_id, DEFAULT_POLICY)

    def apply(self, records: Iterable[PolicyRecord], changed_us: int) -> bool:
        """Whether anything differs from before. A version or key older than those known is passed over."""
        differs = False
        for record in records:
            known = self._records.get(record.tenant_id)
            if record == known or (known is not None and _age(known) > _age(record)):
                continue
            differs = True
            self._records[record.tenant_id] = record
            self._compile(record)
        self.changed_us = max(self.changed_us, changed_us)
        return differs

    def to_snapshot(self) -> bytes:
        return msgspec.msgpack.encode(_Snapshot(SNAPSHOT_VERSION, self.changed_us, list(self._records.values())))

    def load_snapshot(self, snapshot: bytes) -> bool:
        """Takes over what `to_snapshot` wrote; False where the bytes are none or of another version."""
        try:
            read = msgspec.msgpack.decode(snapshot, type=_Snapshot)
        except msgspec.DecodeError:
            return False
        if read.version != SNAPSHOT_VERSION:
            return False
        self.apply(read.policies, read.changed_us)
        return True

    def _compile(self, record: PolicyRecord) -> None:
        """Keeps the version before where a newer release wrote what this one can't read."""
        compiled, problem = compile_record(record, self._secret)
        if compiled is not DEFAULT_POLICY:
            self._compiled[record.tenant_id] = compiled
        if problem is None:
            self.problems.pop(record.tenant_id, None)
        else:
            self.problems[record.tenant_id] = problem


def _age(record: PolicyRecord) -> tuple[int, int]:
    return record.version, record.key_number or 0


def compile_record(record: PolicyRecord, secret: str) -> tuple[CompiledPolicy, str | None]:
    """The policy, and why it isn't as it is written; the default one where it can't be read at all."""
    try:
        document = read_policy(msgspec.json.decode(record.document))
    except (PolicyError, msgspec.DecodeError) as error:
        return DEFAULT_POLICY, f"{type(error).__name__}: version {record.version} can't be read"
    key, older, problem = None, [], None
    tenant_id = UUID(bytes=record.tenant_id)
    try:
        if record.key_number is not None and record.wrapped_key is not None:
            key = unwrap_key(secret, tenant_id, record.key_number, record.wrapped_key)
            older = [unwrap_key(secret, tenant_id, number, wrapped) for number, wrapped in record.older_keys]
    except KeyRefusedError as error:
        problem = str(error)
    compiled = CompiledPolicy(document, record.version, key, older)
    return compiled, (problem or "its key is missing") if compiled.lacks_key else None
