"""The statements of the .sql files by name."""

from __future__ import annotations

from mockupaws.runtime.postgres import load_queries

SQL = load_queries("mockupaws.api", "queries.sql") | load_queries("mockupaws.api", "accounts.sql")
