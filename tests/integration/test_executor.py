"""Applying a catalog of one's own to a real database."""

from __future__ import annotations

import pickle

import asyncpg
import pytest

import kimbledb
from kimbledb.events import Applied, Applying, Failed, Waiting
from kimbledb.server.locks import LOCK_CLASS, lock_key
from tests.support.databases import Meanwhile, psql
from tests.support.folders import Folder

#: What another run writes that applied a.sql.
OTHERS_SUCCESS = (
    "INSERT INTO migration_history (migration_name, success, kimbledb_version) VALUES ('a.sql', true, '9.0');"
    "INSERT INTO migration_log (event, migration_name, kimbledb_version) VALUES ('apply', 'a.sql', '9.0')"
)
#: How many advisory locks anybody holds in this database.
ADVISORY_LOCKS = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


async def test_applies_in_order_and_records(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """Each migration is applied once, after what it requires, and has its row with the facts that the document names."""
    folder.table(2, "b", facts='requires = ["a.sql"]')
    folder.table(1, "a")

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert [step.migration.name for step in report.applied] == ["a.sql", "b.sql"]
    rows = await connection.fetch("SELECT * FROM migration_history ORDER BY id")
    assert [(row["migration_name"], row["success"], row["error_message"]) for row in rows] == [
        ("a.sql", True, None),
        ("b.sql", True, None),
    ]
    assert all(row["applied_at"] and row["execution_time_ms"] >= 0 and row["kimbledb_version"] for row in rows)
    assert [row["checksum"] for row in rows] == [migration.checksum for migration in folder.catalog]


async def test_second_run_does_nothing(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A second call applies nothing and writes nothing into history or log."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)
    written = "SELECT array_agg(xmin::text ORDER BY id) FROM migration_history"
    before = await connection.fetchval(written), await connection.fetchval("SELECT max(id) FROM migration_log")

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert report.applied == ()
    assert report.plan.pending == ()
    assert before == (
        await connection.fetchval(written),
        await connection.fetchval("SELECT max(id) FROM migration_log"),
    )


async def test_a_failure_leaves_nothing_and_names_the_place(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A misspelt column stops the run, rolls its migration back, and is shown with file, line, column and caret."""
    folder.table(1, "a")
    path = folder.add(2, "b", "CREATE TABLE b (id integer);\n\nCREATE INDEX ON b (idd);\n")

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    error = caught.value
    assert [step.migration.name for step in error.applied] == ["a.sql"]
    assert error.failed is not None
    assert (error.failed.name, error.sqlstate, error.line) == ("b.sql", "42703", 3)
    assert error.file == f"{path}/apply.sql"
    assert error.statement == "CREATE INDEX ON b (idd)"
    assert "  3 | CREATE INDEX ON b (idd);" in str(error)
    assert isinstance(error.__cause__, asyncpg.UndefinedColumnError)
    assert await connection.fetchval("SELECT to_regclass('b')") is None
    row = await connection.fetchrow(
        "SELECT success, error_message FROM migration_history WHERE migration_name = 'b.sql'"
    )
    assert row is not None
    assert row["success"] is False
    assert "42703" in row["error_message"]


async def test_a_position_has_its_caret(database: str, folder: Folder) -> None:
    """Where the server names a character, the caret stands under it."""
    folder.add(1, "a", "CREATE TABLE a (id integer);\nSELECT nme FROM a;\n")

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert (caught.value.line, caught.value.column) == (2, 8)
    lines = str(caught.value).splitlines()
    shown = next(number for number, line in enumerate(lines) if line.endswith("SELECT nme FROM a;"))
    assert lines[shown].index("nme") == lines[shown + 1].index("^")


async def test_a_run_time_error_finds_its_statement(database: str, folder: Folder) -> None:
    """An error that arises while a statement runs is shown with that statement's line, though the server names none."""
    folder.add(
        1,
        "a",
        "CREATE TABLE a (id integer CHECK (id > 0));\n-- a comment; with a semicolon\nINSERT INTO a VALUES (1);\n\nINSERT INTO a\nVALUES (-1);\n",
    )

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert (caught.value.line, caught.value.sqlstate) == (5, "23514")
    assert caught.value.statement == "INSERT INTO a\nVALUES (-1)"


async def test_a_retry_after_a_failure_goes_on(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """After the file is mended the next run applies it, and its row says success."""
    path = folder.add(1, "a", "SELECT 1 / 0;")
    with pytest.raises(kimbledb.MigrationError):
        await kimbledb.migrate(database, catalog=folder.catalog)
    assert (await kimbledb.plan(database, catalog=folder.catalog)).steps[0].state is kimbledb.StepState.FAILED
    (path / "apply.sql").write_text("SELECT 1;")

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert len(report.applied) == 1
    assert [tuple(row) for row in await connection.fetch("SELECT success, error_message FROM migration_history")] == [
        (True, None)
    ]
    events = [row["event"] for row in await connection.fetch("SELECT event FROM migration_log ORDER BY id")]
    assert events == ["failure", "apply"]


async def test_a_failed_verification_rolls_back(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A migration whose check does not pass leaves nothing, and the error shows what was expected and found."""
    folder.add(
        1,
        "a",
        "CREATE TABLE a (id integer);",
        verify="-- name: rows\nSELECT count(*) = 1 AS passed, '1 row' AS expected, count(*) || ' rows' AS found FROM a",
    )

    with pytest.raises(kimbledb.VerificationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    [check] = caught.value.checks
    assert (check.name, check.expected, check.found) == ("rows", "1 row", "0 rows")
    assert await connection.fetchval("SELECT to_regclass('a')") is None


async def test_verification_leaves_no_trace(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A check cannot write: it fails, and the migration with it."""
    folder.add(
        1,
        "a",
        "CREATE TABLE a (id integer);\n"
        "CREATE FUNCTION fill() RETURNS boolean LANGUAGE sql AS 'INSERT INTO a VALUES (1) RETURNING true';",
        verify="-- name: writes\nSELECT fill() AS passed",
    )

    with pytest.raises(kimbledb.VerificationError, match="read only"):
        await kimbledb.migrate(database, catalog=folder.catalog)

    report = await kimbledb.migrate(database, catalog=folder.catalog, verify=False)
    assert len(report.applied) == 1
    assert not (await kimbledb.verify(database, catalog=folder.catalog)).ok
    assert await connection.fetchval("SELECT count(*) FROM a") == 0


async def test_the_place_is_that_of_the_error_which_is_told(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """The statement at which a script failed is told without running it again, where it might fail otherwise."""
    await connection.execute("CREATE SEQUENCE runs")
    folder.add(
        1,
        "a",
        "DO $$ BEGIN IF nextval('runs') > 1 THEN RAISE 'it was run before'; END IF; END $$;\nSELECT 1 / 0;",
    )

    with pytest.raises(kimbledb.MigrationError, match="division by zero") as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert (caught.value.sqlstate, caught.value.line) == ("22012", 2)
    assert await connection.fetchval("SELECT last_value FROM runs") == 1


async def test_a_deferred_constraint_is_proved(database: str, folder: Folder) -> None:
    """A deferred constraint is checked before the verification and not only at COMMIT."""
    folder.add(
        1,
        "a",
        "CREATE TABLE a (id integer PRIMARY KEY, up integer REFERENCES a DEFERRABLE INITIALLY DEFERRED);\n"
        "INSERT INTO a VALUES (1, 2);",
        verify="-- name: comes_too_late\nSELECT false AS passed",
    )

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert (type(caught.value), caught.value.sqlstate) == (kimbledb.MigrationError, "23503")


@pytest.mark.parametrize(
    "reach",
    [
        "DROP TABLE IF EXISTS precious;",
        "ALTER TABLE precious ADD COLUMN extra integer;",
        "CREATE OR REPLACE FUNCTION public.precious() RETURNS integer LANGUAGE sql AS 'SELECT 1';",
        "CREATE SCHEMA elsewhere;",
        "CREATE TABLE public.another (id integer);",
        "ALTER TABLE public.another_name RENAME TO another;",
        "CREATE VIEW public.another AS SELECT 1 AS one;",
        "CREATE TYPE public.another AS ENUM ('one');",
        "CREATE DOMAIN public.another AS text;",
        "CREATE TYPE mine AS ENUM ('one'); ALTER TYPE mine SET SCHEMA public;",
        "ALTER TYPE public.colour ADD VALUE 'blue';",
        "DROP TYPE public.colour;",
        "ALTER DOMAIN public.amount SET DEFAULT 1;",
        "CREATE POLICY everybody ON public.precious;",
        "DROP SEQUENCE public.counter;",
        "ALTER FUNCTION public.answer() STABLE;",
        "DROP FUNCTION public.answer();",
        "DROP VIEW public.sight; CREATE VIEW sight AS SELECT 1 AS one;",
        "DROP VIEW public.sight; CLOSE ALL;",
        "GRANT SELECT ON public.precious TO PUBLIC;",
        "GRANT EXECUTE ON FUNCTION public.answer() TO CURRENT_USER;",
        "DO $$ BEGIN CREATE TABLE public.another (id integer); EXCEPTION WHEN division_by_zero THEN NULL; END $$;",
    ],
)
async def test_a_script_stays_in_its_schema(
    database: str, folder: Folder, connection: asyncpg.Connection, reach: str
) -> None:
    """A script that drops, alters or makes something in another schema is rolled back."""
    await connection.execute(
        "CREATE TABLE precious (id integer); INSERT INTO precious VALUES (1); CREATE TABLE another_name (id integer);"
        "CREATE TYPE colour AS ENUM ('red'); CREATE VIEW sight AS SELECT 1 AS one;"
        "CREATE DOMAIN amount AS integer; CREATE SEQUENCE counter;"
        "CREATE FUNCTION answer() RETURNS integer LANGUAGE sql AS 'SELECT 42';"
    )
    # The extension's schema is public, which therefore is on the path.
    folder.add(1, "a", f"CREATE TABLE a (id integer);\n{reach}", facts='extensions = ["pg_trgm"]')

    with pytest.raises(kimbledb.MigrationError, match="outside of the target schema") as caught:
        await kimbledb.migrate(database, catalog=folder.catalog, schema="tenant_a")

    assert caught.value.sqlstate == "KD004"
    assert await connection.fetchval("SELECT count(*) FROM public.precious") == 1
    assert await connection.fetchval("SELECT to_regclass('public.another')") is None


async def test_an_invalid_index_is_not_called_done(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A script whose CREATE INDEX IF NOT EXISTS passes over an invalid index fails with the cure; one that is about another index goes through."""
    await connection.execute("CREATE TABLE a (n integer); INSERT INTO a VALUES (1), (1)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute("CREATE UNIQUE INDEX CONCURRENTLY a_n ON a (n)")
    folder.add(1, "other", "CREATE INDEX a_other ON a ((n + 1));\nCREATE INDEX IF NOT EXISTS a_other ON a (n);")
    folder.add(2, "one", "CREATE UNIQUE INDEX IF NOT EXISTS A_N ON a (n);", facts='requires = ["other.sql"]')

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert [step.migration.name for step in caught.value.applied] == ["other.sql"]
    assert "the script passed over an index that is not valid: a_n on public.a" in str(caught.value)
    assert caught.value.hint is not None
    await connection.execute("DELETE FROM a")
    await connection.execute(caught.value.hint.partition(" makes it valid")[0])
    assert len((await kimbledb.migrate(database, catalog=folder.catalog)).applied) == 1


async def test_a_script_that_ends_its_transaction(database: str, connection: asyncpg.Connection) -> None:
    """A migration made in code, which no folder's rules have read, is stopped where it ends its transaction."""
    script = "CREATE TABLE a (id integer);\nCOMMIT;\nBEGIN;"
    catalog = kimbledb.Catalog([kimbledb.Migration(name="a.sql", number=1, apply_sql=script, irreversible="a test")])

    with pytest.raises(kimbledb.MigrationError, match="ended the transaction") as caught:
        await kimbledb.migrate(database, catalog=catalog, verify=False)

    assert caught.value.sqlstate == "KD003"
    assert await connection.fetchval("SELECT count(*) FROM migration_history WHERE success") == 0


async def test_its_own_schema_is_its_own(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A script may make, alter and drop in its schema, and point a foreign key to another one."""
    await connection.execute("CREATE TABLE public.parents (id integer PRIMARY KEY)")
    folder.add(
        1,
        "a",
        "CREATE TABLE a (id integer REFERENCES public.parents);\nCREATE TABLE b (id integer);\nDROP TABLE b;\n"
        "CREATE TEMPORARY TABLE c (id integer) ON COMMIT DROP;\nDROP TABLE c;\nALTER TABLE a ADD COLUMN more text;",
    )

    report = await kimbledb.migrate(database, catalog=folder.catalog, schema="tenant_a")

    assert len(report.applied) == 1


async def test_many_schemas_in_one_database(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """Each target schema has its own objects and its own history; extensions are shared and in none of them."""
    folder.table(1, "a", facts='extensions = ["pg_trgm"]')

    for schema in ("tenant_a", "tenant_b", 'odd "name"'):
        report = await kimbledb.migrate(database, catalog=folder.catalog, schema=schema)
        assert len(report.applied) == 1

    found = await connection.fetch(
        "SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE relname = 'a' ORDER BY 1"
    )
    assert [row["nspname"] for row in found] == ['odd "name"', "tenant_a", "tenant_b"]
    home = await connection.fetchval(
        "SELECT nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = extnamespace WHERE extname = 'pg_trgm'"
    )
    assert home == "public"


async def test_a_connection_comes_back_as_it_was(folder: Folder, connection: asyncpg.Connection) -> None:
    """The caller's connection keeps its settings and its listeners, and holds no lock."""
    folder.table(1, "a")
    await connection.execute("SET search_path = pg_catalog; SET statement_timeout = '7s'; SET jit = on")
    before = await connection.fetch("SELECT name, setting FROM pg_settings")

    await kimbledb.migrate(connection, catalog=folder.catalog)

    after = await connection.fetch("SELECT name, setting FROM pg_settings")
    # A language that was loaded brings settings of its own.
    assert {tuple(row) for row in before} <= {tuple(row) for row in after}
    assert await connection.fetchval(ADVISORY_LOCKS) == 0
    assert (
        await connection.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE statement NOT LIKE 'SELECT%'") == 0
    )


async def test_a_connection_in_a_transaction_is_refused(folder: Folder, connection: asyncpg.Connection) -> None:
    """A connection inside of a transaction of the caller's is refused before anything is sent."""
    folder.table(1, "a")
    async with connection.transaction():
        with pytest.raises(kimbledb.ConfigurationError, match="transaction of its own"):
            await kimbledb.migrate(connection, catalog=folder.catalog)


async def test_a_pool_is_a_target(database: str, folder: Folder) -> None:
    """A pool with asyncpg's defaults will do."""
    folder.table(1, "a")
    async with asyncpg.create_pool(database, min_size=1, max_size=2) as pool:
        report = await kimbledb.migrate(pool, catalog=folder.catalog)
        assert len(report.applied) == 1
        assert (await kimbledb.migrate(pool, catalog=folder.catalog)).applied == ()


async def test_an_edited_file_stops_before_any_work(database: str, folder: Folder) -> None:
    """A file edited after it was applied stops the next run with both checksums; CRLF is no edit."""
    path = folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)
    text = (path / "apply.sql").read_bytes()
    (path / "apply.sql").write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    assert (await kimbledb.migrate(database, catalog=folder.catalog)).applied == ()
    before = folder.catalog["a.sql"].checksum
    (path / "apply.sql").write_text("SELECT 1;")
    folder.table(2, "b")

    with pytest.raises(kimbledb.ChangedMigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert caught.value.changed == (("a.sql", before, folder.catalog["a.sql"].checksum),)
    assert before in str(caught.value)
    (path / "migration.toml").write_text(f'supersedes = ["{before}"]')
    assert len((await kimbledb.migrate(database, catalog=folder.catalog)).applied) == 1


async def test_to_and_phase_limit_the_run(database: str, folder: Folder) -> None:
    """`to` applies that migration and all it needs; `phase` its migrations and all they need; no more."""
    folder.table(1, "a", facts="phase = 1")
    folder.table(2, "b", facts='phase = 2\nrequires = ["a.sql"]')
    folder.table(3, "c", facts="phase = 2")
    folder.table(4, "d", facts="phase = 3")

    to_two = await kimbledb.migrate(database, catalog=folder.catalog, to=2)
    phase_two = await kimbledb.migrate(database, catalog=folder.catalog, phase=2)

    assert [step.migration.name for step in to_two.applied] == ["a.sql", "b.sql"]
    assert [step.migration.name for step in phase_two.applied] == ["c.sql"]


async def test_objects_without_history_stop_the_run(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A schema that holds a table of the catalog and no history stops the run; other tables are no hindrance."""
    folder.add(1, "a", "CREATE TABLE IF NOT EXISTS a (id integer);", rollback="DROP TABLE a;")
    await folder.declared(database)
    await connection.execute("CREATE TABLE bystander (id integer)")
    await kimbledb.migrate(database, catalog=folder.catalog)
    await connection.execute("DROP TABLE migration_history, migration_log")

    with pytest.raises(kimbledb.UnrecordedObjectsError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert caught.value.objects == ("table a", "column a.id")
    assert await connection.fetchval("SELECT to_regclass('migration_history')") is None


async def test_a_declared_change_of_a_type_is_applied(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A column in the type that an earlier migration gave it is no conflict for the one that changes it."""
    folder.add(1, "a", "CREATE TABLE IF NOT EXISTS a (id integer);")
    folder.add(2, "b", "ALTER TABLE a ALTER id TYPE bigint;", facts='requires = ["a.sql"]')
    await folder.declared(database)
    await kimbledb.migrate(database, catalog=folder.catalog, to=1)

    report = await kimbledb.migrate(database, catalog=folder.catalog)

    assert [step.migration.name for step in report.applied] == ["b.sql"]
    assert (await kimbledb.verify(database, catalog=folder.catalog)).ok
    await connection.execute("DELETE FROM migration_history WHERE migration_name = 'b.sql'")
    await connection.execute("ALTER TABLE a ALTER id TYPE uuid USING NULL")
    with pytest.raises(kimbledb.ConflictingObjectsError, match=r"a\.id is uuid instead of bigint"):
        await kimbledb.migrate(database, catalog=folder.catalog)


async def test_a_temporary_table_stands_for_no_other(folder: Folder, connection: asyncpg.Connection) -> None:
    """On a caller's connection with a temporary table of the same name, a script means that of the target schema."""
    folder.table(1, "a")
    await kimbledb.migrate(connection, catalog=folder.catalog)
    await connection.execute("CREATE TEMPORARY TABLE a (id integer)")
    folder.add(2, "b", "INSERT INTO a VALUES (7);", facts='requires = ["a.sql"]')

    await kimbledb.migrate(connection, catalog=folder.catalog)

    assert await connection.fetchval("SELECT id FROM public.a") == 7
    assert await connection.fetchval("SELECT count(*) FROM pg_temp.a") == 0


async def test_a_late_failure_overwrites_no_success(
    database: str, folder: Folder, connection: asyncpg.Connection, meanwhile: Meanwhile
) -> None:
    """Where somebody else applied a migration before the failure of a try is recorded, history keeps the success."""
    folder.add(1, "a", "SELECT 1 / 0;")

    def watch(event: object) -> None:
        if isinstance(event, Failed):
            meanwhile(OTHERS_SUCCESS)

    with pytest.raises(kimbledb.MigrationError, match="division by zero"):
        await kimbledb.migrate(database, catalog=folder.catalog, progress=watch)

    assert await connection.fetchval("SELECT success FROM migration_history")


async def test_another_run_may_be_quicker(database: str, folder: Folder, meanwhile: Meanwhile) -> None:
    """What another run applied between the plan and the lock is seen under the lock, and not applied again."""
    folder.add(1, "a", "CREATE TABLE a (id integer);")
    quicker: list[object] = []

    def watch(event: object) -> None:
        if isinstance(event, Applying) and not quicker:
            quicker.append(event)
            meanwhile("CREATE TABLE a (id integer);" + OTHERS_SUCCESS)

    report = await kimbledb.migrate(database, catalog=folder.catalog, progress=watch)

    assert quicker
    assert report.applied == ()


async def test_nothing_is_applied_without_the_lock(database: str, folder: Folder, meanwhile: Meanwhile) -> None:
    """A run that finds the schema's lock taken when it is about to apply waits until it is free."""
    folder.table(1, "a")
    told: list[str] = []

    def watch(event: object) -> None:
        if isinstance(event, Applying) and not told:
            meanwhile(f"SELECT pg_advisory_lock({LOCK_CLASS}, {lock_key('public')})")
        if isinstance(event, Waiting):
            meanwhile("SELECT pg_advisory_unlock_all()")
        if isinstance(event, Applying | Waiting | Applied):
            told.append(type(event).__name__)

    await kimbledb.migrate(database, catalog=folder.catalog, progress=watch)

    assert told == ["Applying", "Waiting", "Applying", "Applied"]


async def test_the_log_is_append_only(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """Nobody changes or deletes an entry of the log, its owner included."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)

    for statement in (
        "UPDATE migration_log SET event = 'reset'",
        "DELETE FROM migration_log",
        "TRUNCATE migration_log",
    ):
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await connection.execute(statement)


async def test_progress_tells_and_cannot_break(database: str, folder: Folder) -> None:
    """Each step is told in order, and a callable that fails breaks nothing."""
    folder.table(1, "a")
    told: list[str] = []

    def watch(event: object) -> None:
        told.append(type(event).__name__)
        raise RuntimeError("the watcher's own fault")

    report = await kimbledb.migrate(database, catalog=folder.catalog, progress=watch)

    assert len(report.applied) == 1
    assert told == ["Planned", "Applying", "Applied", "Done"]


@pytest.mark.parametrize(
    ("rows", "passes"),
    [
        ("(true), (NULL)", False),
        ("(true), (false)", False),
        ("(NULL)", False),
        ("(true), (true)", True),
    ],
)
async def test_a_check_passes_where_every_row_says_so(database: str, folder: Folder, rows: str, passes: bool) -> None:
    """A row whose `passed` is false or null fails the check, whatever the others say."""
    folder.add(
        1,
        "a",
        "SELECT 1;",
        verify=f"-- name: rows\nSELECT passed::boolean AS passed FROM (VALUES {rows}) AS v (passed);",
    )

    if passes:
        assert (await kimbledb.migrate(database, catalog=folder.catalog)).verification.ok
        return
    with pytest.raises(kimbledb.VerificationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)
    [check] = caught.value.checks
    assert not check.passed
    await kimbledb.migrate(database, catalog=folder.catalog, verify=False)
    [again] = (await kimbledb.verify(database, catalog=folder.catalog, only="a.sql")).checks
    assert not again.passed


#: As the state is after a crash of the server that took the last commits with it.
_CRASH = """
BEGIN;
DROP TABLE a;
DELETE FROM migration_history;
ALTER TABLE migration_log DISABLE TRIGGER USER;
DELETE FROM migration_log;
ALTER TABLE migration_log ENABLE TRIGGER USER;
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
COMMIT;
"""


async def test_after_a_crash_nothing_counts_twice(database: str, folder: Folder) -> None:
    """What the server had committed, and lost when it crashed, is applied again and is in the report once."""
    folder.table(1, "a")
    folder.table(2, "b")
    crashes = iter([_CRASH])

    def watch(event: object) -> None:
        if isinstance(event, Applying) and event.migration.name == "b.sql" and (crash := next(crashes, None)):
            assert psql(database, crash).returncode == 0

    report = await kimbledb.migrate(database, catalog=folder.catalog, progress=watch)

    assert [step.migration.name for step in report.applied] == ["a.sql", "b.sql"]
    assert [check.name for check in report.verification.checks] == ["a_is_there", "b_is_there"]


async def test_a_check_of_a_value_that_was_just_added(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """A check that uses a value which its own migration adds fails with the cure, and the check of the cure passes."""
    await connection.execute("CREATE TYPE e AS ENUM ('a')")
    step = folder.add(1, "a", "ALTER TYPE e ADD VALUE 'b';", verify="-- name: b\nSELECT 'b'::e IS NOT NULL AS passed")
    with pytest.raises(kimbledb.VerificationError, match="only after the COMMIT") as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)
    cure = str(caught.value.checks[0].hint).partition("exists: ")[2].replace("<type>", "e").replace("<value>", "b")

    (step / "verify.sql").write_text(f"-- name: b\n{cure}", encoding="utf-8")

    assert (await kimbledb.migrate(database, catalog=folder.catalog)).verification.ok


HIDDEN = {
    "a COMMIT": "CREATE TABLE a (id integer);\nCOMMIT;\n",
    "a COMMIT, and another transaction": "CREATE TABLE a (id integer);\nCOMMIT;\nBEGIN;\n",
    "a COMMIT before an error": "CREATE TABLE a (id integer);\nCOMMIT;\nSELECT 1 / 0;\n",
    "a COMMIT, and an error in another transaction": "CREATE TABLE a (id integer);\nCOMMIT;\nBEGIN;\nSELECT 1 / 0;\n",
    "a COMMIT before a conflict": "CREATE TABLE a (id integer);\nCOMMIT;\nLOCK TABLE other.held NOWAIT;\n",
}


@pytest.mark.parametrize("what", HIDDEN)
async def test_what_a_script_has_committed_is_told(database: str, connection: asyncpg.Connection, what: str) -> None:
    """Where a script commits a part of itself the error does not say that it was rolled back, and it is run once."""
    await connection.execute("CREATE SCHEMA other; CREATE TABLE other.held (id integer)")
    holder = connection.transaction()
    await holder.start()
    await connection.execute("LOCK TABLE other.held")
    migration = kimbledb.Migration(name="a.sql", number=1, apply_sql=HIDDEN[what], irreversible="a test")

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=kimbledb.Catalog([migration]), schema="public")

    await holder.rollback()
    assert "its changes up to there are committed and not recorded" in str(caught.value)
    assert "rolled back" not in str(caught.value)
    assert "nothing was applied" not in str(caught.value)
    assert await connection.fetchval("SELECT to_regclass('a') IS NOT NULL")
    assert await connection.fetchval("SELECT count(*) FROM migration_log WHERE event = 'failure'") == 1


async def test_so_is_what_a_rollback_has_committed(database: str, connection: asyncpg.Connection) -> None:
    """The try run of a rollback that commits a part of itself does not say that nothing was touched."""
    migration = kimbledb.Migration(
        name="a.sql", number=1, apply_sql="CREATE TABLE a (id integer)", rollback_sql="DROP TABLE a;\nCOMMIT;\nBEGIN;"
    )
    catalog = kimbledb.Catalog([migration])
    await kimbledb.migrate(database, catalog=catalog)

    with pytest.raises(kimbledb.RollbackError, match="are committed and not recorded"):
        await kimbledb.rollback(database, "a.sql", catalog=catalog, dry_run=True)

    assert await connection.fetchval("SELECT to_regclass('a') IS NULL")


async def test_a_script_that_rolls_back_by_itself(database: str, connection: asyncpg.Connection) -> None:
    """Where a script rolls its transaction back nothing of it stays, and the error says so."""
    script = "CREATE TABLE a (id integer);\nROLLBACK;\nCREATE TABLE b (id integer);"
    migration = kimbledb.Migration(name="a.sql", number=1, apply_sql=script, irreversible="a test")

    with pytest.raises(kimbledb.MigrationError, match=r"failed and was rolled back: .*ended the transaction"):
        await kimbledb.migrate(database, catalog=kimbledb.Catalog([migration]))

    assert await connection.fetchval("SELECT to_regclass('a') IS NULL AND to_regclass('b') IS NULL")


async def test_the_path_of_a_folder_is_a_catalog(database: str, folder: Folder) -> None:
    """A run by a path applies what the folder holds; a start after it reads nothing of it, and its report shows the plan."""
    folder.table(1, "a")
    folder.table(2, "b", facts='requires = ["a.sql"]')

    first = await kimbledb.migrate(database, catalog=folder.path)
    # Nothing but the bytes of what was applied is looked at: this fault is found by whoever rolls back.
    (folder.path / "01_a/rollback.sql").write_text("COMMIT;")
    second = await kimbledb.migrate(database, catalog=str(folder.path))
    planned = await kimbledb.plan(database, catalog=folder.path)

    assert [step.migration.name for step in first.applied] == ["a.sql", "b.sql"]
    assert not second.applied
    assert not second.newer
    assert second.summary.startswith("nothing to do")
    assert [step.name for step in planned.steps] == ["a.sql", "b.sql"]
    with pytest.raises(kimbledb.CatalogError, match="COMMIT"):
        await kimbledb.rollback(database, to=0, catalog=folder.path)
    with pytest.raises(kimbledb.CatalogError, match="COMMIT"):
        await kimbledb.migrate(database, catalog=folder.catalog)


async def test_a_report_of_nothing_to_do_can_be_pickled(database: str, folder: Folder) -> None:
    """The plan of such a report is made when it is asked for, at the latest when the report leaves the process."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.catalog)

    report = pickle.loads(pickle.dumps(await kimbledb.migrate(database, catalog=folder.path)))  # noqa: S301 - ours

    assert [str(step.state) for step in report.plan.steps] == ["applied"]


async def test_what_is_new_in_a_folder_is_checked_though_a_path_names_it(database: str, folder: Folder) -> None:
    """All that history does not hold is read and checked before anything runs, and so is an edited text."""
    folder.table(1, "a")
    await kimbledb.migrate(database, catalog=folder.path)
    folder.add(2, "b", "COMMIT;")

    with pytest.raises(kimbledb.CatalogError, match="COMMIT"):
        await kimbledb.migrate(database, catalog=folder.path)
    with pytest.raises(kimbledb.CatalogError, match="COMMIT"):
        await kimbledb.plan(database, catalog=folder.path)

    (folder.path / "02_b/apply.sql").write_text("SELECT 1;\n")
    (folder.path / "01_a/apply.sql").write_text("SELECT 1;\n")
    with pytest.raises(kimbledb.ChangedMigrationError):
        await kimbledb.migrate(database, catalog=folder.path)
