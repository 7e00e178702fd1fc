"""Reads the table `dead_letters` for an operator, across tenants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg

from mockupaws.runtime.errors import RetriableError
from mockupaws.runtime.postgres import is_retriable, load_queries, open_pool
from mockupaws.runtime.settings import Settings
from mockupaws.sinks.dead_letters.redrive_letters import LetterFilter

if TYPE_CHECKING:
    from mockupaws.runtime.postgres import Pool

_QUERIES = load_queries("mockupaws.sinks.dead_letters", "queries.sql")


class LettersUnreachableError(RetriableError):
    """Postgres doesn't answer."""


async def list_letters(settings: Settings, wanted: LetterFilter, state: str | None, limit: int) -> list[asyncpg.Record]:
    """The newest letters first, without their original bytes. Raises LettersUnreachableError."""
    conditions = (wanted.tenant_id, wanted.scenario_id, wanted.reason, wanted.step, state, wanted.since)
    async with _opened(settings) as pool:
        return await pool.fetch(_QUERIES["list_letters"], *conditions, limit)


async def find_letter(settings: Settings, letter_id: UUID) -> asyncpg.Record | None:
    """One letter, with its original bytes: personal data. Raises LettersUnreachableError."""
    async with _opened(settings) as pool:
        return await pool.fetchrow(_QUERIES["find_letter"], letter_id)


async def tenants_of_letters(settings: Settings, wanted: LetterFilter) -> dict[UUID, list[UUID] | None]:
    """Whose letters a redrive of them would send on, and which of `wanted.ids` are theirs (None: no ids are wanted).

    Raises LettersUnreachableError.
    """
    conditions = (wanted.tenant_id, wanted.scenario_id, wanted.reason, wanted.step, wanted.since)
    ids = None if wanted.ids is None else list(wanted.ids)
    async with _opened(settings) as pool:
        rows = await pool.fetch(_QUERIES["tenants_of_letters"], *conditions, ids)
        return {row["tenant_id"]: row["ids"] for row in rows}


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Pool]:
    pool = await open_pool(settings.postgres_sink_url, settings, max_size=1, application_name="mockupaws-dead-letters")
    try:
        yield pool
    except Exception as error:
        if not is_retriable(error):
            raise
        raise LettersUnreachableError(
            f"Postgres doesn't answer ({type(error).__name__}): is `mockupaws up`?"
        ) from error
    finally:
        pool.terminate()
