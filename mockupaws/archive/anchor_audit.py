"""Anchors of the audit log: the head of each tenant's chain, put into the archive from time to time.

Reads `audit_log`, reads and writes the archive. An anchor is put under its own name, which a bucket with object lock
never lets anybody change, and under `head.json`. Before a chain is anchored further, the last anchor is compared with
the entry it names: a chain that was cut or replaced is reported, and keeps the anchor that shows it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from mockupaws.archive.object_store import ObjectStore
from mockupaws.runtime.audit import Anchor, anchor_key, make_anchor, read_anchor
from mockupaws.runtime.errors import PermanentError
from mockupaws.runtime.telemetry import AUDIT_ANCHOR_FAILURES, get_logger

MAX_ANCHORS = 100_000
"""Anchors followed back from the newest one: eleven years of hours."""
_HEADS = "SELECT DISTINCT ON (tenant_id) tenant_id, number, hash FROM audit_log ORDER BY tenant_id, number DESC"
_ENTRY = "SELECT hash FROM audit_log WHERE tenant_id = $1 AND number = $2"
_log = get_logger(__name__)


class AnchorError(PermanentError):
    """An anchor isn't one of ours, or is missing where another names it."""


@dataclass(frozen=True, slots=True)
class Anchored:
    anchored: int
    refused: int
    """Tenants whose chain doesn't hold what its last anchor says."""


async def anchor_chains(connection: asyncpg.Connection, store: ObjectStore, key: str, now: datetime) -> Anchored:
    """Anchors each chain that grew since its last anchor. Raises OSError where the archive can't be reached."""
    anchored = refused = 0
    for head in await connection.fetch(_HEADS):
        tenant_id: UUID = head["tenant_id"]
        try:
            last = await asyncio.to_thread(find_anchor, store, key, tenant_id)
            if last is not None:
                held = await connection.fetchval(_ENTRY, tenant_id, last.number)
                if held is None or held.hex() != last.hash:
                    raise AnchorError(f"entry {last.number} isn't the one that was anchored")
        except AnchorError as error:
            _log.error("audit_chain_not_as_anchored", tenant_id=str(tenant_id), why=str(error))
            AUDIT_ANCHOR_FAILURES.labels("changed").inc()
            refused += 1
            continue
        if last is None or head["number"] > last.number:
            before = 0 if last is None else last.number
            anchor = make_anchor(key, tenant_id, head["number"], head["hash"], now, before)
            await asyncio.to_thread(_put, store, anchor)
            anchored += 1
    return Anchored(anchored, refused)


def find_anchor(store: ObjectStore, key: str, tenant_id: UUID, number: int | None = None) -> Anchor | None:
    """The anchor of entry `number` (None: the newest one), None where there is none. Raises AnchorError, OSError."""
    name = anchor_key(tenant_id, number)
    try:
        content = store.get(name)
    except FileNotFoundError:
        return None
    anchor = read_anchor(key, content, tenant_id)
    if anchor is None:
        raise AnchorError(f"{name} is no anchor made here under this audit key")
    return anchor


def find_anchors(store: ObjectStore, key: str, tenant_id: UUID) -> list[Anchor]:
    """All anchors of a tenant, the newest first. Raises AnchorError, OSError."""
    anchor = find_anchor(store, key, tenant_id)
    found: list[Anchor] = []
    while anchor is not None and len(found) < MAX_ANCHORS:
        found.append(anchor)
        before = anchor.previous_number
        if before == 0:
            break
        anchor = find_anchor(store, key, tenant_id, before)
        if anchor is None or anchor.number != before:
            raise AnchorError(f"the anchor of entry {before} is missing, which a later one names")
    return found


def _put(store: ObjectStore, anchor: Anchor) -> None:
    content = msgspec.json.encode(anchor)
    store.put(anchor_key(anchor.tenant_id, anchor.number), content)
    store.put(anchor_key(anchor.tenant_id), content)
