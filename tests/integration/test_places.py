"""Where an error arose: the file, the line and the column that a message names are those of the file itself."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

import kimbledb
from kimbledb import Catalog, Migration
from kimbledb.model.script import Script
from tests.support.folders import Folder


async def test_a_script_that_begins_further_down(database: str) -> None:
    """The lines of a script that is a part of a file are those of the file."""
    script = Script("db/001_a.sql", "CREATE TABLE a (i int);\nSELECT nme FROM a;", first_line=10)

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=Catalog([Migration(name="a.sql", number=1, apply_sql=script)]))

    assert (caught.value.file, caught.value.line, caught.value.column) == ("db/001_a.sql", 11, 8)
    assert "at db/001_a.sql:11:8\n  11 | SELECT nme FROM a;\n     |        ^" in str(caught.value)


async def test_a_file_as_an_editor_on_windows_saves_it(database: str, tmp_path: Path) -> None:
    """Neither a byte-order mark nor CRLF moves the line or the column."""
    (tmp_path / "1_a.sql").write_bytes("\ufeff-- é\r\nCREATE TABLE a (i int);\r\nSELECT 1, nme FROM a;\r\n".encode())

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=Catalog.from_directory(tmp_path))

    assert (caught.value.file, caught.value.line, caught.value.column) == (f"{tmp_path}/1_a.sql", 3, 11)


@pytest.mark.parametrize("before", ["\u00a0 AS a", '"漢字"', "'', e\u0301 "], ids=ascii)
async def test_the_caret_stands_under_its_character(database: str, before: str) -> None:
    """What is spelt out, is wide or takes no room before the character does not move the caret away from it."""
    script = f'CREATE TABLE t ("漢字" int, e\u0301 int, \u00a0 int);\nSELECT {before}, nme FROM t;'
    migration = Migration(name="a.sql", number=1, apply_sql=script)

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=Catalog([migration]))

    line, caret = str(caught.value).splitlines()[2:4]
    wide = sum(unicodedata.east_asian_width(each) == "W" for each in line)
    narrow = sum(map(bool, map(unicodedata.combining, line)))
    assert line.index("nme") + wide - narrow == caret.index("^"), str(caught.value)


async def test_a_check_that_fails(database: str, folder: Folder) -> None:
    """A failing check is shown with the line of verify.sql on which its query begins."""
    verify = "-- name: first\nSELECT true AS passed;\n\n-- name: second\n-- why\nSELECT false AS passed;\n"
    path = folder.add(1, "a", "SELECT 1;", verify=verify)

    with pytest.raises(kimbledb.VerificationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert (caught.value.file, caught.value.line) == (f"{path}/verify.sql", 6)
    assert [(check.file, check.line) for check in caught.value.checks] == [(f"{path}/verify.sql", 6)]
    assert f"  a.sql: second: FAILED\n    at:       {path}/verify.sql:6\n" in str(caught.value)


async def test_a_check_that_fails_later(database: str, folder: Folder) -> None:
    """verify() names the line of a check that passed when its migration was applied."""
    verify = "-- name: first\nSELECT true AS passed;\n-- name: second\nSELECT count(*) = 0 AS passed FROM a"
    path = folder.add(1, "a", "CREATE TABLE a AS SELECT 1 AS i WHERE false;", verify=verify)
    await kimbledb.migrate(database, catalog=folder.catalog)
    more = Migration(name="b.sql", number=2, apply_sql="INSERT INTO a VALUES (1)")
    await kimbledb.migrate(database, catalog=Catalog([*folder.catalog, more]))

    report = await kimbledb.verify(database, catalog=folder.catalog, only="a.sql")

    assert [(check.name, check.file, check.line) for check in report.failures] == [("second", f"{path}/verify.sql", 4)]


async def test_a_flat_file_outside_of_a_transaction(database: str, tmp_path: Path) -> None:
    """What stays of a file that runs outside of a transaction is told by that file's name."""
    (tmp_path / "1_a.sql").write_text(
        "-- kimbledb: transactional = false\nCREATE TABLE a (i int);\n\nSELECT nme FROM a;", "utf-8"
    )

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=Catalog.from_directory(tmp_path))

    assert (caught.value.line, caught.value.column) == (4, 8)
    assert "1_a.sql runs outside of a transaction: the first of its 2 statements stays done" in str(caught.value)


async def test_a_rollback_that_fails_names_its_migration(database: str) -> None:
    """Of several that are to go, the one whose rollback fails is named, wherever their files are."""
    catalog = Catalog(
        [
            Migration(name=f"{name}.sql", number=number, location="db", apply_sql="SELECT 1;", rollback_sql=rollback)
            for number, (name, rollback) in enumerate([("a", "SELECT 1;\nSELECT nme"), ("b", "SELECT 1")], 1)
        ]
    )
    await kimbledb.migrate(database, catalog=catalog)

    with pytest.raises(kimbledb.RollbackError) as caught:
        await kimbledb.rollback(database, catalog=catalog, to=0)

    assert caught.value.failed is catalog["a.sql"]
    assert (caught.value.line, caught.value.column) == (2, 8)


BLOCKS = {
    "a body that begins on its line": ("DO $$ BEGIN\n  PERFORM 1;\n  PERFORM 1 / 0;\nEND $$", 3),
    "a body that begins below": ("DO LANGUAGE 'plpgsql'\n-- it's here\n$a$\nBEGIN\n\n  PERFORM 1 / 0;\nEND $a$", 6),
    "a body in quotes": ("DO '\nDECLARE t text := ''a'';\nBEGIN\n  PERFORM 1 / 0;\nEND'", 4),
    "one line": ("DO $$ BEGIN PERFORM 1 / 0; END $$", 1),
    "a function that it calls": ("DO $$ BEGIN\n\n  PERFORM f();\nEND $$", 3),
}


@pytest.mark.parametrize("transactional", [True, False])
@pytest.mark.parametrize(("block", "line"), BLOCKS.values(), ids=BLOCKS)
async def test_an_error_in_a_block(database: str, block: str, line: int, transactional: bool) -> None:
    """An error in a DO block has the line of the block on which it arose."""
    function = "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$\n\n\n\nBEGIN\nPERFORM 1 / 0; END $$;\n"
    migration = Migration(name="a.sql", number=1, apply_sql=f"{function}\n{block};", transactional=transactional)

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=Catalog([migration]))

    place = function.count("\n") + 1 + line
    assert (caught.value.line, caught.value.column, caught.value.sqlstate) == (place, None, "22012")
    assert str(caught.value.statement).startswith("DO")


@pytest.mark.parametrize("transactional", [True, False])
@pytest.mark.parametrize("end", ["", "\n\n", ";", ";\n", "\n;\n\nSELECT 2;\n"], ids=ascii)
async def test_a_statement_that_breaks_off(database: str, end: str, transactional: bool) -> None:
    """A statement that ends too early has the line and the column of its end."""
    migration = Migration(
        name="a.sql", number=1, apply_sql=f"SELECT 1;\n\nSELECT 1 +{end}", transactional=transactional
    )

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=Catalog([migration]))

    # In a transaction the server is sent the script as a whole, and stops at the script's own semicolon.
    place = (4, 1) if transactional and end.startswith("\n;") else (3, 11)
    assert (caught.value.line, caught.value.column, caught.value.sqlstate) == (*place, "42601")
