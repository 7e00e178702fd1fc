"""`mockupaws tenants list|add|limits`: who uses this installation. For operators; within a tenant its owners manage."""

from __future__ import annotations

import asyncio
import os
import secrets
from typing import Annotated
from uuid import UUID

import asyncpg
import typer

from mockupaws.cli.operated_settings import operated_settings
from mockupaws.cli.record_in_audit_log import append_as_operator, as_owner
from mockupaws.cli.tenant_limits import limits
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.errors import PermanentError
from mockupaws.runtime.passwords import hash_password
from mockupaws.runtime.settings import Settings
from mockupaws.schemas.accounts import normalise_email
from mockupaws.schemas.identifiers import new_request_id
from mockupaws.schemas.limits import TIERS

tenants = typer.Typer(no_args_is_help=True, help="Shows and adds tenants, and what each may use.")
tenants.command()(limits)

MAX_NAME_CHARACTERS = 200
PASSWORD_BYTES = 18


class TenantError(PermanentError):
    """The tenant can't be made as it was asked for."""


@tenants.command("list")
def list_() -> None:
    """Lists tenants: id, since when, number of users, tier, name."""
    for row in asyncio.run(list_tenants(_settings())):
        typer.echo(f"{row['id']}  {row['created_at']:%Y-%m-%d}  {row['users']:5}  {row['tier']:<10}  {row['name']}")


@tenants.command()
def add(
    name: Annotated[str, typer.Argument(help="What the tenant is called.")],
    owner: Annotated[str, typer.Option(help="E-mail of its first owner, who adds the others.")],
    tier: Annotated[str, typer.Option(help=f"What it may use: {', '.join(TIERS)}; docs/limits.md.")] = "free",
) -> None:
    """Adds a tenant and its first owner, whose password is made and shown once."""
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    tenant_id = asyncio.run(add_tenant(_settings(), name, owner, password, tier))
    typer.echo(f"tenant    {tenant_id}\nowner     {owner}\npassword  {password}   (shown once: have it changed)")


async def list_tenants(settings: Settings) -> list[asyncpg.Record]:
    async with as_owner(settings) as connection:
        return await connection.fetch(
            "SELECT t.id, t.name, t.tier, t.created_at, count(u.id) AS users "
            "FROM tenants AS t LEFT JOIN users AS u ON u.tenant_id = t.id GROUP BY t.id ORDER BY t.created_at, t.id"
        )


async def add_tenant(settings: Settings, name: str, owner_email: str, password: str, tier: str = "free") -> UUID:
    """Raises TenantError where name, e-mail or tier can't be."""
    if tier not in TIERS:
        raise TenantError(f"--tier must be one of {', '.join(TIERS)}")
    email = normalise_email(owner_email)
    if email is None:
        raise TenantError("--owner must be an e-mail address")
    if not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise TenantError(f"the name must have 1 to {MAX_NAME_CHARACTERS} printable characters")
    tenant_id, user_id = _new_id(), _new_id()
    try:
        async with as_owner(settings) as connection, connection.transaction():
            await connection.execute("INSERT INTO tenants (id, name, tier) VALUES ($1, $2, $3)", tenant_id, name, tier)
            await connection.execute(
                "INSERT INTO users (id, tenant_id, email, password_hash, role) VALUES ($1, $2, $3, $4, 'owner')",
                user_id,
                tenant_id,
                email,
                hash_password(password),
            )
            details = {"after": {"name": name, "owner": str(user_id), "tier": tier}}
            await append_as_operator(connection, settings, [tenant_id], "tenant.created", str(tenant_id), details)
    except asyncpg.UniqueViolationError:
        raise TenantError("a user has this e-mail already: each address signs in to one tenant") from None
    return tenant_id


def _settings() -> Settings:
    return operated_settings(os.environ)


def _new_id() -> UUID:
    return new_request_id(SystemClock().now_us(), os.urandom(10))
