"""The folder of a new migration: made whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from kimbledb.catalog.catalog import Catalog
from kimbledb.catalog.scaffold import new_migration
from kimbledb.errors import CatalogError, ConfigurationError, KimbleDBError, UnknownMigrationError


def contents(root: Path) -> list[str]:
    """All that is under a folder."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_the_first_migration_makes_the_folder(tmp_path: Path) -> None:
    """A folder that is not there, is empty, or holds a page for people gets its first migration."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "README.md").touch()

    assert new_migration(tmp_path / "new" / "deep", "base").name == "01_base"
    assert new_migration(tmp_path / "notes", "base", title='Größe: "a\\b"').name == "01_base"
    assert Catalog.from_directory(tmp_path / "notes")[1].title == 'Größe: "a\\b"'


def test_a_new_folder_holds_two_files(tmp_path: Path) -> None:
    """Only apply.sql and a migration.toml of one line are made; what is required has a line of its own."""
    first = new_migration(tmp_path, "add-invoices")
    second = new_migration(tmp_path, "more", requires=("add-invoices.sql",))

    assert contents(first) == ["apply.sql", "migration.toml"]
    assert (first / "migration.toml").read_text() == 'title = "add invoices"\n'
    assert (second / "migration.toml").read_text() == 'title = "more"\nrequires = ["add-invoices.sql"]\n'


@pytest.mark.parametrize(
    ("name", "requires", "error"),
    [
        ("a/b", (), ConfigurationError),
        ("base", ("nobody.sql",), UnknownMigrationError),
    ],
)
def test_what_cannot_be_made_leaves_nothing(
    tmp_path: Path, name: str, requires: tuple[str, ...], error: type[KimbleDBError]
) -> None:
    """A call that is refused makes no folder, not even that of the migrations."""
    with pytest.raises(error):
        new_migration(tmp_path / "migrations", name, requires=requires)

    assert contents(tmp_path) == []


def test_a_folder_with_faults_is_left_as_it_is(tmp_path: Path) -> None:
    """Beside migrations of another tool none is made."""
    (tmp_path / "db.changelog-master.xml").touch()

    with pytest.raises(CatalogError, match="Liquibase"):
        new_migration(tmp_path, "base")

    assert contents(tmp_path) == ["db.changelog-master.xml"]


@pytest.mark.parametrize(
    ("file", "hint"),
    [("007_a.sql", "008_b.sql"), ("a-2025-01-01.sql", "b-20"), ("V1__a.sql", "named as V1__a.sql is")],
)
def test_a_flat_folder_gets_no_folder(tmp_path: Path, file: str, hint: str) -> None:
    """A folder among files would make all of these faults: the name of the next file is told."""
    (tmp_path / file).touch()

    with pytest.raises(ConfigurationError, match="holds migrations in files") as caught:
        new_migration(tmp_path, "b")

    assert hint in str(caught.value.hint)
    assert contents(tmp_path) == [file]


def test_moments_are_followed_by_the_present_one(tmp_path: Path) -> None:
    """Where migrations are numbered by the time at which they were made, so is the next."""
    new_migration(tmp_path, "a").rename(tmp_path / "20240101120000_a")

    folder = new_migration(tmp_path, "b")

    assert folder.name > "20240101120000_a"
    assert len(folder.name) == len("20240101120000_a")


def test_a_path_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file in the folder's place is an error with a cure, and no traceback."""
    (tmp_path / "file").touch()

    with pytest.raises(KimbleDBError):
        new_migration(tmp_path / "file" / "deeper", "a")
