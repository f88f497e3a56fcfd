"""What a person looks at after a run: rows, indexes, load."""

from __future__ import annotations

import asyncio

import asyncpg

import kimbledb


async def test_rows_indexes_and_load(migrated_database: str) -> None:
    """A status shows each table's rows and scans, the indexes that nobody uses, and how busy the database is."""
    connection = await asyncpg.connect(migrated_database)
    await connection.execute("INSERT INTO users (id) SELECT 'person_' || n FROM generate_series(1, 30) AS n")
    await connection.execute("SELECT count(*) FROM users")
    await connection.close()  # what it did is counted by now
    busy = await asyncpg.connect(migrated_database)
    await busy.execute("BEGIN; LOCK users IN SHARE MODE")
    waiting = await asyncpg.connect(migrated_database)
    blocked = asyncio.create_task(waiting.execute("DELETE FROM users"))
    for _ in range(1000):
        if await busy.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass"):
            break
        await asyncio.sleep(0.01)

    await busy.execute("SELECT pg_sleep(0.2)")  # the age of a transaction is shown in tenths of a second

    status = await kimbledb.status(migrated_database)
    await busy.execute("ROLLBACK")
    assert await blocked == "DELETE 30"

    users = next(table for table in status.tables if table.name == "users")
    assert users.rows == 30
    assert users.bytes > 0
    assert users.sequential_scans >= 1
    projects = next(table for table in status.tables if table.name == "projects")
    assert "idx_projects_name" in projects.unused_indexes
    assert "projects_pkey" not in projects.unused_indexes
    assert not {"migration_history", "migration_log"} & {table.name for table in status.tables}
    assert status.tables[0] is users
    assert status.load is not None
    assert status.load.waiting == 1
    assert status.load.connections >= 3
    assert status.load.oldest_transaction > 0
    shown = str(status)
    assert "users: 30 rows" in shown
    assert "1 waiting for a lock" in shown
    for each in (busy, waiting):
        await each.close()


async def test_of_an_empty_database(database: str) -> None:
    """An empty database has no tables to show."""
    status = await kimbledb.status(database)

    assert status.tables == ()
    assert "rows; the largest" not in str(status)
