"""Which migrations are applied, and which are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mockupaws.runtime.migrations import Migration, MigrationError, choose_pending, load_migrations

FIRST, SECOND = Migration("0001_pre_a.sql", "SELECT 1"), Migration("0002_post_b.sql", "SELECT 2")


def test_only_what_is_missing_is_pending() -> None:
    assert choose_pending([FIRST, SECOND], {FIRST.name: FIRST.checksum}) == [SECOND]


def test_an_edited_migration_is_refused_by_name() -> None:
    with pytest.raises(MigrationError, match=r"0001_pre_a\.sql was edited"):
        choose_pending([FIRST, SECOND], {FIRST.name: SECOND.checksum})


def test_a_database_ahead_of_this_release_is_accepted() -> None:
    assert choose_pending([FIRST], {FIRST.name: FIRST.checksum, SECOND.name: SECOND.checksum}) == []


@pytest.mark.parametrize("name", ["0001_during_a.sql", "1_pre_a.sql", "0001_pre_a-b.sql"])
def test_wrong_names_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(MigrationError, match=name):
        load_migrations(tmp_path)


def test_a_number_is_used_once_and_may_be_left_out(tmp_path: Path) -> None:
    for name in ("0001_pre_a.sql", "0003_pre_b.sql"):
        (tmp_path / name).write_text("SELECT 1")
    assert [migration.name for migration in load_migrations(tmp_path)] == ["0001_pre_a.sql", "0003_pre_b.sql"]
    (tmp_path / "0003_post_c.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match=r"0003_pre_b.*number 0003"):
        load_migrations(tmp_path)


def test_the_shipped_ones_load() -> None:
    assert load_migrations()[0].name.startswith("0001_")
