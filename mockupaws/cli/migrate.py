"""`mockupaws migrate`: what `mockupaws up` does for the embedded services before ours start, for services elsewhere."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime

import asyncpg
import typer

from mockupaws.archive.lifecycle import maintain
from mockupaws.cli.operated_settings import operated_settings
from mockupaws.runtime.clock import SystemClock
from mockupaws.runtime.errors import RetriableError
from mockupaws.runtime.kafka import create_topics
from mockupaws.runtime.migrations import migrate as migrate_database
from mockupaws.runtime.settings import Settings


class NotMigratedError(RetriableError):
    """Postgres doesn't answer, or refuses."""


def migrate() -> None:
    """Brings schema, partitions and topics to this release: before its processes start, and safe to repeat.

    For the installation that MOCKUPAWS_POSTGRES_OWNER_URL and the like name; `mockupaws up` does it by itself.
    """
    settings = operated_settings(os.environ)
    try:
        applied = asyncio.run(_bring_up_to_date(settings))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise NotMigratedError(
            f"Postgres doesn't answer or refuses ({type(error).__name__}: {error}): what was applied stays, the rest "
            "wasn't begun; repeat the command"
        ) from error
    for name in applied:
        typer.echo(f"applied {name}")
    typer.echo("schema, partitions and topics are those of this release")


async def _bring_up_to_date(settings: Settings) -> list[str]:
    applied = await migrate_database(settings.postgres_owner_url)
    await maintain(settings, datetime.fromtimestamp(SystemClock().now_us() / 1e6, UTC))
    await create_topics(settings)
    return applied
