"""History is kimbledb's alone: tables of an application under its names, scripts that write it, two applications in one schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import pytest

import kimbledb
from tests.support.databases import sql
from tests.support.folders import Folder


async def values(dsn: str, query: str) -> list[Any]:
    """Ask for the first column of a query."""
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch(query)]
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "table",
    [
        "TABLE migration_log (id bigint, what text)",
        "TABLE migration_log (id bigint, event text, migration_name text, detail jsonb)",
        "VIEW migration_log AS SELECT 1 AS id",
    ],
)
async def test_a_table_of_the_applications(
    database: str, connection: asyncpg.Connection, folder: Folder, table: str
) -> None:
    """An application's own migration_log is looked at before it is touched: nothing of it is altered, and the error names it with a cure."""
    folder.table(1, "a")
    await sql(database, f"CREATE {table}; GRANT SELECT ON migration_log TO PUBLIC")
    state = "SELECT format('%s %s %s %s', relacl, relrowsecurity, relhastriggers, relkind) FROM pg_class WHERE relname = 'migration_log'"
    before = await connection.fetchval(state)
    calls = (
        kimbledb.migrate(database, catalog=folder.catalog),
        kimbledb.adopt(database, catalog=folder.catalog),
        kimbledb.reset(database, confirm=database.rpartition("/")[2], allow_data_loss=True),
    )

    for call in calls:
        with pytest.raises(
            kimbledb.HistoryError, match="migration_log is there, and is not the log of kimbledb"
        ) as caught:
            await call
        assert "ALTER TABLE migration_log RENAME TO" in (caught.value.hint or "")

    assert await connection.fetchval(state) == before
    assert await connection.fetchval("SELECT to_regclass('migration_history') IS NULL AND to_regclass('a') IS NULL")


#: What a script may do to history, and whether it does it to its rows or to the table.
TOUCHING = [
    "TRUNCATE migration_history",
    "DELETE FROM migration_history",
    "UPDATE migration_history SET checksum = 'x'",
    "INSERT INTO migration_history (migration_name) VALUES ('c.sql')",
    "DROP TABLE migration_history",
    "DROP TABLE migration_log CASCADE",
    "ALTER TABLE migration_history RENAME TO was_history",
    "ALTER TABLE migration_history ADD COLUMN n integer",
    "ALTER TABLE migration_log DISABLE TRIGGER ALL",
    "DROP TRIGGER migration_log_is_append_only ON migration_log",
    "ALTER TABLE migration_history ALTER COLUMN success SET DEFAULT false",
    "INSERT INTO migration_log (event) VALUES ('adopt')",
    "DO $$ BEGIN EXECUTE 'DELETE FROM ' || 'migration_' || 'history'; END $$",
]


@pytest.mark.parametrize("statement", TOUCHING)
async def test_a_script_that_writes_history(database: str, folder: Folder, statement: str) -> None:
    """A script that writes, empties, alters, renames or drops a table of history is rolled back, and history says what it said."""
    folder.table(1, "a")
    folder.add(2, "b", f"CREATE TABLE b (n integer);\n{statement};\n")

    with pytest.raises(
        kimbledb.MigrationError,
        match=r"the script changed what says which migrations are applied: migration_(history|log)",
    ) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert [step.migration.name for step in caught.value.applied] == ["a.sql"]
    assert await values(database, "SELECT migration_name FROM migration_history WHERE success") == ["a.sql"]
    assert await values(database, "SELECT to_regclass('b') IS NULL") == [True]


async def test_a_rollback_that_writes_history(database: str, folder: Folder) -> None:
    """A rollback.sql that writes history is refused by the dry run already, which names it among others."""
    folder.table(1, "a")
    folder.add(2, "b", "CREATE TABLE b (n integer)", rollback="DROP TABLE b;\nTRUNCATE migration_history;\n")
    await kimbledb.migrate(database, catalog=folder.catalog)

    for dry in (True, False):
        with pytest.raises(
            kimbledb.RollbackError, match="the script changed what says which migrations are applied: migration_history"
        ) as caught:
            await kimbledb.rollback(database, to=0, catalog=folder.catalog, dry_run=dry)
        assert caught.value.failed is not None
        assert caught.value.failed.name == "b.sql"

    assert await values(database, "SELECT migration_name FROM migration_history ORDER BY 1") == ["a.sql", "b.sql"]


async def test_outside_of_a_transaction(database: str, folder: Folder) -> None:
    """So is a step that cannot run in a transaction, in the statement that writes it."""
    folder.table(1, "a")
    folder.add(2, "b", "CREATE TABLE b (n integer);\nDELETE FROM migration_history;\n", facts="transactional = false")

    with pytest.raises(
        kimbledb.MigrationError, match="the script changed what says which migrations are applied: migration_history"
    ):
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert await values(database, "SELECT migration_name FROM migration_history WHERE success") == ["a.sql"]


async def test_what_a_script_may_do(database: str, folder: Folder) -> None:
    """A script may read history, lock it, analyze the whole database and grant on every table of the schema."""
    folder.add(
        1,
        "a",
        "CREATE TABLE a AS SELECT migration_name FROM migration_history;\nANALYZE;\nGRANT SELECT ON ALL TABLES IN SCHEMA public TO pg_monitor;\n",
    )

    folder.add(2, "b", "LOCK TABLE migration_history, migration_log")

    assert len((await kimbledb.migrate(database, catalog=folder.catalog)).applied) == 2


def folder_of(path: Path, folder: Folder, **scripts: str) -> kimbledb.Catalog:
    """A catalog of migrations, each with its script, in a folder of its own."""
    own = type(folder)(path)
    for number, (name, script) in enumerate(scripts.items(), 1):
        own.add(number, name, script, rollback=f"DROP TABLE {script.split()[2]};\n")
    made: kimbledb.Catalog = own.catalog
    return made


async def test_two_applications(database: str, tmp_path: Path, folder: Folder) -> None:
    """A second application in one schema is refused with the cure, though both begin with a migration of one name: nothing is skipped."""
    first = folder_of(
        tmp_path / "first", folder, init="CREATE TABLE users (id integer)", more="CREATE TABLE more (id integer)"
    )
    second = folder_of(
        tmp_path / "second", folder, init="CREATE TABLE invoices (id integer)", other="CREATE TABLE other (id integer)"
    )
    await kimbledb.migrate(database, catalog=first)

    with pytest.raises(
        kimbledb.HistoryError, match=r"another application's: it holds more.sql and nothing of this catalog"
    ) as caught:
        await kimbledb.migrate(database, catalog=second)
    assert "schema=" in (caught.value.hint or "")
    assert "supersedes" not in str(caught.value)

    assert len((await kimbledb.migrate(database, catalog=second, schema="second")).applied) == 2
    assert len((await kimbledb.rollback(database, to=0, catalog=first, allow_data_loss=True)).rolled_back) == 2


async def test_an_edit_where_nothing_else_is_shared(database: str, tmp_path: Path, folder: Folder) -> None:
    """Where history holds one name alone, with another checksum, it may be another application's: `supersedes` is no cure."""
    await kimbledb.migrate(
        database, catalog=folder_of(tmp_path / "first", folder, init="CREATE TABLE users (id integer)")
    )
    second = folder_of(
        tmp_path / "second", folder, init="CREATE TABLE invoices (id integer)", other="CREATE TABLE other (id integer)"
    )

    with pytest.raises(kimbledb.ChangedMigrationError) as caught:
        await kimbledb.migrate(database, catalog=second)

    assert "schema=" in (caught.value.hint or "")
    assert "supersedes" not in str(caught.value)


async def test_two_builds_of_one_application(database: str, tmp_path: Path, folder: Folder) -> None:
    """An older build on a newer database starts, and so does a branch that has another migration: both share what came before."""
    init = "CREATE TABLE users (id integer)"
    await kimbledb.migrate(
        database, catalog=folder_of(tmp_path / "newer", folder, init=init, more="CREATE TABLE more (id integer)")
    )

    assert (await kimbledb.migrate(database, catalog=folder_of(tmp_path / "older", folder, init=init))).applied == ()
    branch = folder_of(tmp_path / "branch", folder, init=init, other="CREATE TABLE other (id integer)")
    assert [step.migration.name for step in (await kimbledb.migrate(database, catalog=branch)).applied] == ["other.sql"]
