"""Steps that cannot run in a transaction."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

import kimbledb
from kimbledb.events import Blocked, Building, Statement

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
async def with_rows(database: str, folder: Any) -> Any:
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


async def test_builds_proves_and_records(database: str, with_rows: Any, connection: asyncpg.Connection) -> None:
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


async def test_an_invalid_index_is_built_again(database: str, with_rows: Any, connection: asyncpg.Connection) -> None:
    """What an interrupted build left, an invalid index that IF NOT EXISTS would pass over, is dropped and built again."""
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute("CREATE UNIQUE INDEX CONCURRENTLY idx_a_n ON a (n)")
    assert await _valid(connection) is False

    await kimbledb.migrate(database, catalog=with_rows.catalog)

    assert await _valid(connection) is True


async def test_resumes_at_the_statement_that_failed(
    database: str, with_rows: Any, connection: asyncpg.Connection
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


async def test_many_at_once(database: str, with_rows: Any, connection: asyncpg.Connection) -> None:
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


async def test_a_lone_connection_cannot(with_rows: Any, connection: asyncpg.Connection) -> None:
    """A connection as target is refused with what to pass instead; with a direct DSN it will do."""
    with pytest.raises(kimbledb.ConfigurationError, match="direct_dsn"):
        await kimbledb.migrate(connection, catalog=with_rows.catalog)
    assert await connection.fetchval(ADVISORY_LOCKS) == 0


async def test_a_pool_with_a_direct_dsn(database: str, with_rows: Any) -> None:
    """A pool as target builds through the direct DSN."""
    async with asyncpg.create_pool(database, min_size=1, max_size=2) as pool:
        report = await kimbledb.migrate(pool, catalog=with_rows.catalog, options=kimbledb.Options(direct_dsn=database))
    assert len(report.applied) == 1


async def test_tells_how_far_it_is(database: str, with_rows: Any, connection: asyncpg.Connection) -> None:
    """Each statement is told when it is sent; while an index is built its phase is, and who holds it up."""
    told: list[Any] = []
    seen = asyncio.Event()

    def listen(event: Any) -> None:
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
