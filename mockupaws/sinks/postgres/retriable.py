"""What an error of Postgres means for a batch: try again, look for the row it refused, or give up."""

from __future__ import annotations

import asyncpg

from mockupaws.runtime import postgres

_REFUSED_CLASSES = ("22", "23", "54")
"""Data exceptions, constraint violations, limits (a value too large): the row's fault, not the server's."""


def is_retriable(error: BaseException) -> bool:
    """The same transaction may succeed later."""
    return postgres.is_retriable(error)


def is_refused_row(error: asyncpg.PostgresError) -> bool:
    """Some row of the batch can never be stored."""
    return (error.sqlstate or "").startswith(_REFUSED_CLASSES)
