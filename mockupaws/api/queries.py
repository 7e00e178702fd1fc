"""The statements of the .sql files by name."""

from __future__ import annotations

from mockupaws.runtime.postgres import load_queries

SQL: dict[str, str] = {}
for _file in ("queries.sql", "searches.sql", "summaries.sql", "facets.sql", "accounts.sql", "policies.sql"):
    SQL |= load_queries("mockupaws.api", _file)
for _name in ("coverage", "totals", "series"):
    SQL[_name] = f"{SQL['covered']} {SQL[_name]}"
for _order in ("newest_first", "oldest_first"):
    for _form in ("json", "csv"):
        for _lines, _last in (("logs", "$18"), ("all", "$7")):
            SQL[f"export_{_lines}_{_order}_as_{_form}"] = (
                f"WITH page AS MATERIALIZED ({SQL[f'{_lines}_{_order}']}) "
                + SQL[f"page_as_{_form}"].replace("$0", _last)
            )
