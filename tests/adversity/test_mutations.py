"""Each mutation can still be applied to the code as it is, and names a test that exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adversity.mutations import MUTATIONS, REPOSITORY, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.safeguard for mutation in MUTATIONS])
def test_it_applies_to_a_copy_and_leaves_the_tree_alone(mutation: Mutation, tmp_path: Path) -> None:
    original = (REPOSITORY / mutation.file).read_text()
    copy = tmp_path / mutation.file
    copy.parent.mkdir(parents=True)
    copy.write_text(original)
    mutation.apply(tmp_path)
    assert copy.read_text() != original
    assert (REPOSITORY / mutation.file).read_text() == original
    assert (REPOSITORY / mutation.test.partition("::")[0]).is_file()
    with pytest.raises(ValueError, match="not once"):
        mutation.apply(tmp_path)
