from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

import kimbledb
from kimbledb.catalog import catalog, checksums
from kimbledb.catalog.shipped import read_migrations
from kimbledb.errors import CatalogError, ConfigurationError
from kimbledb.model.evidence import AppliedMigration
from tests.support.folders import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder of migrations."""
    return Folder(tmp_path / "migrations")


def test_the_built_in_ones_are_hashed_as_they_are_read() -> None:
    """Hashing the files that ship shows the checksums, and the alternatives, that reading them shows."""
    assert checksums.of_shipped() == kimbledb.Catalog(read_migrations()).checksums


def test_a_folder_is_hashed_as_it_is_read(folder: Folder) -> None:
    """What is sent counts, and not its line ends and its byte-order mark; hosted.sql counts where it holds anything."""
    folder.table(1, "a", facts='provides = ["x", "y", "x"]')
    folder.add(2, "b", "SELECT 1;\r\nSELECT 'ä';\r\n", hosted="GRANT SELECT ON a TO anon;", facts='provides = ["x"]')
    folder.add(3, "c", "\ufeffSELECT 1;\n", hosted="", facts='"pro\\u0076ides" = ["z"]')
    folder.add(4, "d", "SELECT 1;\n", facts="notes = '''\nprovides = [\"x\"]\n'''")
    (folder.path / "README.md").write_text("ours")
    (folder.path / ".git").mkdir()

    found = checksums.of_directory(str(folder.path))

    assert found == folder.catalog.checksums
    assert found.providers == {"x": {"a.sql", "b.sql"}, "y": {"a.sql"}, "z": {"c.sql"}}


def _linked(path: Path) -> None:
    (path / "03_c").symlink_to(path / "01_a")


def _linked_script(path: Path) -> None:
    (path / "01_a/apply.sql").rename(path / "01_a/other")
    (path / "01_a/apply.sql").symlink_to(path / "01_a/other")


def _folder_for_script(path: Path) -> None:
    (path / "01_a/apply.sql").unlink()
    (path / "01_a/apply.sql").mkdir()


UNUSUAL: dict[str, Callable[[Path], object]] = {
    "a folder without a number": lambda path: (path / "extra").mkdir(),
    "the number 0": lambda path: (path / "01_a").rename(path / "00_a"),
    "a number twice": lambda path: (path / "01_a").rename(path / "2_a"),
    "a name twice": lambda path: (path / "01_a").rename(path / "01_b"),
    "a name that cannot be printed": lambda path: (path / "01_a").rename(path / "01_a\x07"),
    "a script beside the folders": lambda path: (path / "03_c.sql").write_text("SELECT 1"),
    "a file of another tool": lambda path: (path / "alembic.ini").write_text(""),
    "no apply.sql": lambda path: (path / "01_a/apply.sql").rename(path / "01_a/apply"),
    "a folder in the place of a script": _folder_for_script,
    "a script of another name": lambda path: (path / "01_a/aply.sql").write_text("SELECT 1"),
    "facts that are no TOML": lambda path: (path / "01_a/migration.toml").write_text("provides = x"),
    "things that are no texts": lambda path: (path / "01_a/migration.toml").write_text("provides = [1]"),
    "a link to a folder": _linked,
    "a link to a script": _linked_script,
    "a script that is not UTF-8": lambda path: (path / "01_a/apply.sql").write_bytes(b"SELECT '\xe4'"),
    "a NUL character": lambda path: (path / "01_a/migration.toml").write_text('title = "\0"'),
    "a large file": lambda path: (path / "01_a/apply.sql").write_text("-- \n" * 400_000),
}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names and links")
@pytest.mark.parametrize("change", UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_out_of_the_ordinary_is_left_to_the_readers(folder: Folder, change: Callable[[Path], object]) -> None:
    """Nothing is concluded from names and bytes where a reader would find a fault, or read something else."""
    folder.table(1, "a")
    folder.table(2, "b")
    assert checksums.of_directory(str(folder.path)) is not None

    change(folder.path)

    assert checksums.of_directory(str(folder.path)) is None


def test_a_path_is_read_when_more_is_asked_for_than_checksums(folder: Folder) -> None:
    """A fault in a file is found where the file is needed."""
    folder.table(1, "a")
    folder.add(2, "b", "COMMIT;")
    late = catalog.at(folder.path)

    assert sorted(late.checksums.of) == ["a.sql", "b.sql"]

    with pytest.raises(CatalogError, match="COMMIT"):
        len(late)


def test_a_path_that_is_no_folder_is_refused_at_once(tmp_path: Path) -> None:
    """As `Catalog.from_directory()` does it."""
    with pytest.raises(ConfigurationError, match="does not exist"):
        catalog.at(tmp_path / "nowhere")


def test_what_history_holds_is_not_checked_again(folder: Folder) -> None:
    """Its SQL was checked when it was applied; a file that runs beside it is checked when it is read."""
    folder.add(1, "a", "SELECT 1;\n", rollback="COMMIT;", verify="no check")
    held = AppliedMigration("a.sql", checksum=catalog.at(folder.path).checksums.of["a.sql"], version="1")
    late = catalog.at(folder.path)

    late.expect([held])

    assert late["a.sql"].apply_sql == "SELECT 1;\n"
    with pytest.raises(CatalogError, match="COMMIT"):
        late["a.sql"].rollback_sql  # noqa: B018 - it is read here
    with pytest.raises(CatalogError, match="no check"):
        late["a.sql"].verification_queries  # noqa: B018 - as above


@pytest.mark.parametrize(
    "row",
    [
        AppliedMigration("a.sql", checksum="another text", version="1"),
        AppliedMigration("a.sql", success=False, version="1"),
        AppliedMigration("b.sql", version="1"),
    ],
    ids=["another text", "a failure", "another migration"],
)
def test_all_else_is_checked(folder: Folder, row: AppliedMigration) -> None:
    """History holds a migration where it has its very text as applied."""
    folder.add(1, "a", "SELECT 1;\n", rollback="COMMIT;")
    late = catalog.at(folder.path)

    late.expect([row])

    with pytest.raises(CatalogError, match="COMMIT"):
        len(late)


def test_what_was_hashed_is_not_read_again(folder: Folder) -> None:
    """Of a migration that history holds, the texts are those that were hashed; what else lies there is read when it is used."""
    folder.add(1, "a", "SELECT 1;\r\n", facts='title = "A"', rollback="SELECT 2;", hosted="SELECT 3;")
    late = catalog.at(folder.path)
    late.begin()
    for file in ("apply.sql", "hosted.sql", "migration.toml"):
        (folder.path / "01_a" / file).unlink()
    (folder.path / "01_a/rollback.sql").write_text("SELECT 4;")

    late.expect([AppliedMigration("a.sql", checksum=late.checksums.of["a.sql"], version="1")])

    pickled = pickle.loads(pickle.dumps(late))  # noqa: S301 - our own
    for found in (late["a.sql"], pickled["a.sql"]):
        assert (found.title, found.apply_sql, found.hosted_sql) == ("A", "SELECT 1;\n", "SELECT 3;")
        assert (found.checksum, found.rollback_sql) == (late.checksums.of["a.sql"], "SELECT 4;")


def test_what_was_hashed_is_checked_where_history_has_another_text(folder: Folder) -> None:
    """Hashing checks nothing."""
    folder.add(1, "a", "COMMIT;")
    late = catalog.at(folder.path)
    late.begin()

    late.expect([AppliedMigration("a.sql", checksum="another text", version="1")])

    with pytest.raises(CatalogError, match="COMMIT"):
        len(late)


def test_what_the_built_in_ones_must_complete_is_refused_late_too(folder: Folder) -> None:
    """The check that a catalog is whole is made as soon as it is read."""
    folder.table(1, "a", facts='requires = ["COMPLETE_MIGRATION.sql"]')
    late = catalog.at(folder.path)

    kimbledb.Planner(late)

    with pytest.raises(CatalogError, match="built-in"):
        len(late)
