"""The statements of the .sql files by name."""

from __future__ import annotations

from mockupaws.runtime.postgres import load_queries

SQL: dict[str, str] = {}
for _file in ("queries.sql", "searches.sql", "summaries.sql", "facets.sql", "accounts.sql", "policies.sql"):
    SQL |= load_queries("mockupaws.api", _file)
for _order in ("newest_first", "oldest_first"):
    SQL[f"export_{_order}"] = f"WITH page AS MATERIALIZED ({SQL[f'logs_{_order}']}) {SQL['page_as_json']}"
