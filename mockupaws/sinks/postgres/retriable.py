"""What an error of Postgres means for a batch: try again, look for the row it refused, or give up."""

from __future__ import annotations

import asyncpg

from mockupaws.runtime import postgres

_REFUSED_CLASSES = ("22", "23", "54")
"""Data exceptions, constraint violations, limits (a value too large): the row's fault, not the server's."""

UNIQUE_VIOLATION = "23505"
"""A row's id is that of its request and its place in it, so a request whose rows all stand was stored before. It comes
to this when it was forgotten in `applied_requests`."""


def is_retriable(error: BaseException) -> bool:
    """The same transaction may succeed later."""
    return postgres.is_retriable(error)


def is_refused_row(error: asyncpg.PostgresError) -> bool:
    """Some row of the batch can never be stored."""
    return (error.sqlstate or "").startswith(_REFUSED_CLASSES)
