"""No statement of a table that grows is without a test of its plan, or a reason why it needs none."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime

from tests.integration.plans.statements import GROWING, NEED_NONE, named_statements, statements

ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def test_each_statement_of_a_growing_table_has_a_plan_that_is_tested_or_needs_none() -> None:
    of_growing = {
        name for name, text in named_statements() if any(re.search(rf"\b{table}\b", text) for table in GROWING)
    }
    tested = {name.partition("#")[0] for name in statements(uuid.UUID(int=1), uuid.UUID(int=2), ANY_DAY) if ":" in name}
    exempt = set().union(*NEED_NONE.values())
    assert not tested & exempt
    assert of_growing <= tested | exempt, "add it to tests/integration/plans/statements.py"
    assert exempt <= of_growing
    assert tested <= {name for name, _ in named_statements()}
