"""Steps that cannot run in a transaction."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

import kimbledb
from kimbledb.events import Blocked, Building, Event, Statement
from kimbledb.model.names import quote_identifier
from tests.support.folders import Folder

INDEX = "CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_a_n ON a (n);\n"
CHECK = (
    "-- name: index_is_valid\nSELECT coalesce(bool_and(i.indisvalid), false) AS passed FROM pg_index AS i "
    "WHERE i.indexrelid = to_regclass('idx_a_n')"
)

#: How many advisory locks anybody holds in this database.
ADVISORY_LOCKS = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@pytest.fixture
async def with_rows(database: str, folder: Folder) -> Folder:
    """A catalog whose first migration, applied, makes a table with rows, and whose second builds an index on it."""
    folder.add(
        1,
        "a",
        "CREATE TABLE IF NOT EXISTS a (n integer);\n"
        "INSERT INTO a SELECT 1 FROM generate_series(1, 1000) WHERE NOT EXISTS (SELECT FROM a);",
        rollback="DROP TABLE a;",
    )
    await kimbledb.migrate(database, catalog=folder.catalog)
    folder.add(
        2,
        "b",
        INDEX,
        facts='requires = ["a.sql"]\ntransactional = false',
        verify=CHECK,
        rollback="DROP INDEX IF EXISTS idx_a_n;",
    )
    return folder


async def _valid(connection: asyncpg.Connection) -> object:
    return await connection.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('idx_a_n')")


async def test_builds_proves_and_records(database: str, with_rows: Folder, connection: asyncpg.Connection) -> None:
    """The index is built, proved valid and recorded, with an intent in the log; a second run has nothing to do."""
    report = await kimbledb.migrate(database, catalog=with_rows.catalog)

    assert [step.migration.name for step in report.applied] == ["b.sql"]
    assert report.verification.ok
    assert await _valid(connection) is True
    events = await connection.fetch(
        "SELECT event, detail->>'state' FROM migration_log WHERE migration_name = 'b.sql' ORDER BY id",
    )
    assert [tuple(row) for row in events] == [("statement", "begun"), ("statement", "done"), ("apply", None)]
    assert (await kimbledb.migrate(database, catalog=with_rows.catalog)).applied == ()


async def test_an_invalid_index_is_built_again(
    database: str, with_rows: Folder, connection: asyncpg.Connection
) -> None:
    """What an interrupted build left, an invalid index that IF NOT EXISTS would pass over, is dropped and built again."""
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute("CREATE UNIQUE INDEX CONCURRENTLY idx_a_n ON a (n)")
    assert await _valid(connection) is False

    await kimbledb.migrate(database, catalog=with_rows.catalog)

    assert await _valid(connection) is True


async def test_resumes_at_the_statement_that_failed(
    database: str, with_rows: Folder, connection: asyncpg.Connection
) -> None:
    """Statements that are done are not run again; the one that failed is, and its line is named."""
    (with_rows.path / "02_b" / "apply.sql").write_text(
        INDEX + "INSERT INTO a VALUES (2);\n\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS idx_u ON a (n);\n"
    )
    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=with_rows.catalog)
    assert (caught.value.line, caught.value.sqlstate) == (4, "23505")
    await connection.execute("DELETE FROM a WHERE n = 1")

    report = await kimbledb.migrate(database, catalog=with_rows.catalog)

    assert len(report.applied) == 1
    assert await connection.fetchval("SELECT count(*) FROM a WHERE n = 2") == 1
    assert await connection.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'idx_u'::regclass") is True


async def test_many_at_once(database: str, with_rows: Folder, connection: asyncpg.Connection) -> None:
    """Of many that start at once one builds, all return well, and nobody hangs in a deadlock."""
    reports = await asyncio.gather(
        *(
            kimbledb.migrate(database, catalog=with_rows.catalog, options=kimbledb.Options(deadline=60))
            for _ in range(12)
        )
    )

    assert sum(len(report.applied) for report in reports) == 1
    assert await connection.fetchval("SELECT count(*) FROM migration_log WHERE event = 'statement'") == 2
    assert await connection.fetchval(ADVISORY_LOCKS) == 0


async def test_a_lone_connection_cannot(with_rows: Folder, connection: asyncpg.Connection) -> None:
    """A connection as target is refused with what to pass instead; with a direct DSN it will do."""
    with pytest.raises(kimbledb.ConfigurationError, match="direct_dsn"):
        await kimbledb.migrate(connection, catalog=with_rows.catalog)
    assert await connection.fetchval(ADVISORY_LOCKS) == 0


async def test_a_pool_with_a_direct_dsn(database: str, with_rows: Folder) -> None:
    """A pool as target builds through the direct DSN."""
    async with asyncpg.create_pool(database, min_size=1, max_size=2) as pool:
        report = await kimbledb.migrate(pool, catalog=with_rows.catalog, options=kimbledb.Options(direct_dsn=database))
    assert len(report.applied) == 1


async def test_tells_how_far_it_is(database: str, with_rows: Folder, connection: asyncpg.Connection) -> None:
    """Each statement is told when it is sent; while an index is built its phase is, and who holds it up."""
    told: list[Event] = []
    seen = asyncio.Event()

    def listen(event: Event) -> None:
        told.append(event)
        if isinstance(event, Building):
            seen.set()

    await connection.execute("BEGIN; INSERT INTO a VALUES (2)")
    run = asyncio.create_task(
        kimbledb.migrate(
            database, catalog=with_rows.catalog, progress=listen, options=kimbledb.Options(lock_timeout=0.2)
        )
    )
    await asyncio.wait_for(seen.wait(), 60)
    await connection.execute("ROLLBACK")
    await run

    [statement] = [event for event in told if isinstance(event, Statement)]
    assert (statement.place, statement.total) == (1, 1)
    assert statement.text.startswith("CREATE INDEX CONCURRENTLY")
    building = next(event for event in told if isinstance(event, Building))
    assert building.phase == "waiting for writers before build"
    assert building.migration.name == "b.sql"
    assert building.index == "idx_a_n"
    blocked = next(event for event in told if isinstance(event, Blocked))
    assert str(connection.get_server_pid()) in blocked.blockers[0]


INVALID = "SELECT array_agg(indexrelid::regclass::text) FROM pg_index WHERE NOT indisvalid"


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("CREATE UNIQUE INDEX CONCURRENTLY /* once */ IF NOT EXISTS idx_u ON a (n)", "idx_u"),
        ("CREATE UNIQUE -- once\nINDEX /* a */CONCURRENTLY/* b /* c */ */IDX_U ON/**/a(n)", "idx_u"),
        ('CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "Idx ""U""" ON ONLY public."a" (n)', 'Idx "U"'),
        ("create unique index concurrently if not exists idx_u on public.a (n)", "idx_u"),
        ("CREATE UNIQUE INDEX CONCURRENTLY ON a (n)", "a_n_idx"),
        (r'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS U&"idx\005fu" ON U&"\0061" (n)', "idx_u"),
    ],
)
async def test_a_failed_build_leaves_nothing(
    database: str, with_rows: Folder, connection: asyncpg.Connection, statement: str, name: str
) -> None:
    """Whatever the spelling, an index that could not be built is dropped, and no second run calls it done."""
    (with_rows.path / "02_b" / "apply.sql").write_text(f"{statement};\n")
    (with_rows.path / "02_b" / "verify.sql").write_text("-- name: nothing\nSELECT true AS passed")
    for _ in range(2):
        with pytest.raises(kimbledb.MigrationError) as caught:
            await kimbledb.migrate(database, catalog=with_rows.catalog)

        assert caught.value.sqlstate == "23505"
        assert await connection.fetchval(INVALID) is None
        assert "rolled back" not in str(caught.value)
        assert (
            f"apply.sql runs outside of a transaction: none of its 1 statement is done\ntaken back: the index {name}"
            in str(caught.value)
        )
    await connection.execute("DELETE FROM a; INSERT INTO a VALUES (1)")

    await kimbledb.migrate(database, catalog=with_rows.catalog)

    quoted = quote_identifier(name)
    assert await connection.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = $1::regclass", quoted) is True


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE INDEX CONCURRENTLY /* once */ IF NOT EXISTS idx_a_n ON a (n)",
        'CREATE INDEX CONCURRENTLY IF NOT EXISTS "idx_a_n" ON ONLY public.a (n)',
        "CREATE INDEX CONCURRENTLY idx_a_n ON a (n)",
        "CREATE INDEX IF NOT EXISTS idx_a_n ON a (n)",
        "REINDEX TABLE CONCURRENTLY a",
        "REINDEX (CONCURRENTLY) SCHEMA public",
    ],
)
async def test_an_invalid_index_is_never_passed_over(
    database: str, with_rows: Folder, connection: asyncpg.Connection, statement: str
) -> None:
    """An invalid index that another hand left, which the statement by itself would pass over or stop at, is valid in the end."""
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute("CREATE UNIQUE INDEX CONCURRENTLY idx_a_n ON a (n)")
    await connection.execute("DELETE FROM a; INSERT INTO a VALUES (1)")
    (with_rows.path / "02_b" / "apply.sql").write_text(f"{statement};\n")

    await kimbledb.migrate(database, catalog=with_rows.catalog)

    assert await connection.fetchval(INVALID) is None
    assert await _valid(connection) is True


async def test_an_invalid_index_of_another_table_is_left_alone(
    database: str, with_rows: Folder, connection: asyncpg.Connection
) -> None:
    """What another hand left invalid elsewhere is neither dropped nor held against the migration."""
    await connection.execute(
        "CREATE SCHEMA other; CREATE TABLE other.a (n integer); INSERT INTO other.a VALUES (1), (1)"
    )
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute("CREATE UNIQUE INDEX CONCURRENTLY idx_a_n ON other.a (n)")

    await kimbledb.migrate(database, catalog=with_rows.catalog)

    assert await _valid(connection) is True
    assert await connection.fetchval(INVALID) == ["other.idx_a_n"]


async def test_an_index_on_partitions_may_wait_for_them(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """An index made ON ONLY a partitioned table is invalid until each partition's is attached, which is no fault."""
    folder.add(
        1,
        "p",
        "CREATE TABLE p (n integer) PARTITION BY LIST (n);\nCREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);\n"
        "CREATE INDEX p_n ON ONLY p (n);\nCREATE INDEX CONCURRENTLY p1_n ON p1 (n);\nALTER INDEX p_n ATTACH PARTITION p1_n;",
        facts="transactional = false",
        rollback="DROP TABLE p;",
    )

    await kimbledb.migrate(database, catalog=folder.catalog)

    assert await connection.fetchval(INVALID) is None


@pytest.mark.parametrize(
    "statement",
    [
        "REINDEX SCHEMA public",
        "REINDEX (VERBOSE) DATABASE",
        "REINDEX SYSTEM",
        "VACUUM FULL",
        "CLUSTER",
        "REINDEX TABLE CONCURRENTLY migration_log",
        "LOCK TABLE migration_history, migration_log",
    ],
)
async def test_the_lock_holds_up_no_statement(
    database: str, with_rows: Folder, connection: asyncpg.Connection, statement: str
) -> None:
    """Statements that want every table or index of the database, history's included, do not wait for our own lock."""
    await connection.execute("CREATE INDEX idx_a_n ON a (n); CLUSTER a USING idx_a_n")
    if statement.endswith(("DATABASE", "SYSTEM")):
        statement += " " + quote_identifier(database.rpartition("/")[2])
    (with_rows.path / "02_b" / "apply.sql").write_text(f"{statement};\n")

    report = await kimbledb.migrate(
        database, catalog=with_rows.catalog, options=kimbledb.Options(deadline=60, lock_timeout=5, attempts=2)
    )

    assert [step.migration.name for step in report.applied] == ["b.sql"]


async def test_what_the_text_does_not_show(database: str, folder: Folder, connection: asyncpg.Connection) -> None:
    """A REINDEX of a partitioned table, and a procedure that commits, run by themselves."""
    folder.add(
        1,
        "p",
        "CREATE TABLE p (n integer) PARTITION BY LIST (n);\nCREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);\n"
        "CREATE INDEX p_n ON p (n);\nREINDEX TABLE p;\n"
        "CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO p VALUES (1); COMMIT; INSERT INTO p VALUES (1); END $$;\n"
        "CALL fill();",
        facts='transactional = false\ndeletes = "a procedure that commits is not measured"',
        rollback="DROP PROCEDURE fill; DROP TABLE p;",
    )

    await kimbledb.migrate(database, catalog=folder.catalog)

    assert await connection.fetchval("SELECT count(*) FROM p") == 2


async def test_what_a_failing_procedure_committed_is_said(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """Where a statement that failed can have committed a part of its work, the error says that this part stays."""
    folder.add(
        1,
        "p",
        "CREATE TABLE p (n integer);\n"
        "CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO p VALUES (1); COMMIT; PERFORM 1 / 0; END $$;\n"
        "CALL fill();",
        facts='transactional = false\ndeletes = "a procedure that commits is not measured"',
        rollback="DROP PROCEDURE fill; DROP TABLE p;",
    )

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert await connection.fetchval("SELECT count(*) FROM p") == 1
    assert (
        "the first 2 of its 3 statements stay done\nthe changes that the failing statement committed by itself stay"
        in str(caught.value)
    )


async def test_a_constraint_that_does_not_hold_is_taken_back(
    database: str, folder: Folder, connection: asyncpg.Connection
) -> None:
    """Where VALIDATE fails, keys and checks that the step added go again, so that the application can write as before; mended rows let the next run through."""
    folder.add(
        1, "a", "CREATE TABLE a (n integer);\nCREATE DOMAIN d AS integer;", rollback="DROP TABLE a; DROP DOMAIN d;"
    )
    await kimbledb.migrate(database, catalog=folder.catalog)
    await connection.execute("INSERT INTO a VALUES (-1); ALTER TABLE a ADD CONSTRAINT old CHECK (n < 9) NOT VALID")
    folder.add(
        2,
        "b",
        "DO $$ BEGIN BEGIN ALTER TABLE a ADD CONSTRAINT positive CHECK (n > 0) NOT VALID;\n"
        "EXCEPTION WHEN duplicate_object THEN NULL; END; END $$;\n"
        "ALTER DOMAIN d ADD CONSTRAINT small CHECK (VALUE < 9) NOT VALID;\n"
        "ALTER TABLE a VALIDATE CONSTRAINT positive;\nALTER DOMAIN d VALIDATE CONSTRAINT small;\nVACUUM a;",
        facts='requires = ["a.sql"]\ntransactional = false',
        rollback="ALTER TABLE a DROP CONSTRAINT positive; ALTER DOMAIN d DROP CONSTRAINT small;",
    )

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=folder.catalog)

    assert "the constraint positive on public.a, which is not validated" in str(caught.value)
    assert "the constraint small on public.d, which is not validated" in str(caught.value)
    assert await connection.fetchval("SELECT array_agg(conname) FROM pg_constraint WHERE NOT convalidated") == ["old"]
    await connection.execute("INSERT INTO a VALUES (-2); DELETE FROM a")
    await kimbledb.migrate(database, catalog=folder.catalog)
    valid = "SELECT array_agg(conname ORDER BY conname) FROM pg_constraint WHERE convalidated AND conname IN ('positive', 'small')"
    assert await connection.fetchval(valid) == ["positive", "small"]


async def test_a_single_file(database: str, tmp_path: Path, connection: asyncpg.Connection) -> None:
    """A file of a flat folder says at its head that it cannot run in a transaction."""
    (tmp_path / "001_a.sql").write_text("CREATE TABLE a (n integer);")
    script = tmp_path / "002_b.sql"
    script.write_text("CREATE INDEX CONCURRENTLY idx_a_n ON a (n);")
    with pytest.raises(kimbledb.CatalogError, match="`-- kimbledb: transactional = false` at the head of the script"):
        kimbledb.Catalog.from_directory(tmp_path)
    script.write_text(f"-- kimbledb: transactional = false\n{script.read_text()}")

    await kimbledb.migrate(database, catalog=kimbledb.Catalog.from_directory(tmp_path))

    assert await _valid(connection) is True
