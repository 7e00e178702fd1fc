"""The audit log: who did what to what, from where, before and after; one chain of entries for each tenant.

An entry is appended in the transaction of the change it tells of, so neither exists without the other. Its hash is an
HMAC, under `audit_key`, over the hash of the entry before and the entry itself: whoever can write to the database but
lacks the key can't change, insert, remove or move an entry unseen. A chain can't show by itself that its end is
missing, or that all of it was written anew by somebody with the key: for that its head is anchored in the archive,
from time to time, and each anchor names the one before.

Entries name users and keys by id, and hold no password, key, token or line.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import msgspec

from mockupaws.runtime.errors import SettingsError
from mockupaws.schemas.identifiers import new_request_id

if TYPE_CHECKING:
    import asyncpg

    from mockupaws.runtime.postgres import Connection

BEGINNING = bytes(32)
"""Stands for the hash before the first entry."""
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)

Outcome = Literal["done", "refused"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call came from."""

    address: str = ""
    """Of the client, or `cli:<user of the machine>`."""
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    tenant_id: UUID
    actor: str
    """A user's id, `api-key:<id>`, or `operator` for whoever works with the owner's role."""
    action: str
    """`<thing>.<past tense>`: `user.created`, `logs.exported`."""
    target: str
    """Which thing, by id."""
    origin: Origin = field(default_factory=Origin)
    outcome: Outcome = "done"
    reason: str = ""
    """Why, where somebody had to say so."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """JSON values: `before` and `after` of a change, or what was asked for."""


@dataclass(frozen=True, slots=True)
class ChainedEntry:
    """An entry as it is stored."""

    entry: AuditEntry
    id: UUID
    number: int
    at: datetime
    hash: bytes


class Anchor(msgspec.Struct, frozen=True):
    """The head of a chain at some time, kept where the database's writers can't reach."""

    tenant_id: UUID
    number: int
    hash: str
    anchored_at: datetime
    previous_number: int
    """Of the anchor before; 0: this is the first."""
    mac: str = ""
    """Over the fields before, under `audit_key`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    entries: int
    """Checked and found good, from the first on."""
    first_bad: int | None = None
    """Its number; None: the chain is whole."""
    why: str = ""


def entry_hash(key: str, previous: bytes, entry: AuditEntry, id_: UUID, number: int, at: datetime) -> bytes:
    """The hash of entry `number`, which follows the one with the hash `previous`. Raises SettingsError without key."""
    if not key:
        raise SettingsError("MOCKUPAWS_AUDIT_KEY is not set: the audit log can't be chained")
    fields = [
        str(entry.tenant_id), number, str(id_), (at - _EPOCH) // _MICROSECOND, entry.actor, entry.action, entry.target,
        entry.outcome, entry.reason, entry.origin.address, entry.origin.request_id, canonical(entry.details),
    ]  # fmt: skip
    return hmac.digest(key.encode(), b"audit entry\0" + previous + canonical(fields).encode(), hashlib.sha256)


def canonical(value: Any) -> str:
    """One text for a JSON value, whichever way it was written: jsonb keeps neither order nor the form of numbers."""
    match value:
        case dict() | Mapping():
            named = sorted((str(name), canonical(held)) for name, held in value.items())
            return "{" + ",".join(f"{json.dumps(name)}:{held}" for name, held in named) + "}"
        case list() | tuple():
            return "[" + ",".join(canonical(held) for held in value) + "]"
        case None | bool() | str():
            return json.dumps(value)
        case int() | float() | Decimal():
            number = Decimal(repr(value) if isinstance(value, float) else value)
            return format(number.normalize(), "f") if number else "0"
    raise TypeError(f"{type(value).__name__} is no JSON value")


async def append_entry(connection: Connection, key: str, entry: AuditEntry, at: datetime) -> int:
    """Appends to the tenant's chain in the caller's transaction, and answers the entry's number.

    Others who append for this tenant wait until the transaction ends: append last.
    """
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('audit_log/' || $1::text, 0))", str(entry.tenant_id)
    )
    head = await connection.fetchrow(
        "SELECT number, hash FROM audit_log WHERE tenant_id = $1 ORDER BY number DESC LIMIT 1", entry.tenant_id
    )
    number, previous = (head["number"] + 1, head["hash"]) if head else (1, BEGINNING)
    details = canonical(entry.details)
    id_ = new_request_id((at - _EPOCH) // _MICROSECOND, os.urandom(10))
    await connection.execute(
        "INSERT INTO audit_log (id, tenant_id, number, at, actor, action, target, outcome, reason, address, "
        "request_id, details, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        id_, entry.tenant_id, number, at, entry.actor, entry.action, entry.target, entry.outcome, entry.reason,
        entry.origin.address, entry.origin.request_id, details, entry_hash(key, previous, entry, id_, number, at),
    )  # fmt: skip
    return number


def stored_entry(row: asyncpg.Record) -> ChainedEntry:
    """A row of `audit_log`."""
    entry = AuditEntry(
        tenant_id=row["tenant_id"],
        actor=row["actor"],
        action=row["action"],
        target=row["target"],
        origin=Origin(row["address"], row["request_id"]),
        outcome=row["outcome"],
        reason=row["reason"],
        details=json.loads(row["details"], parse_float=Decimal),
    )
    return ChainedEntry(entry, row["id"], row["number"], row["at"], row["hash"])


class ChainVerifier:
    """Follows a tenant's chain from its first entry; `add` them in order of number, then ask for the `verdict`."""

    def __init__(self, key: str, anchors: Iterable[Anchor]) -> None:
        self._key = key
        self._anchors = {anchor.number: anchor for anchor in anchors}
        self._previous = BEGINNING
        self._entries = 0
        self._bad: Verdict | None = None

    def add(self, stored: ChainedEntry) -> bool:
        """False once an entry is bad: what follows says nothing more."""
        if self._bad is None:
            self._check(stored)
        return self._bad is None

    def verdict(self) -> Verdict:
        last_anchor = max(self._anchors, default=0)
        if self._bad is None and last_anchor > self._entries:
            missing = f"entries {self._entries + 1} to {last_anchor} are missing from the end"
            self._bad = Verdict(self._entries, self._entries + 1, missing)
        return self._bad or Verdict(self._entries)

    def _check(self, stored: ChainedEntry) -> None:
        expected = self._entries + 1
        anchor = self._anchors.get(expected)
        if stored.number != expected:
            self._bad = Verdict(self._entries, expected, f"it is missing: entry {stored.number} comes next")
            return
        computed = entry_hash(self._key, self._previous, stored.entry, stored.id, stored.number, stored.at)
        if not hmac.compare_digest(computed, stored.hash):
            self._bad = Verdict(self._entries, expected, "it was changed, inserted or moved, or the key is another")
        elif anchor is not None and anchor.hash != stored.hash.hex():
            when = f"{anchor.anchored_at:%Y-%m-%d %H:%M}"
            self._bad = Verdict(self._entries, expected, f"it isn't the one anchored at {when}: the chain was replaced")
        else:
            self._previous, self._entries = stored.hash, expected


def anchor_key(tenant_id: UUID, number: int | None = None) -> str:
    """Where in the archive an anchor stands; None: the newest one."""
    return f"audit-anchors/{tenant_id}/{'head' if number is None else f'{number:020d}'}.json"


def make_anchor(key: str, tenant_id: UUID, number: int, hash_: bytes, at: datetime, previous_number: int) -> Anchor:
    anchor = Anchor(tenant_id, number, hash_.hex(), at, previous_number)
    return msgspec.structs.replace(anchor, mac=_anchor_mac(key, anchor))


def read_anchor(key: str, content: bytes, tenant_id: UUID) -> Anchor | None:
    """None where it isn't one of this tenant's, made under this key."""
    try:
        anchor = msgspec.json.decode(content, type=Anchor)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    good = hmac.compare_digest(anchor.mac, _anchor_mac(key, anchor)) and anchor.tenant_id == tenant_id
    return anchor if good else None


def _anchor_mac(key: str, anchor: Anchor) -> str:
    unsigned = msgspec.json.encode(msgspec.structs.replace(anchor, mac=""))
    return hmac.digest(key.encode(), b"audit anchor\0" + unsigned, hashlib.sha256).hex()
