"""The online strategy, for tables that hold rows: online.sql first, outside of a transaction, then apply.sql."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.events import Event, Statement
from tests.support.folders import Folder

INDEXES = "CREATE INDEX IF NOT EXISTS idx_a_n ON a (n);\nCREATE INDEX IF NOT EXISTS idx_a_twice ON a ((2 * n));\n"
#: What the log holds of a migration.
LOGGED = "SELECT array_agg(event || coalesce(' ' || (detail->>'state'), '') ORDER BY id) FROM migration_log WHERE migration_name = 'b.sql'"


@pytest.fixture
async def filled(database: str, folder: Folder) -> Folder:
    """A catalog whose first migration, applied, makes a table with a row, and whose second has an online strategy."""
    folder.add(1, "a", "CREATE TABLE IF NOT EXISTS a (n integer);", rollback="DROP TABLE a;")
    await kimbledb.migrate(database, catalog=folder.catalog)
    connection = await asyncpg.connect(database)
    await connection.execute("INSERT INTO a VALUES (1)")
    await connection.close()
    migration = folder.add(
        2,
        "b",
        INDEXES,
        facts='requires = ["a.sql"]',
        verify="-- name: valid\nSELECT bool_and(indisvalid) AS passed FROM pg_index WHERE indexrelid = to_regclass('idx_a_n')",
        rollback="DROP INDEX IF EXISTS idx_a_n, idx_a_twice;",
    )
    (migration / "online.sql").write_text(INDEXES.replace("INDEX", "INDEX CONCURRENTLY"))
    return folder


@asynccontextmanager
async def an_open_transaction(dsn: str) -> AsyncIterator[None]:
    """A session of the application that has written a row and has not committed."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("BEGIN; INSERT INTO a (n) VALUES (2)")
    try:
        yield
    finally:
        await connection.execute("COMMIT")
        await connection.close()


async def test_rows_are_not_held_up(database: str, filled: Folder, connection: asyncpg.Connection) -> None:
    """While the index is built, and waits for a transaction of the application, others read and write."""
    plan = await kimbledb.plan(database, catalog=filled.catalog)
    [step] = plan.pending
    assert step.online
    assert step.hazards == ()
    assert "online.sql runs first, outside of a transaction: tables hold rows" in str(plan)

    async with an_open_transaction(database):
        run = asyncio.create_task(kimbledb.migrate(database, catalog=filled.catalog))
        while not await connection.fetchval("SELECT count(*) FROM pg_stat_progress_create_index"):
            assert not run.done()
            await asyncio.sleep(0.02)
        await connection.execute("SET lock_timeout = '5s'; INSERT INTO a (n) VALUES (3); SELECT count(*) FROM a")
    report = await run

    assert [each.migration.name for each in report.applied] == ["b.sql"]
    assert report.verification.ok
    assert await connection.fetchval(LOGGED) == [*["statement begun", "statement done"] * 2, "apply"]
    assert (
        await connection.fetchval(
            "SELECT detail->>'strategy' FROM migration_log WHERE event = 'apply' ORDER BY id DESC"
        )
        == "online"
    )


async def test_an_empty_table_needs_no_road(database: str, filled: Folder, connection: asyncpg.Connection) -> None:
    """Where the tables hold no rows, or are not there, a migration is the one transaction that it always was."""
    await connection.execute("TRUNCATE a")

    [step] = (await kimbledb.plan(database, catalog=filled.catalog)).pending
    await kimbledb.migrate(database, catalog=filled.catalog)

    assert not step.online
    assert await connection.fetchval(LOGGED) == ["apply"]


@pytest.mark.parametrize("target", ["connection", "pool"])
async def test_without_a_session_of_ones_own(
    database: str, filled: Folder, connection: asyncpg.Connection, target: str
) -> None:
    """By a connection or a pool the plain strategy is taken, which the plan says, and which can be refused; direct_dsn opens the other."""
    async with asyncpg.create_pool(database, min_size=1, max_size=2) as pool:
        through = pool if target == "pool" else connection
        [step] = (await kimbledb.plan(through, catalog=filled.catalog)).pending
        assert not step.online
        assert [hazard.name for hazard in step.hazards] == ["index_build"]
        refusing = kimbledb.Options(refuse_hazards=("index_build",))
        with pytest.raises(kimbledb.HazardError):
            await kimbledb.migrate(through, catalog=filled.catalog, options=refusing)

        options = kimbledb.Options(refuse_hazards=("index_build",), direct_dsn=database)
        report = await kimbledb.migrate(through, catalog=filled.catalog, options=options)

        assert report.plan.pending[0].online
    assert (await connection.fetchval(LOGGED))[-1] == "apply"
    assert "statement done" in await connection.fetchval(LOGGED)


async def interrupt(dsn: str, place: int, **wanted: Any) -> None:
    """Run migrate(), and cancel it as soon as the statement at a place of online.sql begins."""

    def stop(event: Event) -> None:
        if isinstance(event, Statement) and event.place == place:
            run.cancel()

    run = asyncio.create_task(kimbledb.migrate(dsn, progress=stop, **wanted))
    with pytest.raises(asyncio.CancelledError):
        await run


@pytest.mark.parametrize("declared", [False, True])
async def test_it_goes_on_where_it_was(
    database: str, filled: Folder, connection: asyncpg.Connection, declared: bool
) -> None:
    """A run that is cancelled while online.sql runs leaves what is done, which the next one does not do again; it is planned as the first."""
    catalog = await filled.declared(database) if declared else filled.catalog
    await interrupt(database, 2, catalog=catalog)
    [step] = (await kimbledb.plan(database, catalog=catalog)).pending
    assert (step.name, step.online, step.completion) == ("b.sql", True, None)

    report = await kimbledb.migrate(database, catalog=catalog)

    assert [each.migration.name for each in report.applied] == ["b.sql"]
    done = await connection.fetch(
        "SELECT detail->>'statement' AS statement FROM migration_log WHERE detail->>'state' = 'done'"
    )
    assert len(done) == len({row["statement"] for row in done}) == 2


async def test_an_interrupted_one_ends_in_a_transaction(
    database: str, filled: Folder, connection: asyncpg.Connection
) -> None:
    """Where online.sql was interrupted and the next run has no session of its own for it, one transaction brings the rest."""
    catalog = await filled.declared(database)
    await interrupt(database, 2, catalog=catalog)

    report = await kimbledb.migrate(connection, catalog=catalog)

    assert report.plan.pending[0].completion is not None
    assert await connection.fetchval("SELECT count(*) FROM pg_indexes WHERE indexname ~ '^idx_a_'") == 2


async def test_an_interrupted_one_whose_text_has_changed(
    database: str, filled: Folder, connection: asyncpg.Connection
) -> None:
    """What an earlier text of a migration left is a part of it like any other, and is completed."""
    await interrupt(database, 2, catalog=await filled.declared(database))
    (filled.path / "02_b" / "apply.sql").write_text(INDEXES + "CREATE TABLE c (n integer);\n")
    catalog = await filled.declared(database)

    [step] = (await kimbledb.plan(database, catalog=catalog)).pending
    await kimbledb.migrate(database, catalog=catalog)

    assert (step.online, step.completion is None) == (False, False)
    assert await connection.fetchval("SELECT to_regclass('c') IS NOT NULL")


@pytest.mark.parametrize(("file", "line"), [("online.sql", 3), ("apply.sql", 3)])
async def test_what_fails_says_where(
    database: str, filled: Folder, connection: asyncpg.Connection, file: str, line: int
) -> None:
    """A failure of either script names its file and line, is recorded, and once it is mended the next run goes on."""
    script = filled.path / "02_b" / file
    right = script.read_text()
    script.write_text(right + "INSERT INTO a SELECT 1 / (n - 1) FROM a WHERE n = 1;\n")

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=filled.catalog)

    assert caught.value.file == str(script)
    assert caught.value.line == line
    assert caught.value.sqlstate == "22012"
    assert await connection.fetchval("SELECT success FROM migration_history WHERE migration_name = 'b.sql'") is False
    script.write_text(right)
    await kimbledb.migrate(database, catalog=filled.catalog)
    assert await connection.fetchval("SELECT count(*) FROM a") == 1


async def test_a_key_that_does_not_hold_is_taken_back(
    database: str, filled: Folder, connection: asyncpg.Connection
) -> None:
    """Rows that violate a key stop its validation; the key goes again, the application writes as before, and the error says what stays."""
    await connection.execute("CREATE TABLE parent (n integer PRIMARY KEY)")
    key = "ALTER TABLE a ADD CONSTRAINT a_n_fkey FOREIGN KEY (n) REFERENCES parent (n)"
    (filled.path / "02_b" / "apply.sql").write_text(
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'a_n_fkey') THEN {key}; END IF; END $$;\n{INDEXES}"
    )
    (filled.path / "02_b" / "online.sql").write_text(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_a_n ON a (n);\n"
        f"{key} NOT VALID;\nALTER TABLE a VALIDATE CONSTRAINT a_n_fkey;\n"
    )

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=filled.catalog)

    assert str(caught.value).startswith("b.sql failed: ")
    assert caught.value.text.endswith(
        "online.sql runs outside of a transaction: the first 2 of its 3 statements stay done\n"
        "taken back: the constraint a_n_fkey on public.a, which is not validated\n"
        "  hint: rows refer to rows that do not exist: find and correct them first, then run again"
    )
    await connection.execute(
        "INSERT INTO a VALUES (2); DELETE FROM a; INSERT INTO parent VALUES (1); INSERT INTO a VALUES (1)"
    )
    await kimbledb.migrate(database, catalog=filled.catalog)
    assert await connection.fetchval("SELECT convalidated FROM pg_constraint WHERE conname = 'a_n_fkey'") is True


async def test_a_verification_that_fails_afterwards(
    database: str, filled: Folder, connection: asyncpg.Connection
) -> None:
    """Where the verification fails after online.sql, what is not validated is taken back, and the error does not call the rest rolled back."""
    (filled.path / "02_b" / "online.sql").write_text(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_a_n ON a (n);\nALTER TABLE a ADD CONSTRAINT small CHECK (n < 9) NOT VALID;\n"
    )
    (filled.path / "02_b" / "verify.sql").write_text("-- name: never\nSELECT false AS passed")

    with pytest.raises(kimbledb.VerificationError) as caught:
        await kimbledb.migrate(database, catalog=filled.catalog)

    assert "b.sql ran, its verification failed:\n" in str(caught.value)
    assert "online.sql runs outside of a transaction: its 2 statements stay done" in str(caught.value)
    assert await connection.fetchval("SELECT count(*) FROM pg_constraint WHERE conname = 'small'") == 0
    assert await connection.fetchval("SELECT array_agg(relname) FROM pg_class WHERE relname LIKE 'idx_a%'") == [
        "idx_a_n"
    ]


PAID = """\
ALTER TABLE a
    ADD COLUMN IF NOT EXISTS paid boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS settled boolean DEFAULT false;
CREATE INDEX IF NOT EXISTS idx_a_paid ON a (paid);
"""


@pytest.mark.parametrize("declared", [False, True])
async def test_fills_after_an_online_strategy(
    database: str, filled: Folder, connection: asyncpg.Connection, declared: bool
) -> None:
    """What a migration fills is filled, once apply.sql has run, in the rows that the application wrote after online.sql."""
    both = 'requires = ["a.sql"]\n[fills]\n"a.paid" = "paid OR settled"\n"a.settled" = "paid OR settled"\n'
    script = filled.add(3, "c", PAID, facts=both) / "online.sql"
    script.write_text(PAID.replace("INDEX", "INDEX CONCURRENTLY"))
    catalog = await filled.declared(database) if declared else filled.catalog
    await kimbledb.migrate(database, catalog=catalog, to="b.sql")
    await interrupt(database, 2, catalog=catalog)
    await connection.execute("UPDATE a SET settled = true; INSERT INTO a (n) VALUES (2)")

    await kimbledb.migrate(database, catalog=catalog)

    rows = await connection.fetch("SELECT n, paid, settled FROM a ORDER BY n")
    assert [tuple(row) for row in rows] == [(1, True, True), (2, False, False)]


async def test_a_fill_that_fails_is_told(database: str, filled: Folder) -> None:
    """A fill that the server refuses stops the migration, with the server's words and what of online.sql stays."""
    script = (
        filled.add(3, "c", PAID, facts='requires = ["a.sql"]\n[fills]\n"a.paid" = "paid OR stranger"\n') / "online.sql"
    )
    script.write_text(PAID.replace("INDEX", "INDEX CONCURRENTLY"))

    with pytest.raises(kimbledb.MigrationError) as caught:
        await kimbledb.migrate(database, catalog=filled.catalog)

    assert caught.value.sqlstate == "42703"
    assert 'column "stranger" does not exist' in str(caught.value)
    assert "online.sql runs outside of a transaction: its 2 statements stay done" in str(caught.value)
