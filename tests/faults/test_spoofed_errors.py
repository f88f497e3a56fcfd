"""A script can raise any SQLSTATE and send any message: none of it is taken for the server's word, or for ours."""

from __future__ import annotations

import asyncpg
import pytest

import kimbledb
from tests.support.databases import sql
from tests.support.folders import Folder
from tests.support.invariant import OPTIONS, nothing_left

#: Of a lost connection, of a lock that somebody holds, of a conflict, and of our own blocks.
CODES = (
    *("08000", "08003", "08006", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300"),
    *("40001", "40P01", "55P03"),
    *("KD000", "KD001", "KD002", "KD003", "KD004", "KD005", "KD006", "KD007", "KD008", "KD009", "KD010"),
)


@pytest.mark.parametrize("target", ["dsn", "connection"])
@pytest.mark.parametrize("code", CODES)
async def test_a_script_that_raises_it_is_told_with_its_line(
    database: str, connection: asyncpg.Connection, folder: Folder, code: str, target: str
) -> None:
    """An error that a script raises is its own, whatever its SQLSTATE: it is run once, and told with its line."""
    await connection.execute("CREATE SEQUENCE tries")
    folder.add(
        1,
        "a",
        f"CREATE TABLE t (n integer);\nDO $$ BEGIN PERFORM nextval('tries');\n"
        f"RAISE SQLSTATE '{code}' USING MESSAGE = 'said by the script', DETAIL = 'junk', CONSTRAINT = 'kimbledb_0'; END $$;\n",
    )

    with pytest.raises(kimbledb.MigrationError, match="said by the script") as caught:
        await kimbledb.migrate(
            connection if target == "connection" else database, catalog=folder.catalog, options=OPTIONS
        )

    assert code == caught.value.sqlstate
    assert await connection.fetchval("SELECT last_value FROM tries") == 1
    assert not connection.is_closed()
    assert await connection.fetchval("SELECT to_regclass('t')") is None
    await nothing_left(database)


@pytest.mark.parametrize("code", ["KD001", "KD005", "KD006"])
async def test_so_is_one_of_a_rollback(database: str, folder: Folder, code: str) -> None:
    """The same holds for rollback.sql."""
    folder.add(1, "a", "SELECT 1;", rollback=f"DO $$ BEGIN RAISE SQLSTATE '{code}' USING DETAIL = 'junk'; END $$;")
    await kimbledb.migrate(database, catalog=folder.catalog)

    with pytest.raises(kimbledb.RollbackError, match=code):
        await kimbledb.rollback(database, "a.sql", catalog=folder.catalog)


async def test_a_subscription_to_nowhere(database: str, connection: asyncpg.Connection, folder: Folder) -> None:
    """A connection that the server could not make for a script is the script's error, and it is run once."""
    folder.add(
        1,
        "a",
        "CREATE TABLE t (n integer);\nCREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION p "
        "WITH (connect = true, create_slot = false);\n",
    )

    with pytest.raises(kimbledb.MigrationError, match="could not connect to the publisher") as caught:
        await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS)

    assert caught.value.file is not None
    assert await connection.fetchval("SELECT count(*) FROM migration_log WHERE event = 'failure'") == 1


async def test_messages_of_a_script_are_not_believed(
    database: str, folder: Folder, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """What a script sends as a message is no answer of ours, and no fault, whatever stands in it."""
    codes = [f"KD10{number}" for number in range(10)]
    raised = "\n".join(
        f"RAISE {level} USING ERRCODE = '{code}', MESSAGE = 'junk', CONSTRAINT = 'kimbledb';"
        for code in codes
        for level in ("INFO", "WARNING")
    )
    forged = """RAISE INFO USING ERRCODE = 'KD102', MESSAGE = '{"head": 99999, "milliseconds": 1}';
        RAISE INFO USING ERRCODE = 'KD101', MESSAGE = '[{"name": "check", "migration": "a.sql", "passed": true}]';"""
    folder.add(1, "a", f"DO $$ BEGIN {raised} {forged} END $$;\n", verify="-- name: check\nSELECT 1 = 1 AS passed")
    folder.table(2, "b")

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert [step.migration.name for step in report.applied] == ["a.sql", "b.sql"]
    assert [check.name for check in report.verification.checks] == ["check", "b_is_there"]
    assert "Traceback" not in capfd.readouterr().err + caplog.text


async def test_a_real_conflict_is_tried_again(database: str, connection: asyncpg.Connection, folder: Folder) -> None:
    """A lock that somebody else holds is waited for, although a script could raise the same SQLSTATE."""
    await connection.execute("CREATE SCHEMA other; CREATE TABLE other.held (n integer); CREATE SEQUENCE tries")
    folder.add(
        1, "a", "SELECT nextval('tries'); SET LOCAL lock_timeout = '50ms'; ALTER TABLE other.held ADD COLUMN m integer;"
    )
    holder = connection.transaction()
    await holder.start()
    await connection.execute("LOCK TABLE other.held")

    with pytest.raises(kimbledb.LockUnavailableError):
        await kimbledb.migrate(database, catalog=folder.catalog, options=kimbledb.Options(attempts=2))

    await holder.rollback()
    assert await sql(database, "SELECT last_value FROM tries") == 2


#: What refuses DDL with a SQLSTATE of its own choice, from outside of the schema.
REFUSING = """
    CREATE SCHEMA guard;
    CREATE SEQUENCE guard.tries;
    CREATE FUNCTION guard.refuse() RETURNS event_trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM nextval('guard.tries'); RAISE SQLSTATE '{code}' USING MESSAGE = 'said by the trigger'; END $$;
    CREATE EVENT TRIGGER refuse ON {event} EXECUTE FUNCTION guard.refuse();
"""


@pytest.mark.parametrize("code", ["40001", "40P01", "55P03", "23505", "P0001"])
async def test_a_trigger_that_refuses_the_history_tables_is_told_at_once(
    database: str, connection: asyncpg.Connection, folder: Folder, code: str
) -> None:
    """An event trigger that raises the SQLSTATE of a conflict refuses the history tables once, and is no rival."""
    folder.table(1, "a")
    await connection.execute(REFUSING.format(code=code, event="ddl_command_end"))

    with pytest.raises(kimbledb.MigrationError, match="preparing the database failed") as caught:
        await kimbledb.migrate(database, catalog=folder.catalog, options=OPTIONS)

    assert (code, 1) == (caught.value.sqlstate, await connection.fetchval("SELECT last_value FROM guard.tries"))


@pytest.mark.parametrize("code", ["40001", "40P01", "55P03", "P0001"])
async def test_a_trigger_that_refuses_a_reset_is_told_at_once(
    database: str, connection: asyncpg.Connection, code: str
) -> None:
    """An event trigger that refuses a reset ends it with an error, after one try, whatever SQLSTATE it raises."""
    await connection.execute("CREATE TABLE t (n integer)")
    await connection.execute(REFUSING.format(code=code, event="sql_drop"))

    with pytest.raises(kimbledb.MigrationError, match="resetting the schema") as caught:
        await kimbledb.reset(database, confirm=database.rpartition("/")[2], options=OPTIONS)

    assert (code, 1) == (caught.value.sqlstate, await connection.fetchval("SELECT last_value FROM guard.tries"))
    assert await connection.fetchval("SELECT to_regclass('t')") == "t"
