"""What a script leaves in the session: a caller's connection, or a pooler's, is as it was before."""

from __future__ import annotations

import asyncpg
import pytest

import kimbledb
from tests.support.databases import sql
from tests.support.folders import Folder

#: All that a session holds beyond its transactions, in a text of which two can be compared.
HELD = """
SELECT concat_ws(E'\\n',
    (SELECT string_agg(name || ' = ' || setting || ' by ' || source, E'\\n' ORDER BY name) FROM pg_settings
     WHERE source NOT IN ('default', 'override')),
    'claims ' || coalesce(nullif(current_setting('request.jwt.claims', true), ''), '-'),
    'tenant ' || coalesce(nullif(current_setting('app.tenant', true), ''), '-'),
    session_user, current_user, current_setting('role'),
    (SELECT string_agg(name, ', ' ORDER BY name) FROM pg_prepared_statements WHERE from_sql),
    (SELECT string_agg(name, ', ' ORDER BY name) FROM pg_cursors WHERE is_holdable),
    (SELECT string_agg(channel, ', ' ORDER BY channel) FROM pg_listening_channels() AS channel),
    (SELECT string_agg(concat(classid, ':', objid, mode), ', ') FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
    (SELECT string_agg(relname, ', ' ORDER BY relname) FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
    (SELECT string_agg(proname, ', ' ORDER BY proname) FROM pg_proc WHERE pronamespace = pg_my_temp_schema()))
"""
#: What a caller may have done on a connection of its own.
OF_CALLER = """
SET work_mem = '7MB';
SET search_path = pg_catalog, public;
SET app.tenant = 'the caller''s';
PREPARE mine AS SELECT 1;
LISTEN mine;
SELECT pg_advisory_lock(1), pg_advisory_lock_shared(2, 3);
CREATE TEMPORARY TABLE mine (n integer);
BEGIN; DECLARE mine CURSOR WITH HOLD FOR SELECT 1; COMMIT;
"""
LEFT: dict[str, str] = {
    "the head of a dump": """SELECT pg_catalog.set_config('search_path', '', false);
        CREATE TABLE public.of_dump (n integer);""",
    "SET in a block": "DO $$ BEGIN SET work_mem = '9MB'; SET search_path = ''; SET datestyle = 'German'; END $$",
    "RESET in a block": "DO $$ BEGIN RESET work_mem; RESET search_path; RESET statement_timeout; END $$",
    "a setting of one's own": "SELECT set_config('app.tenant', '42', false)",
    "who somebody is": """DO $$ BEGIN EXECUTE format('SET request.%s = %L', 'jwt.claims', '{"sub": "1"}'); END $$""",
    "a role": "DO $$ BEGIN SET ROLE pg_monitor; END $$",
    "a local role": "SET LOCAL ROLE pg_monitor",
    "another user": "DO $$ BEGIN SET SESSION AUTHORIZATION pg_monitor; END $$",
    "characteristics": "DO $$ BEGIN SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; END $$",
    "a prepared statement": "PREPARE theirs AS SELECT 1",
    "a cursor": "DECLARE theirs CURSOR WITH HOLD FOR SELECT 1",
    "LISTEN": "DO $$ BEGIN LISTEN theirs; END $$",
    "UNLISTEN": "DO $$ BEGIN UNLISTEN *; END $$",
    "a lock": "SELECT pg_advisory_lock(7), pg_advisory_lock(7), pg_advisory_lock(-8, 9), pg_advisory_lock_shared(-10)",
    "a temporary table": """CREATE TEMPORARY TABLE theirs (id serial PRIMARY KEY, t text);
        CREATE VIEW pg_temp.seen AS SELECT * FROM theirs; CREATE TEMPORARY TABLE passing (n integer) ON COMMIT DROP""",
    "a temporary function": """CREATE FUNCTION pg_temp.theirs() RETURNS integer LANGUAGE sql AS 'SELECT 1';
        CREATE TYPE pg_temp.kind AS ENUM ('a'); CREATE TYPE pg_temp.pair AS (a integer, b pg_temp.kind)""",
}


@pytest.mark.parametrize("what", LEFT)
@pytest.mark.parametrize("fails", [False, True], ids=["that succeeds", "that fails"])
async def test_a_script_leaves_nothing_on_a_callers_connection(
    connection: asyncpg.Connection, folder: Folder, what: str, fails: bool
) -> None:
    """After a script that succeeds or fails the caller's connection holds what it held before, and nothing else."""
    await connection.execute(OF_CALLER)
    before = await connection.fetchval(HELD)
    folder.add(1, "a", f"{LEFT[what]};\n" + ("SELECT 1 / 0;" if fails else ""))

    if fails:
        with pytest.raises(kimbledb.MigrationError, match="division by zero"):
            await kimbledb.migrate(connection, catalog=folder.catalog)
    else:
        assert len((await kimbledb.migrate(connection, catalog=folder.catalog)).applied) == 1

    assert before == await connection.fetchval(HELD)


@pytest.mark.parametrize("what", LEFT)
async def test_nor_where_nothing_was_before(connection: asyncpg.Connection, folder: Folder, what: str) -> None:
    """The same on a connection on which nobody has set anything."""
    before = await connection.fetchval(HELD)
    folder.add(1, "a", f"{LEFT[what]};\n")

    await kimbledb.migrate(connection, catalog=folder.catalog)

    assert before == await connection.fetchval(HELD)


@pytest.mark.parametrize(
    ("before", "then"),
    [("SELECT 1", "40"), ("BEGIN; SET LOCAL hnsw.ef_search = 70; ROLLBACK", "40"), ("SET hnsw.ef_search = 70", "70")],
    ids=["not known", "empty", "set"],
)
async def test_a_script_may_load_a_library(
    database: str, connection: asyncpg.Connection, folder: Folder, before: str, then: str
) -> None:
    """A parameter of a library that the script is the first to load has afterwards what the session gave it."""
    await sql(database, "CREATE EXTENSION vector")  # which loads the library in that session
    await connection.execute(before)
    folder.add(1, "a", "SELECT '[1]'::vector, set_config('hnsw.ef_search', '50', false);")

    await kimbledb.migrate(connection, catalog=folder.catalog)

    assert await connection.fetchval("SHOW hnsw.ef_search") == then


async def test_a_rollback_leaves_nothing_either(connection: asyncpg.Connection, folder: Folder) -> None:
    """What a rollback.sql leaves in the session is taken back, in the try run and in the run itself."""
    folder.add(
        1, "a", "SELECT 1;", rollback=";\n".join(LEFT.values()).replace("CREATE TABLE public.of_dump (n integer);", "")
    )
    before = await connection.fetchval(HELD)
    await kimbledb.migrate(connection, catalog=folder.catalog)

    await kimbledb.rollback(connection, "a.sql", catalog=folder.catalog, dry_run=True)
    assert before == await connection.fetchval(HELD)
    await kimbledb.rollback(connection, "a.sql", catalog=folder.catalog)
    assert before == await connection.fetchval(HELD)


async def test_one_migration_does_not_set_for_the_next(database: str, folder: Folder) -> None:
    """What a migration sets is over when the next one of the same call begins."""
    folder.add(
        1, "a", "SELECT set_config('search_path', '', false), set_config('default_tablespace', 'pg_default', false);"
    )
    folder.add(
        2,
        "b",
        "CREATE TABLE here (n integer);\nCREATE TABLE t AS SELECT current_setting('default_tablespace') AS value;",
    )
    connection = await asyncpg.connect(database)

    await kimbledb.migrate(database, catalog=folder.catalog)

    assert await connection.fetchval("SELECT value FROM t") == ""
    await connection.close()


REFUSED = {
    "RESET ALL": ("DO $$ BEGIN RESET ALL; END $$", "reset every setting"),
    "DEALLOCATE ALL": ("DO $$ BEGIN DEALLOCATE ALL; END $$", "deallocated prepared statements"),
    "a read-only transaction": ("SET TRANSACTION READ ONLY", "read-only"),
    "a read-only block": ("DO $$ BEGIN SET transaction_read_only = on; END $$", "read-only"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_cannot_be_taken_back_is_refused(connection: asyncpg.Connection, folder: Folder, what: str) -> None:
    """A script that leaves what cannot be taken back is refused with the cure, and nothing of it remains."""
    script, words = REFUSED[what]
    await connection.execute("PREPARE mine AS SELECT 1; SET work_mem = '7MB'")
    folder.add(1, "a", f"CREATE TABLE t (n integer);\n{script};\n")

    with pytest.raises(kimbledb.MigrationError, match=words) as caught:
        await kimbledb.migrate(connection, catalog=folder.catalog)

    assert (caught.value.hint or "").startswith("take ")
    assert await connection.fetchval("SELECT to_regclass('t')") is None
    assert await connection.fetchval("SHOW work_mem") == "7MB"


async def test_a_callers_statements_work_on_after_deallocate_all(
    connection: asyncpg.Connection, folder: Folder
) -> None:
    """A connection whose statements were deallocated under it prepares them again."""
    assert await connection.fetchval("SELECT 1") == 1
    folder.add(1, "a", "DO $$ BEGIN DEALLOCATE ALL; END $$")

    with pytest.raises(kimbledb.MigrationError, match="deallocated"):
        await kimbledb.migrate(connection, catalog=folder.catalog)

    assert await connection.fetchval("SELECT 1") == 1


async def test_deallocate_all_is_a_fault(folder: Folder) -> None:
    """A file that says DEALLOCATE ALL is refused when it is loaded."""
    folder.add(1, "a", "SELECT 1;\nDEALLOCATE ALL;\n")

    with pytest.raises(kimbledb.CatalogError, match="outlive the transaction") as caught:
        kimbledb.Catalog.from_directory(folder.path)

    assert [fault.line for fault in caught.value.faults] == [2]


async def test_history_is_written_by_who_began(database: str, folder: Folder) -> None:
    """A script may become a role that cannot write history: the row is written by who began."""
    connection = await asyncpg.connect(database)
    await connection.execute(
        "CREATE ROLE owns_little; GRANT owns_little TO CURRENT_USER; CREATE SCHEMA little AUTHORIZATION owns_little"
    )
    folder.add(
        1,
        "a",
        "SET LOCAL ROLE owns_little;\nCREATE TABLE t (n integer);",
        verify="-- name: t\nSELECT to_regclass('t') IS NOT NULL AS passed",
    )

    report = await kimbledb.migrate(connection, catalog=folder.catalog, schema="little")

    assert report.verification.ok
    assert await connection.fetchval("SELECT tableowner FROM pg_tables WHERE tablename = 't'") == "owns_little"
    await connection.execute("DROP SCHEMA little CASCADE; DROP ROLE owns_little")
    await connection.close()
