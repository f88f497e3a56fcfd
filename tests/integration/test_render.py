"""The rendered file under psql, against migrate()."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

import kimbledb
from kimbledb.catalog import statements
from kimbledb.catalog.script_problems import find_problems
from kimbledb.cli.main import main
from tests.support.databases import psql, sql, take_snapshot
from tests.support.folders import Folder

FILE = Path(__file__).parent.parent.parent / "docs" / "run-all-migrations.sql"


def test_the_file_holds_no_command_of_a_client() -> None:
    """An SQL editor can run all of it: no line is for psql alone."""
    problems = find_problems(kimbledb.render(), transactional=True)

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


# A schema that is there in part.


def send_whole(dsn: str, text: str) -> str:
    """Send a text with psql, which stops at the first error, and return its errors."""
    return psql(dsn, text).stderr


def send_on(dsn: str, text: str) -> str:
    """Send a text with psql, which goes on after an error, and return its errors."""
    return psql(dsn, "\\set ON_ERROR_STOP off\n" + text).stderr


@pytest.mark.parametrize("send", [send_whole, send_on])
@pytest.mark.parametrize("hosted", [False, True])
async def test_what_is_there_in_part_stops_the_file(
    database: str, hosted_database: str, hosted: bool, send: Callable[[str, str], str]
) -> None:
    """On both platforms a table by another hand stops the file before it changes anything; after its cure it does nothing."""
    dsn = hosted_database if hosted else database
    await sql(dsn, "CREATE TABLE cost_models (id uuid PRIMARY KEY)")
    before = await take_snapshot(dsn)

    said = send(dsn, kimbledb.render())

    assert "table cost_models is there, and api-cost-tracking.sql, which makes it, is not applied" in said
    assert "nothing of this file was kept" in said
    assert "adopt() and migrate() make what is missing" in said
    assert str((await take_snapshot(dsn)).since(before)) == "no difference"
    await kimbledb.adopt(dsn)
    await kimbledb.migrate(dsn)
    assert send(dsn, kimbledb.render()) == ""
    assert (await kimbledb.verify(dsn)).ok


async def test_so_it_does_in_one_message(connection: asyncpg.Connection) -> None:
    """Where an editor sends the file in one message, the object by another hand stops it, too."""
    await connection.execute(
        "CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    )

    with pytest.raises(asyncpg.PostgresError, match=r"^function set_updated_at\(\) is there, and COMP") as caught:
        await connection.execute(kimbledb.render())

    assert "migrate()" in str(caught.value.hint)
    await connection.execute("ROLLBACK")
    assert await connection.fetchval("SELECT to_regclass('migration_history')") is None


@pytest.mark.parametrize("applied", [False, True])
async def test_a_part_of_a_later_transaction_stops_all(
    server: str, database: str, folder: Folder, connection: asyncpg.Connection, applied: bool
) -> None:
    """A table of the last transaction stops the first, also where a client goes on and history holds what is before it."""
    add_enums(folder)
    folder.add(6, "last", 'CREATE TABLE "Last" (v e);\nALTER TABLE t ADD COLUMN w e;', facts='requires = ["f.sql"]')
    catalog = await folder.declared(server)
    if applied:
        await kimbledb.migrate(database, catalog=catalog, to="f.sql")
    await connection.execute('CREATE TABLE "Last" (v integer)')
    before = await take_snapshot(database)

    said = send_on(database, kimbledb.render(catalog))

    errors = [line.partition("ERROR:  ")[2] for line in said.splitlines() if "ERROR:  " in line]
    if not applied:
        assert errors.pop() == 'relation "public.migration_history" does not exist'
    named = 'table "Last" is there, and last.sql, which makes it, is not applied: '
    assert errors[0] == f"{named}nothing of this file was kept"
    # The rest of a transaction is passed over, and each further transaction stops at its start.
    assert {error for error in errors[1:] if "current transaction is aborted" not in error} == (
        {f"{named}what stands before it is kept, up to {each}.sql" for each in "bd"}
        if applied
        else {"what stands before this was not applied, and nothing after it is"}
    )
    assert str((await take_snapshot(database)).since(before)) == "no difference"


async def test_a_column_by_hand_stops_the_file(server: str, database: str, folder: Folder) -> None:
    """A column that is there of a table that history knows is named; without it the file goes on."""
    folder.table(1, "one")
    folder.add(2, "wider", "ALTER TABLE one ADD COLUMN v text;\nCREATE INDEX one_v ON one (v);")
    catalog = await folder.declared(server)
    await kimbledb.migrate(database, catalog=catalog, to="one.sql")
    await sql(database, "ALTER TABLE one ADD COLUMN v text")

    said = psql(database, kimbledb.render(catalog)).stderr

    assert "column one.v is there, and wider.sql, which makes it, is not applied" in said
    await sql(database, "ALTER TABLE one DROP COLUMN v")
    assert psql(database, kimbledb.render(catalog)).stderr == ""
    assert (await kimbledb.migrate(database, catalog=catalog)).applied == ()


async def test_what_history_has_made_stops_nothing(server: str, database: str, folder: Folder) -> None:
    """A table that a migration made, and that later ones drop, make again and rename, is no part of these."""
    folder.add(1, "one", "CREATE TABLE one (id integer);", rollback=None)
    folder.add(2, "away", "DROP TABLE one;", facts='requires = ["one.sql"]')
    folder.add(3, "again", "CREATE TABLE one (id bigint);", facts='requires = ["away.sql"]')
    folder.add(4, "named", "ALTER TABLE one RENAME TO three;", facts='requires = ["again.sql"]')
    catalog = await folder.declared(server)
    for last in ("one.sql", "away.sql", "again.sql"):
        await kimbledb.migrate(database, catalog=catalog, to=last)
        assert psql(database, kimbledb.render(catalog)).stderr == ""
        await sql(database, "DROP TABLE three, migration_history, migration_log")

    await sql(database, "CREATE TABLE three (id bigint)")

    assert "table three is there, and named.sql, which makes it" in psql(database, kimbledb.render(catalog)).stderr


async def test_a_value_that_no_word_shows(server: str, database: str, folder: Folder) -> None:
    """A value that a migration adds by a text put together is used after a COMMIT, and the head names the migration."""
    hidden = "DO $$ BEGIN EXECUTE concat('ALTER TYPE e ADD', ' VALUE ''b'''); END $$;"
    add_enums(folder, b=hidden, d="ALTER TYPE e ADD -- a comment\n/* and another */ VALUE 'd';")
    text = kimbledb.render(await folder.declared(server))

    assert "as 3 transactions" in text.splitlines()[0]
    assert "-- A value that is added to a type can be used after the COMMIT. One follows\n-- b.sql, d.sql.\n" in text
    assert psql(database, text).stderr == ""


@pytest.mark.parametrize("hosted", [False, True])
async def test_a_check_of_the_next_migration_names_the_value(
    database: str, hosted_database: str, folder: Folder, hosted: bool
) -> None:
    """On both platforms a value that one migration adds is used by the next, its hosted.sql and its check, by both roads."""
    dsn = hosted_database if hosted else database
    folder.add(1, "a", "CREATE TYPE e AS ENUM ('a');")
    folder.add(2, "b", "ALTER TYPE e ADD VALUE 'b';", facts='requires = ["a.sql"]')
    folder.add(
        3,
        "c",
        "CREATE TABLE t (v e DEFAULT 'b');",
        facts='requires = ["b.sql"]',
        verify="-- name: b_is_there\nSELECT 'b'::e > 'a' AS passed",
        hosted="INSERT INTO t VALUES ('b');\nGRANT SELECT ON t TO anon;",
    )
    await kimbledb.declare(folder.path)
    catalog = folder.catalog

    assert [psql(dsn, kimbledb.render(catalog)).stderr for _ in range(2)] == ["", ""]

    assert (await kimbledb.migrate(dsn, catalog=catalog)).applied == ()
    report = await kimbledb.verify(dsn, catalog=catalog)
    assert [check.passed for check in report.checks if check.migration] == [True] * 3
    await sql(dsn, "DROP TABLE t, migration_history, migration_log; DROP TYPE e")
    assert len((await kimbledb.migrate(dsn, catalog=catalog)).applied) == 3


async def test_a_check_of_the_value_itself(database: str, folder: Folder) -> None:
    """The file runs no check: one that names the value which its own migration adds passes afterwards, by verify()."""
    folder.add(1, "a", "CREATE TYPE e AS ENUM ('a');")
    folder.add(2, "b", "ALTER TYPE e ADD VALUE 'b';", verify="-- name: b_is_there\nSELECT 'b'::e > 'a' AS passed")

    assert psql(database, kimbledb.render(folder.catalog)).stderr == ""

    report = await kimbledb.verify(database, catalog=folder.catalog)
    assert [check.passed for check in report.checks if check.name == "b_is_there"] == [True]
    assert (await kimbledb.migrate(database, catalog=folder.catalog)).applied == ()


async def test_an_edited_migration_stops_what_comes_after_it(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """Where history holds another text of a migration, a client that goes on runs no later transaction either."""
    catalog = add_enums(folder)
    await kimbledb.migrate(database, catalog=catalog, to="d.sql")
    (folder.path / "03_c" / "apply.sql").write_text("CREATE TABLE t (v e);")

    said = send_on(database, kimbledb.render(folder.catalog))

    assert "c.sql was not applied, and nothing after it is" in said
    assert await connection.fetch("SELECT v FROM t WHERE v = 'd'") == []
