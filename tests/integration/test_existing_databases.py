"""Databases that are already there: histories that another hand wrote, halves, and damage."""

from __future__ import annotations

import asyncpg
import pytest

import kimbledb
from kimbledb import StepState

#: As the document's master file makes it.
MASTER_HISTORY = """
    CREATE TABLE migration_history (
        id SERIAL PRIMARY KEY,
        migration_name TEXT UNIQUE NOT NULL,
        applied_at TIMESTAMPTZ DEFAULT NOW(),
        success BOOLEAN DEFAULT TRUE,
        error_message TEXT,
        execution_time_ms INTEGER
    );
"""


async def forget(connection: asyncpg.Connection) -> None:
    """Take the history away, as in a database that was filled by hand."""
    await connection.execute("DROP TABLE IF EXISTS migration_history, migration_log")


async def names_in_order(dsn: str) -> list[str]:
    """Return the names of the migrations that a fresh database of this server gets, in order."""
    return [step.name for step in (await kimbledb.plan(dsn, schema="nothing_here")).pending]


async def test_adopting_nothing_lets_migrate_go_on(database: str, connection: asyncpg.Connection) -> None:
    """Where a part of the first migration is all there is, adopt() records nothing, and migrate() then completes it."""
    await connection.execute("CREATE TABLE users (id text PRIMARY KEY, email text); INSERT INTO users VALUES ('ann')")
    with pytest.raises(kimbledb.UnrecordedObjectsError):
        await kimbledb.migrate(database)
    await kimbledb.adopt(database, dry_run=True)
    assert await connection.fetchval("SELECT to_regclass('migration_history')") is None

    report = await kimbledb.adopt(database)

    assert report.adopted == ()
    assert await connection.fetchval("SELECT count(*) FROM migration_history") == 0
    assert len((await kimbledb.migrate(database)).applied) == 34
    assert await connection.fetchval("SELECT id FROM users") == "ann"
    assert (await kimbledb.verify(database)).ok


async def test_a_rollback_of_everything_takes_the_word_of_adopt_back(
    database: str, connection: asyncpg.Connection
) -> None:
    """Objects that come by hand after everything was rolled back are again looked at by adopt() first."""
    await kimbledb.adopt(database)
    await kimbledb.migrate(database, to=1)
    await kimbledb.rollback(database, to=0)
    await connection.execute("CREATE TABLE users (id text PRIMARY KEY)")

    with pytest.raises(kimbledb.UnrecordedObjectsError):
        await kimbledb.migrate(database)


async def test_a_repair_needs_no_column_of_a_table_that_is_not_there(migrated_database: str) -> None:
    """A repair that looks after tables of which some are not there yet is done where the others are right."""
    connection = await asyncpg.connect(migrated_database)
    await kimbledb.rollback(migrated_database, to=9)
    await forget(connection)
    await connection.execute("DROP TABLE user_tokens")

    plan = await kimbledb.plan(migrated_database)

    assert plan.step("COMPREHENSIVE_TYPE_FIX.sql").state is StepState.ADOPTABLE
    await connection.execute("ALTER TABLE projects DROP COLUMN owner_id CASCADE")
    plan = await kimbledb.plan(migrated_database)
    assert plan.step("COMPREHENSIVE_TYPE_FIX.sql").state is StepState.PENDING
    await connection.close()
