"""Folders and files of other tools: refused by name, with the place and the cure, and never read wrongly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kimbledb.catalog import other_tools
from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import CatalogError
from kimbledb.model.fault import Fault

UP = "CREATE TABLE t (id integer);\n"
DOWN = "DROP TABLE t;\n"

#: Files that hold both ways, as their tools write them: the tool, or None, the text, and the line of the first mark.
BOTH_WAYS = [
    ("goose", f"-- +goose Up\n{UP}\n-- +goose Down\n{DOWN}", 1),
    ("goose", f"-- +goose Up\n-- +goose StatementBegin\n{UP}-- +goose StatementEnd\n-- +goose Down\n{DOWN}", 1),
    ("goose", f"-- a note\n\n--+goose Up\n{UP}--  +goose Down\n{DOWN}", 3),
    ("dbmate", f"-- migrate:up\n{UP}\n-- migrate:down\n{DOWN}", 1),
    ("dbmate", f"-- migrate:up transaction:false\n{UP}", 1),
    ("tern", f"{UP}\n---- create above / drop below ----\n\n{DOWN}", 3),
    ("sql-migrate", f"\n-- +migrate Up\n{UP}-- +migrate Down\n{DOWN}", 2),
    ("rambler", f"-- rambler up\n{UP}-- rambler down\n{DOWN}", 1),
    ("MyBatis Migrations", f"-- // First\n{UP}-- //@UNDO\n{DOWN}", 3),
    ("MyBatis Migrations", f"{UP}--//@UNDO\n{DOWN}", 2),
    ("node-pg-migrate", f"-- Up Migration\n{UP}-- Down Migration\n{DOWN}", 1),
    ("Play evolutions", f"# --- !Ups\n{UP}# --- !Downs\n{DOWN}", 1),
    ("Liquibase", f"--liquibase formatted sql\n--changeset jo:1\n{UP}--rollback {DOWN}", 1),
    ("Liquibase", f"-- changeset jo:1 labels:a\n{UP}", 1),
    (None, f"-- @up\n{UP}-- @down\n{DOWN}", 3),
    (None, f"-- UP\n{UP}-- DOWN\n{DOWN}", 3),
    (None, f"-- ==== UP ====\n{UP}-- ==== DOWN ====\n{DOWN}", 3),
    (None, f"{UP}/* Down */\n{DOWN}", 2),
    (None, f"{UP}-- Rollback script:\n{DOWN}", 2),
    (None, f"{UP}-- DOWN\n-- the table goes\n\n{DOWN}", 2),
]
#: The tools of these that a folder of files may belong to.
READ = ("goose", "dbmate", "tern")
#: Files of one way, that mean something else to their tools.
ONE_WAY = [
    ("Drizzle", f"{UP}--> statement-breakpoint\n{UP}", 2),
    ("Drizzle", f"SELECT 1;--> statement-breakpoint\n{UP}", 1),
    ("graphile-migrate", f"--! Previous: sha1:0\n--! Hash: sha1:1\n\n{UP}", 1),
    ("Sqitch", f"-- Deploy shop:users to pg\nBEGIN;\n{UP}COMMIT;\n", 1),
    ("Atlas", f"-- atlas:txmode none\n\n{UP}", 1),
    ("postgres-migrations", f"-- postgres-migrations disable-transaction\n{UP}", 1),
    ("Migratus", f"{UP}--;;\n{UP}", 2),
]
#: Files of a folder, and whose it is by their names.
FOLDERS = [
    ("Flyway", ["sql/V1__init.sql"]),
    ("Sqitch", ["deploy/users.sql", "revert/users.sql", "verify/users.sql"]),
    ("graphile-migrate", ["committed/000001.sql", "current.sql"]),
    ("Atlas", ["20240101120000_a.sql", "atlas.sum"]),
    ("Rails", ["20240101120000_create_users.rb"]),
    ("Ecto", ["20240101120000_create_users.exs"]),
    ("Alembic", ["alembic.ini", "env.py", "versions/1_a.py"]),
    ("Django", ["0001_initial.py", "__init__.py"]),
    ("Knex", ["20240101120000_a.js"]),
    ("TypeORM", ["1700000000000-a.ts"]),
    ("pgroll", ["01_a.json"]),
    ("Liquibase", ["db.changelog-master.xml"]),
    ("Postgrator", ["001.do.users.sql", "001.undo.users.sql"]),
]


def put(root: Path, files: list[str], text: str = UP) -> Path:
    """Write files of that text."""
    for name in files:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def faults_of(root: Path) -> tuple[Fault, ...]:
    """The faults of a folder that has some."""
    with pytest.raises(CatalogError) as caught:
        Catalog.from_directory(root)
    return caught.value.faults


def named(tool: str | None) -> str:
    """The words by which a fault names a directive of a tool, or a heading that no tool owns."""
    return "is the heading of a rollback" if tool is None else f"is a directive of {tool}"


@pytest.mark.parametrize(("tool", "text", "line"), [each for each in [*BOTH_WAYS, *ONE_WAY] if each[0] not in READ])
@pytest.mark.parametrize("name", ["1_a.sql", "20240101120000_a.sql", "a-2024-01-01.sql"])
def test_a_mark_of_another_tool_is_refused_in_a_flat_folder(
    tmp_path: Path, name: str, tool: str | None, text: str, line: int
) -> None:
    """Whatever the name of the file, its tool is named, with the line of the first mark."""
    fault = faults_of(put(tmp_path, [name], text))[0]

    assert (str(tmp_path / name), line) == (fault.path, fault.line)
    assert named(tool) in fault.message
    assert fault.cure


@pytest.mark.parametrize(("tool", "text", "line"), BOTH_WAYS)
def test_a_way_back_in_apply_sql_is_refused(tmp_path: Path, tool: str | None, text: str, line: int) -> None:
    """A file of both ways in a migration's folder would be run whole, too."""
    put(tmp_path, ["01_a/apply.sql"], text)
    put(tmp_path, ["01_a/rollback.sql"], DOWN)
    put(tmp_path, ["01_a/verify.sql"], "-- name: x\nSELECT true AS passed")
    put(tmp_path, ["01_a/migration.toml"], "")

    fault = faults_of(tmp_path)[0]

    assert (str(tmp_path / "01_a" / "apply.sql"), line) == (fault.path, fault.line)
    assert named(tool) in fault.message
    assert fault.message.endswith("would run both the migration and its rollback")
    assert "rollback.sql" in fault.cure


@pytest.mark.parametrize(("tool", "files"), FOLDERS)
def test_a_folder_of_another_tool_is_named(tmp_path: Path, tool: str, files: list[str]) -> None:
    """A folder that another tool made is refused with that tool's name, and one fault says it."""
    [fault] = faults_of(put(tmp_path, files))

    assert tool in fault.message
    assert fault.cure


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO notes VALUES ('\n-- +goose Up\n');",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$\n-- migrate:down\nSELECT 'x' $$;",
        "-- what is below was once in -- migrate:up, of dbmate\nSELECT 1;",
        "-- down\n-- nothing is done",
        "-- rollback is in rollback.sql\nSELECT 1;",
        "-- goes down the tree\nSELECT 1;",
        "-- Add users.\n-- Rollback:\n--   DROP TABLE users;\n\nCREATE TABLE users (id integer);",
        "CREATE TABLE a (id integer);\n-- Rollback:\n-- run it by hand:\n-- drop table a;\nCREATE TABLE b (id integer);",
        "SELECT 1 /* down */ + 1;",
    ],
)
def test_what_only_looks_like_a_mark_is_none(tmp_path: Path, text: str) -> None:
    """A mark is a comment of its own with SQL under it: strings, bodies and sentences are let be."""
    assert len(Catalog.from_directory(put(tmp_path, ["1_a.sql"], text))) == 1


@pytest.mark.parametrize(
    ("files", "message", "cure"),
    [
        ([], "it is empty", "kimbledb new"),
        (["README.md"], "it holds README.md, and no migration", "give the folder that holds the migrations"),
        (["a.txt", "b", "c", "d", "e"], "it holds a.txt, b, c and 2 more, and no migration", "give the folder"),
        (["docs.d/x", "pyproject.toml"], "it holds docs.d, pyproject.toml, and no migration", "give the folder"),
        (["db/migrations/001_a.sql", "README.md"], "it holds README.md, db, and no migration", "/db/migrations?"),
        (["src/app/sql/V1__a.sql"], "it holds src, and no migration", "give the folder"),
        (["app/sql/V1__a.sql"], "it holds app, and no migration", "/app/sql?"),
        ([".hidden/01_a/apply.sql"], "it is empty", "kimbledb new"),
    ],
)
def test_a_folder_without_migrations_is_a_fault(tmp_path: Path, files: list[str], message: str, cure: str) -> None:
    """An empty or wrong folder is told with what it holds: "nothing to do" would be untrue."""
    [fault] = faults_of(put(tmp_path, files))

    assert message in fault.message
    assert cure in fault.cure


@pytest.mark.parametrize("files", [["init.sql"], ["init.sql", "01_a/apply.sql"], ["init.sql", "2_b.sql"]])
def test_a_mark_is_seen_in_a_file_of_any_name(tmp_path: Path, files: list[str]) -> None:
    """A file whose name tells no order is told by what is in it."""
    put(tmp_path, files, "SELECT 1;")
    put(tmp_path, ["init.sql"], f"-- rambler up\n{UP}-- rambler down\n{DOWN}")

    told = {fault.path: fault.message for fault in faults_of(tmp_path)}

    assert "is a directive of rambler" in told[str(tmp_path / "init.sql")]


def test_the_folder_inside_is_offered(tmp_path: Path) -> None:
    """Where the folder of the project is given, the one that is meant is named."""
    put(tmp_path, ["migrations/001_a.sql", "README.md"])

    [fault] = faults_of(tmp_path)

    assert fault.cure == f"is it {tmp_path}/migrations?"


def test_the_table_of_tools_is_sound() -> None:
    """Each pattern can be read, each tool is known by something, and a history is told from every other."""
    known = [
        (history.schema, history.table, history.columns) for tool in other_tools.TOOLS for history in tool.histories
    ]

    assert all(tool.histories or tool.directives or tool.files for tool in other_tools.TOOLS)
    assert all(mark.startswith("--") for tool in other_tools.TOOLS for mark in tool.directives)
    assert all(re.compile(pattern) for tool in other_tools.TOOLS for pattern in (*tool.directives, *tool.files))
    # dbmate and Rails keep the same table.
    assert len(known) - 1 == len(set(known))
