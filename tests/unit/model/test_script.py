"""A script knows its file, its text, and the place of each character."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path

import pytest

from kimbledb import Catalog, CatalogError, Migration
from kimbledb.catalog.named_queries import read_named_queries
from kimbledb.model.check import VerificationQuery
from kimbledb.model.script import Script


def put(folder: Path, **texts: str) -> None:
    """Write the files of a migration's folder."""
    folder.mkdir(parents=True)
    for file, text in texts.items():
        (folder / f"{file}.{'toml' if file == 'migration' else 'sql'}").write_text(text, "utf-8", newline="")


def test_lines_are_those_of_the_file() -> None:
    """The lines of a text that is a part of a file are counted from the start of the file."""
    script = Script("001_a.sql", "SELECT 1;\nSELECT 2;", first_line=10)

    assert [script.line_and_column(offset) for offset in (0, 9, 10, 19)] == [(10, 1), (10, 10), (11, 1), (11, 10)]


def test_a_named_query_has_its_line_of_the_file() -> None:
    """Queries that begin further down in a file have the lines of that file."""
    script = Script("001_a.sql", "-- name: one\nSELECT true AS passed", first_line=10)

    expected = VerificationQuery("one", "SELECT true AS passed", runs=False, line=11)

    assert read_named_queries(script) == ([expected], [])


def test_a_script_is_shown_without_its_text() -> None:
    """The text may hold secrets, and what is logged by accident does not show it."""
    assert repr(Script("a.sql", "SELECT 'secret'", 3)) == "Script(path='a.sql', first_line=3)"


def test_a_script_is_read_when_it_is_first_asked_for() -> None:
    """A script that is read late is read once, and not by the start."""
    read: list[str] = []

    def reading(part: str) -> Script:
        read.append(part)
        return Script(f"{part}.sql", f"SELECT '{part}'")

    migration = Migration(name="a.sql", number=1, verify_sql=partial(reading, "verify"))

    assert not read
    assert migration.script("verify") is migration.script("verify")
    assert (migration.verify_sql, read) == ("SELECT 'verify'", ["verify"])


def test_a_folder_whose_name_ends_like_a_file_has_files(tmp_path: Path) -> None:
    """The folder `01_users.sql` is no file of a flat folder."""
    put(tmp_path / "01_users.sql", apply="SELECT 1;", migration="", verify="-- name: a\nTABLE t", rollback="SELECT 2;")
    [migration] = Catalog.from_directory(tmp_path)

    assert not migration.is_flat
    assert migration.file("rollback") == f"{tmp_path}/01_users.sql/rollback.sql"


def test_a_migration_without_a_file_is_named_where_its_file_would_be() -> None:
    """Of a migration that was made in memory, messages name the migration and the script."""
    assert Migration(name="a.sql", number=1, apply_sql="SELECT 1").file("apply") == "a.sql/apply.sql"


@pytest.mark.parametrize("flat", [True, False])
def test_a_pickled_migration_knows_its_files(tmp_path: Path, flat: bool) -> None:
    """A pickle holds no SQL, and still the places of its scripts."""
    if flat:
        (tmp_path / "1_a.sql").write_text("SELECT 1;")
    else:
        put(tmp_path / "1_a", apply="SELECT 1;", migration="", verify="-- name: a\nTABLE t", rollback="SELECT 2;")
    [migration] = Catalog.from_directory(tmp_path)
    copy = pickle.loads(pickle.dumps(migration))  # noqa: S301

    for part in ("apply", "verify", "rollback", "online"):
        assert (copy.file(part), copy.script(part).text) == (migration.file(part), "")


@pytest.mark.parametrize("mark", ["\x0c", "\u2028", "\x85", "\x1c"])
def test_a_head_comment_has_the_line_that_an_error_of_the_server_would_have(tmp_path: Path, mark: str) -> None:
    """Only a line feed ends a line: neither a form feed nor what Unicode calls a separator does."""
    (tmp_path / "1_a.sql").write_text(f"-- one{mark}-- the same\n-- kimbledb: nonsense = 1\nSELECT 1;", "utf-8")

    with pytest.raises(CatalogError) as raised:
        Catalog.from_directory(tmp_path)
    [fault] = raised.value.faults

    assert (fault.path, fault.line) == (f"{tmp_path}/1_a.sql", 2)


def test_what_a_flat_file_requires_is_told_of_that_file(tmp_path: Path) -> None:
    """A file of a flat folder has no migration.toml, so that no fault names one."""
    for name in ("1_a.sql", "2_b.sql"):
        (tmp_path / name).write_text("SELECT 1;")
    _, second = Catalog.from_directory(tmp_path)

    with pytest.raises(CatalogError) as raised:
        Catalog([second])

    assert raised.value.faults[0].path == f"{tmp_path}/2_b.sql"


@pytest.mark.parametrize(
    "before",
    [
        'notes = """\nphase = 1\n"""',
        "notes = '''\nphase = 1\n'''",
        'notes = """\n\\"""\nphase = 1\n"quoted\\""""',
        '# """\nnotes = "#"\ntitle = \'"""\'',
    ],
    ids=ascii,
)
def test_a_fact_has_its_line(tmp_path: Path, before: str) -> None:
    """What stands in a text of several lines, and looks like a key, is none."""
    checks = {"verify": "-- name: a\nTABLE t", "rollback": "SELECT 2;"}
    put(tmp_path / "1_a", apply="SELECT 1;", migration=f"{before}\nphase = 0\n", **checks)

    with pytest.raises(CatalogError) as raised:
        Catalog.from_directory(tmp_path)

    [fault] = raised.value.faults
    assert (fault.path, fault.line) == (f"{tmp_path}/1_a/migration.toml", before.count("\n") + 2)
