"""The statements of the .sql files by name."""

from __future__ import annotations

from mockupaws.runtime.postgres import load_queries

SQL: dict[str, str] = {}
for _file in ("queries.sql", "summaries.sql", "accounts.sql", "policies.sql"):
    SQL |= load_queries("mockupaws.api", _file)
