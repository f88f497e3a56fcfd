"""The rendered file under psql, against migrate()."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

import kimbledb
from kimbledb.catalog import statements
from kimbledb.cli.main import main
from tests.support.databases import psql, take_snapshot
from tests.support.folders import Folder

FILE = Path(__file__).parent.parent.parent / "docs" / "run-all-migrations.sql"


def test_the_file_holds_no_command_of_a_client() -> None:
    """An SQL editor can run all of it: no line is for psql alone."""
    problems = statements.find_problems(kimbledb.render(), transactional=True)

    assert {problem.message.split(" ")[0] for problem in problems} <= {"BEGIN", "COMMIT"}


async def same_schema_by_two_roads(empty: str, migrated: str) -> list[str]:
    """Fill a database by the file, twice, compare it with a migrated one, and return the names in its history."""
    text = FILE.read_text(encoding="utf-8")
    first = psql(empty, text)
    assert (first.returncode, first.stderr) == (0, "")
    connection = await asyncpg.connect(empty)
    history = await connection.fetch("SELECT * FROM migration_history ORDER BY id")
    log = await connection.fetchval("SELECT count(*) FROM migration_log")

    second = psql(empty, text)

    assert (second.returncode, second.stderr) == (0, "")
    assert str((await take_snapshot(empty)).since(await take_snapshot(migrated))) == "no difference"
    assert await connection.fetch("SELECT * FROM migration_history ORDER BY id") == history
    assert await connection.fetchval("SELECT count(*) FROM migration_log") == log == 34
    assert (await kimbledb.migrate(empty)).applied == ()
    assert (await kimbledb.verify(empty)).ok
    await connection.close()
    return [row["migration_name"] for row in history]


async def test_the_file_and_migrate_are_two_roads_to_one_schema(database: str, migrated_database: str) -> None:
    """A database filled by the file, once or twice, equals one filled by migrate(), which then finds nothing to do."""
    names = await same_schema_by_two_roads(database, migrated_database)

    assert "create_user_tokens_table.sql" in names


async def test_so_are_they_on_a_hosted_database(hosted_database: str, hosted_migrated_database: str) -> None:
    """The same holds on a hosted database, where the file takes the other alternative."""
    names = await same_schema_by_two_roads(hosted_database, hosted_migrated_database)

    assert "supabase-migration-user_tokens.sql" in names


async def test_the_file_goes_on_where_migrate_was(database: str) -> None:
    """On a database that migrate() filled in part, the file applies the rest, and keeps the alternative chosen there."""
    await kimbledb.migrate(database, to=12, prefer=["supabase-migration-user_tokens.sql"])
    await kimbledb.migrate(database, to=3, prefer=["supabase-migration-user_tokens.sql"])

    assert psql(database, kimbledb.render()).returncode == 0

    connection = await asyncpg.connect(database)
    assert await connection.fetchval("SELECT count(*) FROM migration_history") == 34
    assert await connection.fetchval("SELECT to_regclass('user_connections') IS NOT NULL")
    assert (await kimbledb.migrate(database)).applied == ()
    await connection.close()


async def test_a_failing_migration_names_itself_and_leaves_nothing(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """Where one migration fails, the error begins with its name, and of those before it nothing is kept."""
    folder.table(1, "one")
    folder.add(2, "divides", "CREATE TABLE half (id integer);\nDO $$ BEGIN PERFORM 1 / 0; END $$;")

    run = psql(database, kimbledb.render(folder.catalog))

    assert run.returncode != 0
    assert "ERROR:  divides.sql failed, and nothing of this file was kept: division by zero" in run.stderr
    assert await connection.fetchval("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == 0


async def test_an_edited_migration_stops_the_file(database: str, folder: Folder) -> None:
    """What was applied as another text is told with both checksums, and nothing is run."""
    folder.table(1, "one")
    await kimbledb.migrate(database, catalog=folder.catalog)
    applied = folder.catalog[1].checksum
    (folder.path / "01_one" / "apply.sql").write_text("CREATE TABLE IF NOT EXISTS one (id bigint);")

    run = psql(database, kimbledb.render(folder.catalog))

    assert (
        f"one.sql failed, and nothing of this file was kept: it was applied as another text: sha256 {applied}"
        in run.stderr
    )
    assert folder.catalog[1].checksum in run.stderr


async def test_a_renamed_migration_stops_the_file(database: str, folder: Folder) -> None:
    """What history holds under another name is told with both names before anything runs, and the cure works."""
    made = folder.table(1, "one")
    await kimbledb.migrate(database, catalog=folder.catalog)
    made.rename(folder.path / "01_two")
    folder.table(2, "three")

    run = psql(database, kimbledb.render(folder.catalog))

    assert "two.sql is one.sql in history: was it renamed? Nothing of this file was run" in run.stderr
    cure = run.stderr.partition("HINT:  ")[2].partition("\n")[0]
    assert psql(database, cure + ";\n" + kimbledb.render(folder.catalog)).stderr == ""
    assert (await kimbledb.migrate(database, catalog=folder.catalog)).applied == ()


async def test_the_texts_own_quotes_are_kept(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A script that holds dollar quotes of the file, braces and quotes arrives as it is."""
    text = "CREATE TABLE IF NOT EXISTS said AS SELECT $script$ {name} it's $migration$ $kimbledb$ $script$ AS words;"
    folder.add(1, "o'clock", text)

    assert psql(database, kimbledb.render(folder.catalog)).stderr == ""

    assert await connection.fetchval("SELECT words FROM said") == " {name} it's $migration$ $kimbledb$ "
    assert (await kimbledb.migrate(database, catalog=folder.catalog)).applied == ()


async def test_the_file_waits_for_nobody(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """While kimbledb holds its lock, the file stops at once and says why."""
    from kimbledb.server.locks import LOCK_CLASS, lock_key

    folder.table(1, "one")
    await connection.execute(f"SELECT pg_advisory_lock({LOCK_CLASS}, {lock_key('public')})")

    assert "kimbledb is at work on this database" in psql(database, kimbledb.render(folder.catalog)).stderr


def test_what_one_transaction_cannot_hold_is_refused(folder: Folder) -> None:
    """A catalog with a migration outside of transactions cannot be rendered, and the error names it."""
    folder.add(1, "slow", "CREATE INDEX CONCURRENTLY i ON t (id);", facts="transactional = false")

    with pytest.raises(kimbledb.ConfigurationError, match=r"slow\.sql"):
        kimbledb.render(folder.catalog)


def test_the_command_writes_the_file(folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`kimbledb render` prints the file, or writes it where `-o` says."""
    folder.table(1, "one")
    assert main(["render", "--catalog", str(folder.path)]) == 0
    printed = capsys.readouterr().out

    assert main(["render", "--catalog", str(folder.path), "-o", str(tmp_path / "all.sql")]) == 0

    assert (tmp_path / "all.sql").read_text() == printed == kimbledb.render(folder.catalog)


ENUMS = {
    "a": "CREATE TYPE e AS ENUM ('a');",
    "b": "ALTER TYPE e ADD VALUE 'b';",
    "c": "CREATE TABLE t (v e DEFAULT 'b');\nINSERT INTO t VALUES ('b');",
    "d": "DO $$ BEGIN ALTER TYPE e ADD VALUE IF NOT EXISTS 'd'; END $$;",
    "f": "INSERT INTO t VALUES ('d');",
}


def add_enums(folder: Folder, **other: str) -> kimbledb.Catalog:
    """Fill a folder with migrations that add values to a type, and use them afterwards."""
    before = None
    for number, (name, script) in enumerate((ENUMS | other).items(), 1):
        folder.add(number, name, script, facts=f'requires = ["{before}.sql"]' if before else "")
        before = name
    catalog: kimbledb.Catalog = folder.catalog
    return catalog


async def test_values_added_to_a_type_can_be_used(database: str, folder: Folder) -> None:
    """A file in which migrations add values to a type that later ones use runs whole, twice, and leaves nothing to do."""
    catalog = add_enums(folder)
    text = kimbledb.render(catalog)

    assert [psql(database, text).returncode, psql(database, text).returncode] == [0, 0]
    assert (await kimbledb.migrate(database, catalog=catalog)).applied == ()
    connection = await asyncpg.connect(database)
    assert [row["v"] for row in await connection.fetch("SELECT v FROM t ORDER BY v")] == ["b", "d"]
    await connection.close()


async def test_an_editor_sends_it_in_one_message(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """The same file runs where an editor sends it in one message, also where the type is there already."""
    catalog = add_enums(folder)
    await kimbledb.migrate(database, catalog=catalog, to="a.sql")

    await connection.execute(kimbledb.render(catalog))

    assert (await kimbledb.migrate(database, catalog=catalog)).applied == ()


async def test_a_later_transaction_waits_for_the_one_before(folder: Folder, connection: asyncpg.Connection) -> None:
    """Where an error ends a transaction of the file, a client that goes on does none of those after it."""
    text = kimbledb.render(add_enums(folder, b="ALTER TYPE e ADD VALUE 'b'; SELECT 1 / 0;"))

    messages = []
    for statement in statements.split(text):
        try:
            await connection.execute(statement.text)
        except asyncpg.PostgresError as error:
            messages.append(str(error))

    assert messages[0] == "b.sql failed, and nothing of this file was kept: division by zero"
    assert await connection.fetchval("SELECT to_regclass('migration_history')") is None


async def test_a_failure_says_what_is_kept(database: str, folder: Folder) -> None:
    """A migration that fails after a COMMIT of the file says that what stands before it is kept, and up to where."""
    run = psql(database, kimbledb.render(add_enums(folder, c="SELECT 1 / 0;")))

    assert "c.sql failed, and what stands before it is kept, up to b.sql: division by zero" in run.stderr


async def test_a_file_that_would_be_read_otherwise_is_refused(connection: asyncpg.Connection, folder: Folder) -> None:
    """Where the session reads backslashes otherwise the file stops before it does anything, with the cure."""
    folder.table(1, "a")
    await connection.execute("SET standard_conforming_strings = off")

    with pytest.raises(asyncpg.PostgresError, match="standard_conforming_strings is off"):
        await connection.execute(kimbledb.render(folder.catalog))

    await connection.execute("ROLLBACK")
    assert await connection.fetchval("SELECT to_regclass('migration_history')") is None
