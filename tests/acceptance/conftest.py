"""One installation for the whole session, started as a user would start it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.running_stack import RunningStack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("acceptance") / "home") as running:
        yield running


@pytest.fixture
def scenario_id(stack: RunningStack, request: pytest.FixtureRequest) -> str:
    """A scenario of the test's own, so that its counts are its own."""
    return stack.make_scenario(request.node.name[:200])
