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


def test_facts_may_stand_beside_files_that_must_not_be_touched(tmp_path: Path) -> None:
    """Flyway and others keep checksums of their files: a catalog.toml holds the facts of all, and of one by its name."""
    text = (
        'reaches = ["audit.*"]\n\n["V2__b.sql"]\ndeletes = "old rows"\nreaches = ["log.*"]\nextensions = ["pg_trgm"]\n'
    )
    first, second = load(
        tmp_path, {"V1__a.sql": UP, "V2__b.sql": '-- kimbledb: reaches = ["x"]\n', "catalog.toml": text}
    )

    assert (first.reaches, first.deletes) == (("audit",), None)
    assert (second.reaches, second.deletes) == (("audit", "log", "x"), "old rows")
    assert [each.name for each in second.extensions] == ["pg_trgm"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('\n["V2__a.sql"]\ndeletes = "x"\n', 2, "there is no key V2__a.sql"),
        ('["V1__a.sql"]\ntitle = "x"\n', 1, "there is no key title"),
        ('["V1__a.sql"]\ndeletes = 1\n', 1, "deletes is 1"),
        ('deletes = "x"\n', 1, "there is no key deletes"),
        ("closed = true\n", 1, "files have no hosted.sql"),
        ("reaches = 1\n", 1, "reaches is 1"),
        ("reaches\n", 1, "it is not TOML"),
    ],
)
def test_a_fault_beside_files_is_told(tmp_path: Path, text: str, line: int, message: str) -> None:
    """Unknown names and keys, wrong values, and what is no TOML have the line in catalog.toml."""
    [fault] = faults_of(tmp_path, {"V1__a.sql": UP, "catalog.toml": text})

    assert (fault.path, fault.line, message in fault.message) == (f"{tmp_path}/catalog.toml", line, True)


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


ALEMBIC = """\
BEGIN;

CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

-- Running upgrade  -> ae10

CREATE TABLE t (id INTEGER);

INSERT INTO alembic_version (version_num) VALUES ('ae10') RETURNING alembic_version.version_num;

COMMIT;

"""


def test_what_alembic_wrote_as_sql_is_read(tmp_path: Path) -> None:
    """Its transaction and its record of revisions are taken off, on the way there and back."""
    down = "BEGIN;\n-- Running downgrade ae10 -> \nDROP TABLE t;\nDELETE FROM alembic_version WHERE version_num = 'ae10';\nCOMMIT;"
    [migration] = load(tmp_path, {"0001_ae10.up.sql": ALEMBIC, "0001_ae10.down.sql": down})

    shown = [line for line in places(migration) if not line[0].startswith(("--", ";"))]
    assert shown == [("CREATE TABLE t (id INTEGER);", 10), (DOWN.strip(), 3)]
    assert migration.remarks[0] == (
        "the record of Alembic's revisions was taken off: kimbledb has a history of its own"
    )


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


def test_a_setting_of_the_session_ends_with_the_transaction(tmp_path: Path) -> None:
    """A SET becomes a SET LOCAL, which the plan says; outside of a transaction it is a fault."""
    [migration] = load(
        tmp_path, {"1_a.up.sql": f"SET timezone = 'UTC';\n{UP}", "1_a.down.sql": f"SET ROLE jo;\n{DOWN}"}
    )

    assert migration.apply_sql == f"SET LOCAL timezone = 'UTC';\n{UP}"
    assert migration.rollback_sql == f"SET LOCAL ROLE jo;\n{DOWN}"
    assert migration.remarks == ("SET was made SET LOCAL: it ends with the transaction",)

    [fault] = faults_of(tmp_path, {"1_a.up.sql": f"-- no-transaction\nSET timezone = 'UTC';\n{UP}"})
    assert (fault.line, "would outlive the transaction" in fault.message) == (2, True)


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


def test_a_script_beside_pairs_is_one_of_sqlx(tmp_path: Path) -> None:
    """It is applied in its turn, and the plan says that golang-migrate would not."""
    first, second = load(tmp_path, {"1_a.up.sql": UP, "1_a.down.sql": DOWN, "2_b.sql": UP})

    assert names([first, second]) == ["1_a.up.sql", "2_b.sql"]
    assert second.remarks == ("a script without `up` in its name: sqlx runs it, and golang-migrate does not",)


@pytest.mark.parametrize("text", ["CREATE INDEX CONCURRENTLY i ON t (id);", f"-- no-transaction\n{UP}"])
def test_a_pair_runs_outside_of_a_transaction_where_it_must(tmp_path: Path, text: str) -> None:
    """golang-migrate opens none, and sqlx is told by the first line."""
    [migration] = load(tmp_path, {"1_a.up.sql": text})

    assert not migration.transactional


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("2_b.down.sql", "it takes back what no script makes"),
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


# tern.


def test_tern_is_read_above_and_below(tmp_path: Path) -> None:
    """What stands above the mark applies, what stands below takes back, and disable-tx is heeded."""
    first, second = load(
        tmp_path,
        {
            "001_make_t.sql": f"{UP}\n---- create above / drop below ----\n\n{DOWN}",
            "002_i.sql": "---- tern: disable-tx ----\nCREATE INDEX CONCURRENTLY i ON t (id);\n",
            "shared/f.sql": "SELECT 1;",
        },
    )

    assert places(first) == [(UP.strip(), 1), (DOWN.strip(), 5)]
    assert (second.transactional, second.rollback_sql) == (False, "")


def test_tern_is_known_by_its_configuration(tmp_path: Path) -> None:
    """Where no script has a way back, tern.conf tells whose folder it is."""
    assert names(load(tmp_path, {"001_a.sql": UP, "tern.conf": ""})) == ["001_a.sql"]


def test_a_template_of_tern_is_a_fault(tmp_path: Path) -> None:
    """What tern would fill in is told with its line."""
    [fault] = faults_of(tmp_path, {"001_a.sql": f"{UP}\nSELECT '{{{{.name}}}}';\n", "tern.conf": ""})

    assert (fault.line, "tern puts a text in place of {{.name}}" in fault.message) == (3, True)


# Prisma and Drizzle.


def test_prisma_is_read_in_folders(tmp_path: Path) -> None:
    """A migration has the name of its folder, and a down.sql beside its script takes it back."""
    first, second = load(
        tmp_path,
        {
            "migration_lock.toml": 'provider = "postgresql"\n',
            "20240102000000_more/migration.sql": "-- AlterTable\nALTER TABLE t ADD n integer;\n",
            "20240101000000_make_t/migration.sql": UP,
            "20240101000000_make_t/down.sql": DOWN,
        },
    )

    assert (first.name, first.number, first.title) == ("20240101000000_make_t", 20240101000000, "make t")
    assert (first.rollback_sql, second.requires) == (DOWN, (first.name,))
    assert second.file("apply") == f"{tmp_path}/20240102000000_more/migration.sql"
    assert second.catalog_folder == str(tmp_path)


def test_newer_folders_of_drizzle_are_those_of_prisma(tmp_path: Path) -> None:
    """They have no journal, and marks between their statements."""
    [migration] = load(
        tmp_path,
        {
            "20240101000000_a/migration.sql": f"{UP}--> statement-breakpoint\nSELECT 1;",
            "20240101000000_a/snapshot.json": "{}",
        },
    )

    assert places(migration) == [(UP.strip(), 1), ("SELECT 1;", 3)]


@pytest.mark.parametrize(
    ("files", "place", "message"),
    [
        ({"migration_lock.toml": '# a\nprovider = "mysql"'}, "migration_lock.toml:2", "its migrations are for mysql"),
        ({"2_b/other.sql": UP}, "2_b/migration.sql", "the file is missing"),
        ({"2_b/apply.sql": UP}, "2_b/migration.sql", "the file is missing"),
        ({"1_a/migration.sql": f"{UP}COMMIT;"}, "1_a/migration.sql:2", "COMMIT would end"),
    ],
)
def test_what_prisma_cannot_mean_is_a_fault(tmp_path: Path, files: dict[str, str], place: str, message: str) -> None:
    """Another database, a folder without a script, and what no script may hold are told."""
    [fault] = faults_of(tmp_path, {"1_a/migration.sql": UP, **files})

    assert str(fault).startswith(f"{tmp_path}/{place}: {message}")


def test_drizzle_goes_by_its_journal(tmp_path: Path) -> None:
    """The order is that of the journal; the marks between statements go, and each keeps its line."""
    journal = '{"dialect": "postgresql", "entries": [{"idx": 1, "tag": "0001_b"}, {"idx": 0, "tag": "0000_a_b"}]}'
    first, second = load(
        tmp_path,
        {
            "meta/_journal.json": journal,
            "0000_a_b.sql": f"{UP}--> statement-breakpoint\nSELECT 1;--> statement-breakpoint\nSELECT 2;",
            "0001_b.sql": "SELECT 3;",
        },
    )

    assert [(first.name, first.number, first.title), second.name] == [("0000_a_b.sql", 1, "a b"), "0001_b.sql"]
    assert places(first) == [(UP.strip(), 1), ("SELECT 1;", 3), ("SELECT 2;", 4)]


@pytest.mark.parametrize(
    ("journal", "file", "message"),
    [
        ('{"entries": [{"idx": 0, "tag": "0000_a"}]}', "0001_b.sql", "the journal does not name it"),
        ('{"entries": [{"idx": 0, "tag": "0000_a"}, {"idx": 1, "tag": "0001_c"}]}', "0001_c.sql", "it is missing"),
        ('{"dialect": "sqlite", "entries": [{"idx": 0, "tag": "0000_a"}]}', "meta/_journal.json", "are for sqlite"),
        ("{", "meta/_journal.json", "it is no journal of Drizzle"),
    ],
)
def test_a_journal_that_does_not_fit_is_a_fault(tmp_path: Path, journal: str, file: str, message: str) -> None:
    """A script that is not in the journal, one that is only there, and another database are told."""
    files = {"meta/_journal.json": journal, "0000_a.sql": UP}
    if file == "0001_b.sql":
        files[file] = UP
    faults = {fault.path: fault.message for fault in faults_of(tmp_path, files)}

    assert message in faults[f"{tmp_path}/{file}"]


# Diesel and Hasura.


@pytest.mark.parametrize(
    ("folders", "numbers"),
    [
        (["00000000000000_diesel_initial_setup", "2024-01-01-120000_make_t"], [1, 2]),
        (["2024-01-01-120000_make_t", "2024-01-01-120001_make_u"], [20240101120000, 20240101120001]),
        (["1700000000001_init", "1700000000002_more"], [1700000000001, 1700000000002]),
    ],
)
def test_diesel_and_hasura_are_read_in_folders(tmp_path: Path, folders: list[str], numbers: list[int]) -> None:
    """The version is what stands before the first underscore, and down.sql takes back."""
    files = {f"{folder}/{file}": text for folder in folders for file, text in (("up.sql", UP), ("down.sql", DOWN))}
    files[f"{folders[1]}/metadata.toml"] = "run_in_transaction = false\n"
    first, second = load(tmp_path, files)

    assert [first.name, second.name] == folders
    assert [first.number, second.number] == numbers
    assert (first.rollback_sql, first.transactional, second.transactional) == (DOWN, True, False)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["1_a", "make_t"], "its name does not begin with a version"),
        (["9_a", "10_b"], "its versions have different lengths"),
    ],
)
def test_versions_that_give_no_order_are_a_fault(tmp_path: Path, folders: list[str], message: str) -> None:
    """A folder without a version, and versions that the two tools order differently, are told."""
    faults = faults_of(tmp_path, {f"{folder}/up.sql": UP for folder in folders})

    assert any(message in fault.message for fault in faults)


# yoyo.


def test_yoyo_goes_by_what_depends(tmp_path: Path) -> None:
    """Each comes after those that it depends on, else by name; the other script of a pair takes it back."""
    first, second, third, last = load(
        tmp_path,
        {
            "0001.make-t.sql": f"-- Make t.\n-- depends: init\n{UP}",
            "0001.make-t.rollback.sql": DOWN,
            "0002.more.sql": "-- depends: 0001.make-t init\n-- transactional: false\nSELECT 1;",
            "init.sql": "SELECT 2;",
            "later.sql": "SELECT 3;",
        },
    )

    assert names([first, second, third, last]) == ["init.sql", "0001.make-t.sql", "0002.more.sql", "later.sql"]
    assert second.requires == ("init.sql",)
    assert third.requires == ("0001.make-t.sql", "init.sql")
    assert last.requires == ("0002.more.sql",)
    assert (second.title, second.rollback_sql, third.transactional) == ("make t", DOWN, False)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("0002.b.py", "steps = []", "it is a migration that a program makes (.py)"),
        ("0002.b.sql", f"-- depends: 0001.b\n{UP}", "it depends on 0001.b, which is not there"),
        ("0002.b.rollback.sql", DOWN, "it takes back what no script makes"),
        ("post-apply.sql", UP, "yoyo runs it after each run"),
    ],
)
def test_what_only_yoyo_can_do_is_a_fault(tmp_path: Path, file: str, text: str, message: str) -> None:
    """Programs, a name that is not there, a way back alone and what runs after each run are told."""
    [fault] = faults_of(tmp_path, {"0001.a.sql": UP, "0001.a.rollback.sql": DOWN, file: text})

    assert fault.path == f"{tmp_path}/{file}"
    assert message in fault.message


def test_a_circle_of_depends_is_a_fault(tmp_path: Path) -> None:
    """Migrations that depend on each other are named."""
    [fault] = faults_of(tmp_path, {"a.sql": f"-- depends: b\n{UP}", "b.sql": f"-- depends: a\n{DOWN}"})

    assert "these depend on each other: a, b" in fault.message


# Sqitch.

PLAN = "%syntax-version=1.0.0\n%project=shop\n\nusers 2024-01-01T00:00:00Z Jo <jo@example.org> # Users.\n"


def test_sqitch_goes_by_its_plan(tmp_path: Path) -> None:
    """The order is that of the plan; revert takes back; each statement of verify is a check with its line."""
    first, second = load(
        tmp_path,
        {
            "sqitch.conf": "[core]\n    engine = pg\n",
            "sqitch.plan": f"{PLAN}@v1 2024-01-01T00:00:00Z Jo <jo@example.org>\n"
            "a/more [users users@v1] 2024-01-02T00:00:00Z Jo <jo@example.org> # More.\n",
            "deploy/users.sql": f"-- Deploy shop:users to pg\n\nBEGIN;\nSET client_min_messages = 'warning';\n{UP}COMMIT;\n",
            "revert/users.sql": f"-- Revert shop:users from pg\nBEGIN;\n{DOWN}COMMIT;\n",
            "verify/users.sql": "-- Verify shop:users on pg\n\nBEGIN;\n\nSELECT id FROM t WHERE false;\n"
            "DO $$ BEGIN ASSERT true; END $$;\nINSERT INTO t VALUES (1);\nROLLBACK;\n",
            "deploy/a/more.sql": "SELECT 1;",
        },
    )

    assert [(first.name, first.number), (second.name, second.number)] == [("users", 1), ("a/more", 2)]
    assert [line for line in places(first) if line[0] != ";"] == [
        ("SET LOCAL client_min_messages = 'warning';", 4),
        (UP.strip(), 5),
        (DOWN.strip(), 3),
    ]
    assert [(check.name, check.line, check.runs) for check in first.verification_queries] == [
        ("line 5", 5, True),
        ("line 6", 6, True),
    ]
    assert first.file("verify") == f"{tmp_path}/verify/users.sql"
    assert first.remarks == (
        f"{tmp_path}/verify/users.sql:7 is no query, and is not checked: INSERT INTO t",
        "BEGIN and COMMIT around the script were taken off: it runs in a transaction of kimbledb",
        "SET was made SET LOCAL: it ends with the transaction",
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("users [users] 2024-01-02T00:00:00Z Jo <jo@example.org>", "users is reworked"),
        ("more [!users] 2024-01-02T00:00:00Z Jo <jo@example.org>", "!users is a conflict"),
        ("more [other:users] 2024-01-02T00:00:00Z Jo <jo@example.org>", "another project's change"),
        ("more [later] 2024-01-02T00:00:00Z Jo <jo@example.org>", "it needs later, which no line above names"),
        ("-users 2024-01-02T00:00:00Z Jo <jo@example.org>", "is no change that is deployed"),
    ],
)
def test_what_a_plan_of_sqitch_means_beyond_an_order_is_a_fault(tmp_path: Path, line: str, message: str) -> None:
    """Reworks, conflicts, other projects and reverts in the plan are told with their line."""
    [fault] = faults_of(
        tmp_path, {"sqitch.plan": f"{PLAN}{line}\n", "deploy/users.sql": UP, "deploy/more.sql": "SELECT 1;"}
    )

    assert (fault.path, fault.line) == (f"{tmp_path}/sqitch.plan", 5)
    assert message in fault.message


@pytest.mark.parametrize(
    ("files", "place", "message"),
    [
        ({}, "deploy/users.sql", "the plan names it, and it is missing"),
        ({"deploy/users.sql": f"\\set x 1\n{UP}"}, "deploy/users.sql:1", "\\set is a command of psql"),
        ({"deploy/users.sql": UP, "verify/users.sql": "\\d t"}, "verify/users.sql:1", "\\d is a command of psql"),
        (
            {"deploy/users.sql": UP, "sqitch.conf": "[core]\nengine = mysql\n"},
            "sqitch.conf",
            "its changes are for mysql",
        ),
    ],
)
def test_a_script_that_sqitch_alone_can_run_is_a_fault(
    tmp_path: Path, files: dict[str, str], place: str, message: str
) -> None:
    """A missing script, commands of psql and another database are told."""
    [fault] = faults_of(tmp_path, {"sqitch.plan": PLAN, **files})

    assert str(fault).startswith(f"{tmp_path}/{place}: {message}")


# pg_dump.

DUMP = """\
--
-- PostgreSQL database dump
--

\\restrict abc

-- Dumped from database version 16.4
SET statement_timeout = 0;
SET check_function_bodies = false;
SELECT pg_catalog.set_config('search_path', '', false);

CREATE SCHEMA public;
ALTER SCHEMA public OWNER TO jo;
COMMENT ON SCHEMA public IS 'standard';
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
COMMENT ON EXTENSION pg_trgm IS 'x';
CREATE TABLE public.t (
    id integer
);
ALTER TABLE public.t OWNER TO jo;

\\unrestrict abc
"""


def test_a_dump_without_comments_is_one(tmp_path: Path) -> None:
    """The Supabase CLI writes such ones."""
    text = "\n".join(line for line in DUMP.split("\n") if not line.startswith(("--", "\\")))
    [migration] = load(tmp_path, {"20240101000000_remote_schema.sql": text})

    assert "set_config" not in migration.apply_sql
    assert "OWNER" not in migration.apply_sql


@pytest.mark.parametrize("name", ["schema.sql", "001_base.sql", "V1__base.sql"])
def test_a_dump_is_a_migration(tmp_path: Path, name: str) -> None:
    """Alone in its folder, or as a script of another format: its session, its owners and its extensions go."""
    [migration] = load(tmp_path, {name: DUMP})

    assert migration.name == name
    assert [line for line in places(migration) if not line[0].startswith(("--", ";"))] == [
        ("SET LOCAL check_function_bodies = false;", 9),
        ("CREATE TABLE public.t (", 17),
        ("id integer", 18),
        (");", 19),
    ]
    assert [each.name for each in migration.extensions] == ["pg_trgm"]
    assert len(migration.remarks) == 5


def test_the_history_of_kimbledb_in_a_dump_is_taken_off(tmp_path: Path) -> None:
    """A database that kimbledb has migrated can be dumped, too; a view that reads history is the application's."""
    history = """\
CREATE FUNCTION public.migration_log_is_append_only() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'migration_log is append-only: % is refused', TG_OP;
END
$$;
CREATE TABLE public.migration_history (
    id bigint NOT NULL
);
COMMENT ON TABLE public.migration_history IS 'Which migrations are applied';
COMMENT ON COLUMN public.migration_history.success IS 'True: applied';
ALTER TABLE public.migration_history ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.migration_history_id_seq
);
CREATE TABLE public.migration_log (
    id bigint NOT NULL
);
ALTER TABLE ONLY public.migration_log
    ADD CONSTRAINT migration_log_pkey PRIMARY KEY (id);
CREATE TRIGGER migration_log_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.migration_log FOR EACH STATEMENT EXECUTE FUNCTION public.migration_log_is_append_only();
ALTER TABLE public.migration_history ENABLE ROW LEVEL SECURITY;
CREATE POLICY migration_history_is_read_as_granted ON public.migration_history FOR SELECT USING (true);
REVOKE ALL ON FUNCTION public.migration_log_is_append_only() FROM PUBLIC;
GRANT SELECT,INSERT ON TABLE public.migration_history TO app;
GRANT USAGE ON SEQUENCE public.migration_log_id_seq TO app;
"""
    own = "CREATE VIEW public.applied AS SELECT migration_name FROM public.migration_history;\n"
    [migration] = load(
        tmp_path, {"001_base.sql": DUMP + history + own + "CREATE TABLE public.migration_historyless ();\n"}
    )

    assert [text for text, _ in places(migration) if "migration_" in text] == [
        "CREATE VIEW public.applied AS SELECT migration_name FROM public.migration_history;",
        "CREATE TABLE public.migration_historyless ();",
    ]
    assert "of the dump were taken off the tables of kimbledb's history" in migration.remarks


def test_rows_in_a_dump_are_a_fault(tmp_path: Path) -> None:
    """The rows of a COPY are told with their line."""
    [fault] = faults_of(tmp_path, {"schema.sql": f"{DUMP}COPY public.t (id) FROM stdin;\n1\n\\.\n"})

    assert (fault.line, "COPY FROM STDIN" in fault.message) == (23, True)


# Folders that hold no migration of their tool.


@pytest.mark.parametrize(
    ("files", "message", "cure"),
    [
        (["schema.prisma", "migrations/1_a/migration.sql"], "it holds schema.prisma of Prisma", "/migrations?"),
        (["sqitch.conf", "db/sqitch.plan", "db/deploy/a.sql"], "it holds sqitch.conf of Sqitch", "/db?"),
        (["flyway.toml"], "it holds flyway.toml of Flyway", "give the folder that holds its migrations"),
        (["diesel.toml", "migrations/2024-01-01-000000_a/up.sql"], "of Diesel", "/migrations?"),
    ],
)
def test_the_folder_of_migrations_is_offered(tmp_path: Path, files: list[str], message: str, cure: str) -> None:
    """Where the project's folder is given, the one inside is named."""
    [fault] = faults_of(tmp_path, dict.fromkeys(files, UP))

    assert message in fault.message
    assert fault.cure.endswith(cure)
