"""`mockupaws audit verify`: whether the audit log is as it was written."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated
from uuid import UUID

import asyncpg
import typer

from mockupaws.archive.anchor_audit import AnchorError, find_anchors
from mockupaws.archive.object_store import ObjectStore, open_store
from mockupaws.cli.operated_settings import operated_settings
from mockupaws.runtime.audit import Anchor, ChainVerifier, Verdict, stored_entry
from mockupaws.runtime.errors import PermanentError, RetriableError
from mockupaws.runtime.settings import Settings

audit = typer.Typer(no_args_is_help=True, help="Checks the log of who did what.")

_CONNECT_SECONDS = 10
_STATEMENT_SECONDS = 60
_AT_ONCE = 1000


class UnknownTenantError(PermanentError):
    """Nothing of such a tenant is there, or ever was."""


class AuditUnreachableError(RetriableError):
    """Postgres or the archive doesn't answer."""


@audit.callback()
def _one_of_several() -> None:
    """Checks the log of who did what."""


@audit.command()
def verify(tenant: Annotated[UUID | None, typer.Option(help="Only of this tenant.")] = None) -> None:
    """Follows each tenant's chain, and names the first entry that isn't as it was written; exit code 1 then."""
    settings = operated_settings(os.environ)
    try:
        bad = asyncio.run(_verify(settings, tenant))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise AuditUnreachableError(
            f"the audit log or its anchors can't be read ({type(error).__name__}): see `mockupaws status`"
        ) from error
    raise typer.Exit(1 if bad else 0)


async def _verify(settings: Settings, tenant: UUID | None) -> bool:
    connection = await asyncpg.connect(
        settings.postgres_owner_url, timeout=_CONNECT_SECONDS, command_timeout=_STATEMENT_SECONDS
    )
    store = open_store(settings)
    bad = False
    try:
        # A tenant without an entry may have lost them all: its anchors say so.
        tenants = await connection.fetch(
            "SELECT id FROM tenants UNION SELECT tenant_id FROM audit_log ORDER BY 1"
        ) if tenant is None else [{"id": tenant}]  # fmt: skip
        for row in tenants:
            verdict, anchored = await verify_chain(connection, store, settings.audit_key, row["id"])
            if tenant and not (verdict.entries or verdict.first_bad is not None or await _is_known(connection, tenant)):
                raise UnknownTenantError(f"there is no tenant {tenant}; `mockupaws tenants list` shows them")
            if verdict.first_bad is None:
                until = f"anchored to {anchored}" if anchored else "not anchored yet"
                typer.echo(f"{row['id']}  ok    {verdict.entries:,} entries, {until}")
            else:
                bad = True
                typer.echo(f"{row['id']}  BAD   entry {verdict.first_bad}: {verdict.why}")
    finally:
        await connection.close()
    return bad


async def _is_known(connection: asyncpg.Connection[asyncpg.Record], tenant: UUID) -> bool:
    return await connection.fetchval("SELECT 1 FROM tenants WHERE id = $1", tenant) is not None


async def verify_chain(
    connection: asyncpg.Connection[asyncpg.Record], store: ObjectStore, key: str, tenant_id: UUID
) -> tuple[Verdict, int]:
    """What is wrong with a tenant's chain, and the newest anchored number. Raises what asyncpg and the store raise."""
    try:  # before the entries, which only grow: an anchor must not name one that came later
        anchors: list[Anchor] = await asyncio.to_thread(find_anchors, store, key, tenant_id)
    except AnchorError as error:
        return Verdict(0, 0, str(error)), 0
    verifier = ChainVerifier(key, anchors)
    async with connection.transaction(readonly=True):
        rows = connection.cursor(
            "SELECT * FROM audit_log WHERE tenant_id = $1 ORDER BY number", tenant_id, prefetch=_AT_ONCE
        )
        async for row in rows:
            if not verifier.add(stored_entry(row)):
                break
    return verifier.verdict(), anchors[0].number if anchors else 0
