"""Folders of other tools, read as they are: names, order, sections, lines of errors, faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import CatalogError
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration
from kimbledb.planning.planner import Planner

UP = "CREATE TABLE t (id integer);\n"
DOWN = "DROP TABLE t;\n"


def load(root: Path, files: dict[str, str]) -> list[Migration]:
    """Write files, and return the migrations of their folder in the order in which they run."""
    put(root, files)
    return Planner(Catalog.from_directory(root)).in_order()


def put(root: Path, files: dict[str, str]) -> None:
    """Write files into a folder."""
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def faults_of(root: Path, files: dict[str, str]) -> list[Fault]:
    """The faults of a folder that has some."""
    put(root, files)
    with pytest.raises(CatalogError) as caught:
        Catalog.from_directory(root)
    return list(caught.value.faults)


def names(migrations: list[Migration]) -> list[str]:
    """The names of migrations."""
    return [migration.name for migration in migrations]


def places(migration: Migration) -> list[tuple[str, int]]:
    """What stands on each line of a migration's script and of its rollback, by the lines of their files."""
    return [
        (line.strip(), number)
        for script in (migration.script("apply"), migration.script("rollback"))
        for number, line in enumerate(script.text.split("\n"), script.first_line)
        if line.strip()
    ]


# Timestamps, and what all formats share.


@pytest.mark.parametrize(
    "files",
    [
        ["20240101_a.sql", "20240102_b.sql"],
        ["20240101-a.sql", "20240102-b.sql"],
        ["202401011200_a.sql", "202401021200_b.sql"],
        ["20240101120000.sql", "20240102120000.sql"],
        ["20240101120000_a.sql", "20240102120000.b.sql"],
        ["20240101120000123_a.sql", "20240102120000123_b.sql"],
    ],
)
def test_files_named_by_timestamps_are_read(tmp_path: Path, files: list[str]) -> None:
    """A date with or without a time, of 8 to 17 digits, orders the files, whatever follows it."""
    assert names(load(tmp_path, dict.fromkeys(reversed(files), UP))) == files


def test_a_transaction_around_a_script_is_taken_off(tmp_path: Path) -> None:
    """The BEGIN and the COMMIT go, all else keeps its line, and the plan says so."""
    [migration] = load(tmp_path, {"20240101120000_a.sql": f"-- a\nBEGIN;\n\n{UP}COMMIT;\n"})

    assert places(migration) == [("-- a", 1), (";", 2), (UP.strip(), 4), (";", 5)]
    [step] = Planner(Catalog.from_directory(tmp_path)).plan().pending
    assert step.notes == ["BEGIN and COMMIT around the script were taken off: it runs in a transaction of kimbledb"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{UP}COMMIT;\n", 2),
        (f"BEGIN;\n{UP}", 1),
        (f"BEGIN;\n{UP}COMMIT;\n{DOWN}", 1),
        (f"BEGIN ISOLATION LEVEL SERIALIZABLE;\n{UP}COMMIT;\n", 1),
        (f"BEGIN;\n{UP}COMMIT;\nBEGIN;\n{DOWN}COMMIT;\n", 1),
    ],
)
def test_any_other_transaction_is_a_fault(tmp_path: Path, text: str, line: int) -> None:
    """A part of a script in a transaction of its own, or one of another kind, is not guessed away."""
    assert faults_of(tmp_path, {"20240101120000_a.sql": text})[0].line == line


def test_an_extension_in_a_schema_of_its_own_is_made_before(tmp_path: Path) -> None:
    """What kimbledb makes before a script is taken off it."""
    [migration] = load(
        tmp_path, {"20240101120000_a.sql": f'create extension if not exists "pg_trgm" with schema "extensions";\n{UP}'}
    )

    assert [each.name for each in migration.extensions] == ["pg_trgm"]
    assert "extension" not in migration.apply_sql
    assert migration.remarks == ("CREATE EXTENSION was taken off, and is done before the script: pg_trgm",)


def test_a_script_of_sqlx_says_that_it_runs_outside_of_a_transaction(tmp_path: Path) -> None:
    """The first line of a file without a way back is heeded."""
    [migration] = load(tmp_path, {"1_a.sql": "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (id);\n"})

    assert not migration.transactional


def test_facts_at_the_head_hold_in_other_formats(tmp_path: Path) -> None:
    """A comment of kimbledb above a tool's first mark states facts, as in any file."""
    [migration] = load(
        tmp_path, {"1_a.sql": f'-- kimbledb: deletes = "old rows"\n-- +goose Up\n{UP}-- +goose Down\n{DOWN}'}
    )

    assert migration.deletes == "old rows"


def test_a_folder_of_another_tool_is_its_own_for_declarations(tmp_path: Path) -> None:
    """One declared.toml beside the files holds the declarations of all migrations."""
    migration, _ = load(tmp_path, {"V1__a.sql": UP, "V2__b.sql": "SELECT 1;"})
    checksum = migration.checksum
    put(
        tmp_path,
        {
            "declared.toml": f'["V1__a.sql"]\nchecksum = "{checksum}"\nserver = "18.1"\n'
            '[["V1__a.sql".statement]]\nat = "V1__a.sql:1"\n["V1__a.sql".statement.creates]\n"table t" = {}\n'
        },
    )

    [first, second] = Catalog.from_directory(tmp_path)

    assert [str(each) for each in first.creates] == ["table t"]
    assert (first.is_declared, second.is_declared) == (True, False)
    assert first.is_flat


# goose.


def test_goose_is_read_in_sections(tmp_path: Path) -> None:
    """Up applies, Down takes back, each statement on its line of the file; the order is that of the numbers."""
    text = (
        "-- Users.\n-- +goose Up\n-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS integer\n"
        "LANGUAGE sql AS $$ SELECT 1; $$\n-- +goose StatementEnd\nSELECT 1;\n\n-- +goose Down\nDROP FUNCTION f();\n"
    )
    first, second = load(tmp_path, {"00010_b.sql": f"-- +goose Up\n{UP}", "9_make_f.sql": text})

    assert (first.name, first.number, first.title) == ("9_make_f.sql", 9, "make f")
    assert places(first) == [
        ("-- Users.", 1),
        ("CREATE FUNCTION f() RETURNS integer", 4),
        ("LANGUAGE sql AS $$ SELECT 1; $$", 5),
        (";", 6),
        ("SELECT 1;", 7),
        ("DROP FUNCTION f();", 10),
    ]
    assert (second.name, second.rollback_sql, second.requires) == ("00010_b.sql", "", (first.name,))


def test_a_way_back_without_sql_is_none(tmp_path: Path) -> None:
    """A Down of comments alone takes nothing back, so that one may be derived."""
    [migration] = load(tmp_path, {"1_a.sql": f"-- +goose Up\n{UP}-- +goose Down\n-- nothing\n"})

    assert migration.wants_derived_rollback


def test_goose_may_do_without_a_transaction(tmp_path: Path) -> None:
    """NO TRANSACTION is heeded; a way back that cannot run in one is not used, and that is said."""
    [migration] = load(
        tmp_path,
        {
            "1_a.sql": "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY i ON t (id);\n"
            "-- +goose Down\nDROP INDEX CONCURRENTLY i;\n"
        },
    )

    assert not migration.transactional
    assert migration.wants_derived_rollback
    [remark] = migration.remarks
    assert (
        remark == "line 5 of its way back cannot run in a transaction, so that it is not used: DROP INDEX CONCURRENTLY"
    )


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (f"-- +goose Up\n-- +goose ENVSUB ON\n{UP}", 2, "values from the environment"),
        (f"-- +goose Down\n{DOWN}-- +goose Up\n{UP}", 1, "+goose Down stands where it may not"),
        (f"{UP}-- +goose Up\n{UP}", 2, "SQL stands above"),
        (f"-- +goose Up\n-- +goose StatementBegin\n{UP}", 2, "StatementEnd is missing"),
        (f"-- +goose Up\n{UP}-- +goose Dwon\n{DOWN}", 3, "`+goose Dwon` is no annotation of goose"),
        (f"-- +goose Up\nSELECT 1;\nCOMMIT;\n-- +goose Down\n{DOWN}", 3, "COMMIT would end"),
        (f"-- +goose Up\n{UP}-- +goose Down\nSELECT 1;\n\\d t\n", 5, "is a command of psql"),
    ],
)
def test_what_goose_cannot_mean_is_a_fault(tmp_path: Path, text: str, line: int | None, message: str) -> None:
    """A mark out of its place, one that is none, or what only goose itself can do is told with its line."""
    fault, *_ = faults_of(tmp_path, {"1_a.sql": text})

    assert (fault.path, fault.line) == (f"{tmp_path}/1_a.sql", line)
    assert message in fault.message
    assert fault.cure


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("2_b.go", "package migrations", "it is a migration that a program makes (.go)"),
        ("2_b.sql", UP, "it has no `-- +goose Up`"),
        ("b.sql", f"-- +goose Up\n{UP}", "its name is not that of a migration"),
    ],
)
def test_a_file_that_goose_would_miss_is_a_fault(tmp_path: Path, file: str, text: str, message: str) -> None:
    """A migration in Go, one without marks, and one without a number would be lacking."""
    [fault] = faults_of(tmp_path, {"1_a.sql": f"-- +goose Up\n{UP}", file: text})

    assert fault.path == f"{tmp_path}/{file}"
    assert message in fault.message


def test_what_goose_passes_over_is_passed_over(tmp_path: Path) -> None:
    """Other scripts, programs without a number and folders are no migrations of goose."""
    files = {"1_a.sql": f"-- +goose Up\n{UP}", "embed.go": "", "schema.sql": UP, "seeds/1_b.sql": UP}

    assert names(load(tmp_path, files)) == ["1_a.sql"]


def test_a_number_zero_gives_places(tmp_path: Path) -> None:
    """Numbers start at 1: where a name has 0, the places are the numbers."""
    first, second = load(tmp_path, dict.fromkeys(("00000_a.sql", "00005_b.sql"), f"-- +goose Up\n{UP}"))

    assert [(first.number, first.name), (second.number, second.name)] == [(1, "00000_a.sql"), (2, "00005_b.sql")]


# dbmate.


def test_dbmate_is_read_in_blocks(tmp_path: Path) -> None:
    """The block of up applies, that of down takes back; transaction:false is heeded."""
    [migration] = load(
        tmp_path,
        {
            "20240101120000_add_i.sql": "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY i ON t (id);\n\n"
            "-- migrate:down\nDROP INDEX i;\n"
        },
    )

    assert (migration.number, migration.title, migration.transactional) == (20240101120000, "add i", False)
    assert places(migration) == [("CREATE INDEX CONCURRENTLY i ON t (id);", 2), ("DROP INDEX i;", 5)]


def test_the_order_of_dbmate_is_that_of_the_names(tmp_path: Path) -> None:
    """Dbmate sorts names and not numbers, and so it is done here."""
    files = {f"{number}_a.sql": f"-- migrate:up\n{UP}" for number in (2, 10, 1)}

    assert names(load(tmp_path, files)) == ["10_a.sql", "1_a.sql", "2_a.sql"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"-- migrate:down\n{DOWN}-- migrate:up\n{UP}", "its blocks are down, up"),
        (f"{UP}-- migrate:up\n{UP}", "SQL stands above"),
        (f"-- migrate:up transaction=false\n{UP}", "there is no option transaction=false"),
        (UP, "it has no `-- migrate:up`"),
    ],
)
def test_what_dbmate_cannot_mean_is_a_fault(tmp_path: Path, text: str, message: str) -> None:
    """Blocks out of order, SQL outside of them, and an option that is none are told."""
    [fault] = faults_of(tmp_path, {"1_a.sql": f"-- migrate:up\n{UP}", "2_b.sql": text})

    assert fault.path == f"{tmp_path}/2_b.sql"
    assert message in fault.message


# golang-migrate, sqlx.


def test_pairs_are_read_together(tmp_path: Path) -> None:
    """The second script of a pair takes back the first; BEGIN and COMMIT go from both; the order is that of numbers."""
    files = {
        "10_b.up.sql": UP,
        "9_make_t.up.sql": f"BEGIN;\n{UP}COMMIT;\n",
        "9_make_t.down.sql": f"BEGIN;\n{DOWN}COMMIT;\n",
        "README.md": "",
    }
    first, second = load(tmp_path, files)

    assert (first.name, first.number, first.title) == ("9_make_t.up.sql", 9, "make t")
    assert [line for line, _ in places(first) if line != ";"] == [UP.strip(), DOWN.strip()]
    assert first.file("rollback") == f"{tmp_path}/9_make_t.down.sql"
    assert (second.name, second.wants_derived_rollback) == ("10_b.up.sql", True)


@pytest.mark.parametrize("text", ["CREATE INDEX CONCURRENTLY i ON t (id);", f"-- no-transaction\n{UP}"])
def test_a_pair_runs_outside_of_a_transaction_where_it_must(tmp_path: Path, text: str) -> None:
    """golang-migrate opens none, and sqlx is told by the first line."""
    [migration] = load(tmp_path, {"1_a.up.sql": text})

    assert not migration.transactional


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("2_b.down.sql", "it takes back what no script makes"),
        ("2_b.sql", "it is one script beside pairs"),
        ("1_b.up.sql", "it has the same number, 1, as"),
    ],
)
def test_a_script_that_is_no_pair_is_a_fault(tmp_path: Path, file: str, message: str) -> None:
    """A way back alone, a script without a way, and a number twice are told."""
    [fault] = faults_of(tmp_path, {"1_a.up.sql": UP, "1_a.down.sql": DOWN, file: UP})

    assert message in fault.message
    assert fault.path == f"{tmp_path}/{file}"


# Flyway.


def test_flyway_goes_by_versions(tmp_path: Path) -> None:
    """Dots and underscores part a version, an undo is the rollback of its version, and R files come last by name."""
    files = {
        "V1.10__c.sql": UP,
        "V1_9_0__b.sql": UP,
        "V1__make_t.sql": UP,
        "U1__make_t.sql": DOWN,
        "R__b.sql": "SELECT 1;",
        "R__a.sql": "SELECT 2;",
        "more/V2__d.sql": UP,
    }
    migrations = load(tmp_path, files)

    expected = ["V1__make_t.sql", "V1_9_0__b.sql", "V1.10__c.sql", "V2__d.sql", "R__a.sql", "R__b.sql"]
    assert names(migrations) == expected
    assert [migration.number for migration in migrations] == [1, 2, 3, 4, 5, 6]
    assert (migrations[0].title, migrations[0].rollback_sql) == ("make t", DOWN)
    assert [migration.repeatable for migration in migrations] == [False] * 4 + [True] * 2
    assert [migration.requires for migration in migrations[3:]] == [("V1.10__c.sql",), (), ()]


def test_whole_versions_are_the_numbers(tmp_path: Path) -> None:
    """Where each version is one number, that is the number of the migration."""
    assert [each.number for each in load(tmp_path, {"V7__b.sql": UP, "V003__a.sql": UP, "R__v.sql": UP})] == [3, 7, 8]


def test_a_baseline_of_flyway_stands_for_versions_that_are_gone(tmp_path: Path) -> None:
    """A baseline is read where it is the beginning, and passed over where the versions themselves are there."""
    assert names(load(tmp_path, {"B5__base.sql": UP, "V6__a.sql": UP})) == ["B5__base.sql", "V6__a.sql"]

    put(tmp_path, {"V1__first.sql": UP})
    first, *_ = catalog = Catalog.from_directory(tmp_path)

    assert names(list(catalog)) == ["V1__first.sql", "V6__a.sql"]
    assert first.remarks == ("the baseline B5__base.sql is not read: the versions up to it make the same",)


def test_settings_beside_a_script_of_flyway_are_heeded(tmp_path: Path) -> None:
    """Outside of a transaction by its settings or by its statements; placeholders may be switched off."""
    files = {
        "V1__a.sql": "SELECT '${x}';",
        "V1__a.sql.conf": "executeInTransaction=false\nplaceholderReplacement = false\n",
        "V2__b.sql": "CREATE INDEX CONCURRENTLY i ON t (id);",
    }

    assert [each.transactional for each in load(tmp_path, files)] == [False, False]


@pytest.mark.parametrize(
    ("file", "text", "line", "message"),
    [
        ("V2__b.sql", "-- ${x}\nSELECT '${schema}';", 2, "Flyway puts a value in place of ${schema}"),
        ("R__b.sql", "SELECT '${schema}';", 1, "Flyway puts a value in place of ${schema}"),
        ("V2__b.java", "", None, "it is a migration that a program makes (.java)"),
        ("V1_1__b.sql", UP, None, "it is a version 1_1, as V1.1__a.sql is"),
        ("U2__b.sql", DOWN, None, "it undoes a version that is not there"),
        ("afterMigrate.sql", UP, None, "Flyway runs it around migrations"),
    ],
)
def test_what_only_flyway_can_do_is_a_fault(
    tmp_path: Path, file: str, text: str, line: int | None, message: str
) -> None:
    """Placeholders, programs and callbacks are told, and so is a version twice."""
    [fault] = faults_of(tmp_path, {"V1.1__a.sql": UP, file: text})

    assert (fault.path, fault.line) == (f"{tmp_path}/{file}", line)
    assert message in fault.message
    assert fault.cure
