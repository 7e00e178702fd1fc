"""Roles, database and schema: made once, then moved forward only.

A migration is a file `NNNN_{pre|post}_what.sql`; `pre` ones must work with the release before, `post` ones are run
when that release is gone. What is applied stands in `schema_migrations` with its checksum, so a file that was edited
after it was applied is refused: two installations would differ in silence.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

import asyncpg

from mockupaws.runtime.errors import PermanentError

ROLES: Mapping[str, str] = {
    "mockupaws_owner": "LOGIN BYPASSRLS",
    "mockupaws_sink": "LOGIN BYPASSRLS",
    "mockupaws_api": "LOGIN NOBYPASSRLS",
}
"""Each role and its attributes. Only the superuser may grant BYPASSRLS, so roles are made before migrations run."""

_FILE_NAME = re.compile(r"(\d{4})_(pre|post)_[a-z0-9_]+\.sql")
_ADVISORY_LOCK = 0x6D6F636B757041
_CONNECT_TIMEOUT_SECONDS = 10
_MIGRATION_TIMEOUT_SECONDS = 3600


class MigrationError(PermanentError):
    """The migration files and the database disagree."""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load_migrations(folder: Traversable | None = None) -> list[Migration]:
    """All migrations in order. Raises MigrationError on a wrong name or a repeated number.

    Numbers may have gaps: each change keeps the number it was written under, whichever lands first.
    """
    folder = folder or files("mockupaws.schemas.postgres") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    numbers: set[str] = set()
    for name in names:
        match = _FILE_NAME.fullmatch(name)
        if match is None:
            raise MigrationError(f"migration {name}: call it NNNN_pre_<what>.sql or NNNN_post_<what>.sql")
        if match[1] in numbers:
            raise MigrationError(f"migration {name}: another one has the number {match[1]}")
        numbers.add(match[1])
    return [Migration(name, (folder / name).read_text(encoding="utf-8")) for name in names]


def choose_pending(migrations: Sequence[Migration], applied: Mapping[str, str]) -> list[Migration]:
    """Those that `applied` (name to checksum) lacks. Raises MigrationError where an applied one was edited."""
    edited = [m.name for m in migrations if applied.get(m.name, m.checksum) != m.checksum]
    if edited:
        raise MigrationError(
            f"{', '.join(edited)} was edited after it was applied to this database: "
            "restore the file and put the change into a new migration"
        )
    return [m for m in migrations if m.name not in applied]


async def create_roles(superuser_url: str, passwords: Mapping[str, str]) -> None:
    """Makes the server's roles of `ROLES`, or sets the attributes and passwords of existing ones."""
    connection = await asyncpg.connect(superuser_url, timeout=_CONNECT_TIMEOUT_SECONDS)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _ADVISORY_LOCK)
            for role, attributes in ROLES.items():
                exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
                # DDL takes no parameters: the server itself quotes the name and the password.
                statement = await connection.fetchval(
                    "SELECT format('%s ROLE %I %s PASSWORD %L', $1::text, $2::text, $3::text, $4::text)",
                    "ALTER" if exists else "CREATE", role, attributes, passwords[role],
                )  # fmt: skip
                await connection.execute(statement)
    finally:
        await connection.close()


async def create_database(superuser_url: str, name: str) -> bool:
    """Makes the database, owned by mockupaws_owner, where it is missing; answers whether it was."""
    connection = await asyncpg.connect(superuser_url, timeout=_CONNECT_TIMEOUT_SECONDS)
    try:
        if await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
            return False
        statement = await connection.fetchval(
            "SELECT format('CREATE DATABASE %I OWNER mockupaws_owner ENCODING ''UTF8'' TEMPLATE template0', $1::text)",
            name,
        )
        await connection.execute(statement)
        return True
    finally:
        await connection.close()


async def migrate(owner_url: str, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Applies what is pending, each file in its own transaction, and answers the names.

    Any number of processes may call it at once: one applies, the others wait and find nothing to do.
    """
    migrations = load_migrations() if migrations is None else migrations
    connection = await asyncpg.connect(
        owner_url,
        timeout=_CONNECT_TIMEOUT_SECONDS,
        command_timeout=_MIGRATION_TIMEOUT_SECONDS,
        server_settings={"application_name": "mockupaws-migrate", "timezone": "UTC"},
    )
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _ADVISORY_LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            "name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        rows = await connection.fetch("SELECT name, checksum FROM schema_migrations")
        pending = choose_pending(migrations, {row["name"]: row["checksum"] for row in rows})
        for migration in pending:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migrations (name, checksum) VALUES ($1, $2)", migration.name, migration.checksum
                )
        return [migration.name for migration in pending]
    finally:
        await connection.close()
