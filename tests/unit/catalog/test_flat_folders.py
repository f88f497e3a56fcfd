"""Flat folders: files named by number or by date, each after the one before."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import CatalogError
from kimbledb.planning.planner import Planner


def put(root: Path, *names: str, text: str = "SELECT 1;\n") -> Path:
    """Write files of that text, the last one first, and return their folder."""
    for name in reversed(names):
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    ("names", "numbers", "titles"),
    [
        (
            ["1_CREATE_USERS.sql", "2_ADD_INDEX.sql", "10_fix-type.sql"],
            [1, 2, 10],
            ["CREATE USERS", "ADD INDEX", "fix type"],
        ),
        (["001_a.sql", "007_b.sql", "08_c-2020-01-01.sql"], [1, 7, 8], ["a", "b", "c 2020 01 01"]),
        (["000001.sql", "000002.sql", "000010.sql"], [1, 2, 10], ["", "", ""]),
        (["20240101_b.sql", "20240102_a.sql", "20240102_c.sql"], [1, 2, 3], ["b", "a", "c"]),
        (["00.00.00_01_a.sql", "00.02.00_01_b.sql", "00.10.00_01_c.sql"], [1, 2, 3], ["a", "b", "c"]),
        (
            ["z-create-users-2024-12-31.sql", "add-a-20250101.sql", "add-b-2025-01-01.sql"],
            [1, 2, 3],
            ["z create users", "add a", "add b"],
        ),
    ],
)
def test_the_order_is_that_of_numbers_or_dates(
    tmp_path: Path, names: list[str], numbers: list[int], titles: list[str]
) -> None:
    """Numbers go as numbers, dates as dates and files of one date by name; each needs the one before it."""
    catalog = Catalog.from_directory(put(tmp_path, *names))

    assert [migration.name for migration in catalog] == names
    assert [migration.number for migration in catalog] == numbers
    assert [migration.title for migration in catalog] == titles
    assert [migration.requires for migration in catalog] == [(), (names[0],), (names[1],)]
    assert [step.name for step in Planner(catalog).plan().pending] == names


def test_a_file_is_a_migration_without_checks_and_rollback(tmp_path: Path) -> None:
    """Its text is what is sent, its checksum as of any migration, and the plan says what it lacks."""
    put(tmp_path, "001_a.sql", text="\ufeffSELECT 1;\r\n")

    [migration] = Catalog.from_directory(tmp_path)

    assert migration.apply_sql == "SELECT 1;\n"
    assert migration.checksum == hashlib.sha256(b"SELECT 1;\n").hexdigest()
    assert (migration.verification_queries, migration.rollback_sql, migration.creates) == ((), "", ())
    assert migration.file("apply") == f"{tmp_path}/001_a.sql"
    plan = Planner(Catalog.from_directory(tmp_path)).plan()
    assert [step.name for step in plan.undeclared] == ["001_a.sql"]
    assert f"`kimbledb declare {tmp_path}` records them" in str(plan)


@pytest.mark.parametrize(
    ("names", "path", "message"),
    [
        (["1_a.sql", "notes.sql"], "notes.sql", "its name has neither a number nor a date"),
        (["1_a.sql", "migration.toml"], "migration.toml", "its name has neither a number nor a date"),
        (["a-2025-01-01.sql", "b-2025-02-30.sql"], "b-2025-02-30.sql", "its name has neither a number nor a date"),
        (["1_a.sql", "b-2025-01-01.sql"], "b-2025-01-01.sql", "so their order is unknown"),
        (["0_a.sql"], "0_a.sql", "its number is 0"),
        (["1_a.sql", "01_b.sql"], "1_a.sql", "it has the same number, 1, as"),
    ],
)
def test_names_that_tell_no_order_are_refused(tmp_path: Path, names: list[str], path: str, message: str) -> None:
    """A name of another form, a date that is none, a number twice, or both ways at once: told with the cure."""
    with pytest.raises(CatalogError) as caught:
        Catalog.from_directory(put(tmp_path, *names))

    [fault] = caught.value.faults
    assert fault.path == f"{tmp_path}/{path}"
    assert message in fault.message
    assert fault.cure


def test_what_a_script_may_not_hold_is_told_with_its_line(tmp_path: Path) -> None:
    """A file of a flat folder is checked as any script."""
    put(tmp_path, "1_a.sql", text="SELECT 1;\nCOMMIT;\n")

    with pytest.raises(CatalogError, match=r"1_a\.sql:2: "):
        Catalog.from_directory(tmp_path)


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    """A page for people, a hidden file and a cache are no migrations."""
    put(tmp_path, "1_a.sql", "README.md", ".hidden.sql")
    (tmp_path / "__pycache__").mkdir()

    assert len(Catalog.from_directory(tmp_path)) == 1


def test_a_link_is_read_where_it_stays_in_the_folder(tmp_path: Path) -> None:
    """A link to a file of the folder is that file; one that leads out is told with the cure."""
    root = tmp_path / "root"
    root.mkdir()
    put(root, "1_a.sql")
    (root / "..data").mkdir()
    (root / "..data" / "2_b.sql").write_text("SELECT 2;", encoding="utf-8")
    (root / "2_b.sql").symlink_to("..data/2_b.sql")

    assert [migration.apply_sql for migration in Catalog.from_directory(root)] == ["SELECT 1;\n", "SELECT 2;"]

    (tmp_path / "3_c.sql").touch()
    (root / "3_c.sql").symlink_to("../3_c.sql")

    with pytest.raises(
        CatalogError, match=r"3_c\.sql: it is a symbolic link to a place outside of the folder; copy the file"
    ):
        Catalog.from_directory(root)


def test_dates_with_times_are_numbers(tmp_path: Path) -> None:
    """Files of many tools are numbered by the moment at which they were made, and run in that order."""
    names = ["20231231235959_a.sql", "20240101120000_x.sql", "20240101120001_b.sql"]

    catalog = Catalog.from_directory(put(tmp_path, *names))

    assert names == [migration.name for migration in catalog]
    assert catalog[20240101120000].requires == ("20231231235959_a.sql",)


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (["001_a.sql", "001_a.undo.sql"], "it reverts 001_a.sql"),
        (["001_a.sql", "001_a_down.sql"], "it reverts 001_a.sql, and would run after it"),
        (["001_a-up.sql", "001_a-down.sql"], "it reverts 001_a-up.sql, and would run after it"),
        (["a-up-2025-01-01.sql", "a-undo-2025-01-01.sql"], "it reverts a-up-2025-01-01.sql"),
    ],
)
def test_a_file_that_takes_another_back_is_refused(tmp_path: Path, names: list[str], named: str) -> None:
    """A flat folder goes forward only: the other half of a pair would undo the first."""
    with pytest.raises(CatalogError) as caught:
        Catalog.from_directory(put(tmp_path, *names))

    assert any(named in str(fault) for fault in caught.value.faults)


def test_a_name_that_only_sounds_like_a_way_back_is_none(tmp_path: Path) -> None:
    """A table for rollbacks is a table like any other."""
    assert (
        len(Catalog.from_directory(put(tmp_path, "001_a.sql", "002_add_rollback.sql", "003_scale_down.sql"))) == 2 + 1
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["001-a.sql", "002-b.sql"], "its name has neither a number nor a date"),
        (["a.sql"], "its name has neither a number nor a date"),
        (["001_A.SQL"], "its name has neither a number nor a date"),
        (["1234567890123456789_a.sql"], "its number has more than 18 digits"),
    ],
)
def test_files_of_other_names_are_told_as_files(tmp_path: Path, names: list[str], message: str) -> None:
    """Where all scripts are files, what is wrong is their names, and not that they lie in no folder."""
    with pytest.raises(CatalogError) as caught:
        Catalog.from_directory(put(tmp_path, *names))

    assert all(fault.message.startswith(message) for fault in caught.value.faults)


def test_a_folder_among_files_is_told(tmp_path: Path) -> None:
    """What lies in a folder beside migrations that are files would never run."""
    put(tmp_path, "001_a.sql")
    (tmp_path / "archive").mkdir()

    with pytest.raises(CatalogError, match="archive: it is a folder beside migrations in files"):
        Catalog.from_directory(tmp_path)


def test_a_file_names_its_extensions_at_its_head(tmp_path: Path) -> None:
    """A file has no migration.toml: extensions, and what it reaches or deletes, stand in its first comments."""
    put(
        tmp_path,
        "001_a.sql",
        text='-- kimbledb: extensions = ["pg_trgm"]\n-- kimbledb: reaches = ["audit.*"]\nSELECT 1;\n',
    )

    [migration] = Catalog.from_directory(tmp_path)

    assert [extension.name for extension in migration.extensions] == ["pg_trgm"]
    assert migration.reaches == ("audit",)
