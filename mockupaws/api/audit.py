"""Writes the tenant's audit log: what a caller does, in the transaction that does it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from mockupaws.runtime.audit import AuditEntry, Outcome, append_entry
from mockupaws.runtime.postgres import Connection

if TYPE_CHECKING:
    from mockupaws.api.routing import Call


async def record(
    call: Call,
    connection: Connection,
    action: str,
    target: object,
    *,
    before: Any = None,
    after: Any = None,
    details: Mapping[str, Any] | None = None,
    outcome: Outcome = "done",
    reason: str = "",
) -> None:
    """Appends what the caller does, in the transaction that does it; the last statement there, since others wait.

    `before` and `after` are what the API answers of the thing: structs without secrets.
    """
    told = dict(details or {})
    told |= {name: value for name, value in (("before", before), ("after", after)) if value is not None}
    entry = AuditEntry(
        tenant_id=call.tenant_id,
        actor=call.caller.subject,
        action=action,
        target=str(target),
        origin=call.origin,
        outcome=outcome,
        reason=reason,
        details=msgspec.json.decode(msgspec.json.encode(told)),
    )
    now = datetime.fromtimestamp(call.services.clock.now_us() / 1e6, UTC)
    await append_entry(connection, call.services.settings.audit_key, entry, now)
